#include "agentbox/policy/budget.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"
#include "agentbox/profile/parse.hpp"

namespace agentbox::policy {

namespace {

constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();

std::int64_t plus(std::int64_t a, std::int64_t b) noexcept {
  return a > most - b ? most : a + b;
}

bool is_money(const std::string& unit) {
  return !unit.empty() && unit != "B";
}

// How a number of this unit is written: bytes in the scale of the limit that they are measured by.
struct Scale {
  std::int64_t size = 1;
  std::string unit;
};
Scale scale_of(std::int64_t amount, const std::string& unit) {
  constexpr std::array<std::string_view, 3> names{"MB", "GB", "TB"};
  if (unit != "B" || amount < 1024 * 1024) return {.unit = base::escape(unit)};
  Scale scale{.size = 1024 * 1024, .unit = std::string(names.front())};
  for (std::size_t i = 1; i < names.size() && amount / 1024 >= scale.size; ++i) {
    scale = {.size = scale.size * 1024, .unit = std::string(names[i])};
  }
  return scale;
}

// Without the unit, which stands once behind both numbers. Rounded down: nobody is told that all is used before it is.
std::string bare(std::int64_t amount, const std::string& unit, const Scale& scale) {
  if (is_money(unit)) return profile::amount_text(amount, unit);
  if (scale.size == 1) return std::to_string(amount);
  const std::int64_t tenths = amount % scale.size * 10 / scale.size;
  return tenths == 0 ? std::to_string(amount / scale.size) : fmt::format("{}.{}", amount / scale.size, tenths);
}

std::chrono::seconds length_of(const profile::Budget& budget) noexcept {
  if (budget.every.count() > 0) return budget.every;
  switch (budget.period) {
    case profile::Period::minute: return std::chrono::minutes(1);
    case profile::Period::hour: return std::chrono::hours(1);
    case profile::Period::day: return std::chrono::hours(24);
    case profile::Period::session: break;
  }
  return std::chrono::seconds(0);
}

bool is_calendar_day(const profile::Budget& budget) noexcept {
  return budget.period == profile::Period::day && budget.every.count() == 0;
}

// Within a moving window: when enough of what is oldest has left it.
std::optional<Time> opens_when(const Balance& balance, std::span<const Taken> taken) {
  std::vector<Taken> by_age(taken.begin(), taken.end());
  std::ranges::sort(by_age, {}, &Taken::at);
  std::int64_t used = balance.used;
  for (const Taken& one : by_age) {
    used -= std::min(used, one.amount);
    if (plus(used, balance.charge) <= balance.limit.budget.amount) {
      return one.at + length_of(balance.limit.budget) + std::chrono::milliseconds(1);
    }
  }
  return std::nullopt;
}

}  // namespace

std::int64_t charge_of(const Limit& limit, const Use& use) noexcept {
  return limit.counts == Limit::Counts::times ? 1 : use.amount;
}

std::optional<Time> window_of(const profile::Budget& budget, Time now, const Day& today) noexcept {
  if (budget.period == profile::Period::session) return std::nullopt;
  if (is_calendar_day(budget)) return today.begins;
  return now - length_of(budget);
}

Balance weigh(Limit limit, std::int64_t charge, std::span<const Taken> taken, const Day& today) {
  Balance balance{.limit = std::move(limit), .charge = charge};
  for (const Taken& one : taken) {
    balance.used = plus(balance.used, one.amount);
    if (one.state == Taken::State::reserved) balance.reserved = plus(balance.reserved, one.amount);
  }
  const profile::Budget& budget = balance.limit.budget;
  // A sum that reached the end of the numbers fits nowhere, not even into the largest limit.
  const std::int64_t after = plus(balance.used, charge);
  if (after <= budget.amount && after < most) return balance;
  balance.fits = Balance::Fits::no;
  if (charge > budget.amount || budget.period == profile::Period::session) return balance;
  balance.opens = is_calendar_day(budget) ? today.ends : opens_when(balance, taken);
  return balance;
}

std::string amount_in_words(std::int64_t amount, const std::string& unit) {
  const Scale scale = scale_of(amount, unit);
  std::string text = bare(amount, unit, scale);
  return unit.empty() ? text : text + " " + scale.unit;
}

std::string period_in_words(const profile::Budget& budget) {
  if (budget.period == profile::Period::session) return "in this session";
  if (is_calendar_day(budget)) return "today";
  const std::int64_t seconds = length_of(budget).count();
  auto in = [&](std::int64_t unit, const char* name) {
    return seconds == unit ? fmt::format("in the last {}", name)
                           : fmt::format("in the last {} {}s", seconds / unit, name);
  };
  if (seconds % 86400 == 0) return in(86400, "day");
  return seconds % 3600 == 0 ? in(3600, "hour") : in(60, "minute");
}

std::string in_words(const Balance& balance) {
  const profile::Budget& budget = balance.limit.budget;
  const Scale scale = scale_of(budget.amount, budget.unit);
  auto number = [&](std::int64_t amount) { return bare(amount, budget.unit, scale); };
  std::string text = fmt::format("{} of {} used {}", number(balance.used), amount_in_words(budget.amount, budget.unit),
                                 period_in_words(budget));
  if (balance.reserved > 0) text += fmt::format(" ({} of it reserved)", number(balance.reserved));
  return text + (balance.left() == 0 ? ", none left" : fmt::format(", {} left", number(balance.left())));
}

}  // namespace agentbox::policy
