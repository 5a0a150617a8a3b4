#pragma once

// Thresholds, one mechanism for all of them: so much is free in a time, what is beyond it needs a yes. Money, messages,
// bytes and connections (traffic.hpp). Pure: who keeps the record (store) brings what was used, the time and where the
// day begins.

#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agentbox/policy/action.hpp"
#include "agentbox/policy/ruling.hpp"
#include "agentbox/profile/profile.hpp"

namespace agentbox::policy {

using Time = std::chrono::sys_time<std::chrono::milliseconds>;

// One deed as it is counted.
struct Use {
  std::string kind;         // kind_of: "payment"
  std::string subject;      // who gets it: the recipient
  std::string unit;         // "USD", "B", "": what `amount` is in
  std::int64_t amount = 0;  // in the unit's smallest part; never negative
  friend bool operator==(const Use&, const Use&) = default;
};
// Of kinds that no budget counts (yet): nothing.
[[nodiscard]] std::optional<Use> use_of(const Action& action);

// One budget of a profile, and what it counts.
struct Limit {
  std::string name;     // "spending.limit": the profile's section and key
  std::string kind;     // of the uses that it counts
  std::string subject;  // only those of this recipient; empty: all
  // amount: their sum, in the budget's unit; times: how many there were, whatever their unit
  enum class Counts : std::uint8_t { amount, times } counts = Counts::amount;
  profile::Budget budget;
  profile::Origin origin;  // no file: agentbox's own default
  friend bool operator==(const Limit&, const Limit&) = default;
};
// All that an action would take from; the one that is most worth showing first. Empty: nothing limits it.
[[nodiscard]] std::vector<Limit> limits_on(const Rules& rules, const Action& action);
[[nodiscard]] std::int64_t charge_of(const Limit& limit, const Use& use) noexcept;

// A day of the user's calendar: [begins, ends).
struct Day {
  Time begins, ends;
  friend bool operator==(const Day&, const Day&) = default;
};
// From when on a use counts; nothing: the whole session. A day is the calendar's; an hour, a minute and "10min" are the
// time just before `now`, so that no boundary lets twice as much through.
[[nodiscard]] std::optional<Time> window_of(const profile::Budget& budget, Time now, const Day& today) noexcept;

// What was taken, within the window.
struct Taken {
  Time at;
  std::int64_t amount = 0;  // as the limit counts
  enum class State : std::uint8_t { done, reserved } state = State::done;
};
struct Balance {
  Limit limit;
  std::int64_t used = 0;      // reserved too
  std::int64_t reserved = 0;  // of that: nobody knows yet whether it was done
  std::int64_t charge = 0;    // of the use that this was asked for
  enum class Fits : std::uint8_t { yes, no } fits = Fits::yes;
  // When the charge would fit, if nothing else is taken until then. Nothing: it fits now, or it never will by itself.
  std::optional<Time> opens;
  friend bool operator==(const Balance&, const Balance&) = default;

  [[nodiscard]] std::int64_t left() const noexcept {  // 0 where more was used, with a yes
    return limit.budget.amount > used ? limit.budget.amount - used : 0;
  }
};
// Sums never overflow: they stop at the largest number, which fits nowhere.
[[nodiscard]] Balance weigh(Limit limit, std::int64_t charge, std::span<const Taken> taken, const Day& today);

// "60.00 of 100.00 USD used today, 40.00 left", "20 of 20 used today, none left", with "(10.00 of it reserved)".
[[nodiscard]] std::string in_words(const Balance& balance);
// "12.50 USD", "20", "4096 B", "5 MB"
[[nodiscard]] std::string amount_in_words(std::int64_t amount, const std::string& unit);
// "today", "in this session", "in the last hour", "in the last 10 minutes"
[[nodiscard]] std::string period_in_words(const profile::Budget& budget);

// ---- payments -------------------------------------------------------------------------------------------------------

inline constexpr std::size_t most_recipient = 512, most_memo = 140, most_key = 64;  // bytes

// As profile::parse_amount; why not, in one line.
[[nodiscard]] std::expected<std::int64_t, std::string> parse_amount(std::string_view text, std::string_view currency);

// Why this payment is none that could be made; empty: it can. All text in it becomes an argument of a program and a line
// on a screen: no control, invisible or broken characters, and nothing begins with '-'.
[[nodiscard]] std::string problem_of(const Payment& payment);

// The command of [spending.pay] with its placeholders replaced, each a whole argument.
[[nodiscard]] std::vector<std::string> payment_argv(const std::vector<std::string>& command, const Payment& payment);

}  // namespace agentbox::policy
