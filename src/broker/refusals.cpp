#include "refusals.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace agentbox::broker {

namespace {

constexpr std::size_t most_in_a_minute = 300;

// "connect" of a connection, and so on; as policy::kind_of.
std::string_view plural_of(const policy::Action& action) noexcept {
  static constexpr std::array<std::string_view, 8> names{"connections", "files",    "changes",    "commands",
                                                         "messages",    "payments", "tool calls", "wishes for more"};
  static_assert(names.size() == std::variant_size_v<policy::Action>);
  return names.at(action.index());
}

std::string words_for(const policy::Action& action, std::size_t count) {
  return fmt::format("{} more {} were refused within a minute", count, plural_of(action));
}

}  // namespace

Refusals::Share Refusals::share_of(const Verdict& verdict) noexcept {
  return verdict.by == Verdict::By::rule || verdict.by == Verdict::By::remembered ? Share::settled : Share::rest;
}

Refusals::Minute& Refusals::minute_of(const policy::Action& action, Share share, Clock::time_point now) {
  Minute& minute = minutes_[{action.index(), share}];
  if (now < minute.until) return minute;
  if (minute.untold > 0) {
    minute.last.what = words_for(minute.last.action, minute.untold);
    over_.push_back(std::move(minute.last));
  }
  minute = {.until = now + std::chrono::minutes(1), .last = {}};
  return minute;
}

bool Refusals::is_recorded(const policy::Action& action, const Verdict& verdict, Clock::time_point now) {
  Minute& minute = minute_of(action, share_of(verdict), now);
  if (minute.recorded >= most_in_a_minute) return ++minute.untold, false;
  recorded(action, verdict, now);
  return true;
}

void Refusals::recorded(const policy::Action& action, const Verdict& verdict, Clock::time_point now) {
  Minute& minute = minute_of(action, share_of(verdict), now);
  ++minute.recorded;
  minute.last = {.verdict = verdict, .action = action, .what = {}};
}

bool Refusals::is_full(const policy::Action& action, Clock::time_point now) {
  return minute_of(action, Share::rest, now).recorded >= most_in_a_minute;
}

std::vector<Refusals::Told> Refusals::tell(When when, Clock::time_point now) {
  std::vector<Told> told = std::exchange(over_, {});
  for (auto& [share, minute] : minutes_) {
    if (minute.untold == 0 || (when == When::due && now < minute.until)) continue;
    minute.last.what = words_for(minute.last.action, std::exchange(minute.untold, 0));
    told.push_back(minute.last);
  }
  return told;
}

std::optional<Refusals::Clock::time_point> Refusals::due() const {
  if (!over_.empty()) return Clock::time_point::min();
  std::optional<Clock::time_point> first;
  for (const auto& [share, minute] : minutes_) {
    if (minute.untold > 0 && (!first || minute.until < *first)) first = minute.until;
  }
  return first;
}

}  // namespace agentbox::broker
