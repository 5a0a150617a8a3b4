#include "agentbox/policy/budget.hpp"

#include <algorithm>
#include <limits>

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

// Without the unit, which stands once behind both numbers.
std::string bare(std::int64_t amount, const std::string& unit) {
  return is_money(unit) ? profile::amount_text(amount, unit) : std::to_string(amount);
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
  std::string text = bare(amount, unit);
  return unit.empty() ? text : text + " " + base::escape(unit);
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
  std::string text = fmt::format("{} of {} used {}", bare(balance.used, budget.unit),
                                 amount_in_words(budget.amount, budget.unit), period_in_words(budget));
  if (balance.reserved > 0) text += fmt::format(" ({} of it reserved)", bare(balance.reserved, budget.unit));
  return text + (balance.left() == 0 ? ", none left" : fmt::format(", {} left", bare(balance.left(), budget.unit)));
}

}  // namespace agentbox::policy
