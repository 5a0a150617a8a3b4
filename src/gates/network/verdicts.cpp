#include "verdicts.hpp"

#include <span>

#include <fmt/format.h>

namespace agentbox::gates::network {

using Verdict = broker::Verdict;

namespace {

// A remembered answer can be taken back while we run.
constexpr std::chrono::seconds remembered_holds{60};
// The room chooses the names, so there is an end to them; what is forgotten is decided again.
constexpr std::size_t most_known = 4096;
constexpr std::size_t most_denials = 300;
constexpr std::chrono::seconds denials_in{60};

}  // namespace

Key key_of(const policy::Connect& action) {
  return {action.host, action.port};
}

const Verdict* KnownYes::find(const Key& key, Clock::time_point now) {
  const auto yes = yes_.find(key);
  if (yes == yes_.end()) return nullptr;
  if (now < yes->second.until) return &yes->second.verdict;
  yes_.erase(yes);
  return nullptr;
}

// A person's yes is never the one that makes room: it would be asked for again.
void KnownYes::keep(const Key& key, const Verdict& verdict, Clock::time_point now) {
  if (yes_.size() >= most_known) {
    std::erase_if(yes_, [now](const auto& yes) {
      return yes.second.verdict.by != Verdict::By::human || yes.second.until <= now;
    });
  }
  yes_.insert_or_assign(key, Yes{verdict, now + holds(verdict)});
}

std::chrono::seconds KnownYes::holds(const Verdict& verdict) const {
  switch (verdict.by) {
    case Verdict::By::rule: return std::chrono::hours(24 * 365);  // rules don't change while a room runs
    case Verdict::By::human: return once_holds_;
    default: return remembered_holds;
  }
}

bool Denials::refuses(Clock::time_point now) {
  begin_again(now);
  if (recorded_ < most_denials) return false;
  ++untold_;
  return true;
}

void Denials::recorded(const policy::Connect& action, const Verdict& verdict, Clock::time_point now) {
  begin_again(now);
  ++recorded_;
  last_ = {.verdict = verdict, .action = action, .what = {}, .traffic = {}};
}

void Denials::begin_again(Clock::time_point now) {
  if (now < until_) return;
  tell(When::at_once, now);
  until_ = now + denials_in;
  recorded_ = 0;
  last_ = {};
}

// As what came of the last one that is on record.
void Denials::tell(When when, Clock::time_point now) {
  if (untold_ == 0 || (when == When::due && now < until_)) return;
  last_.what = fmt::format("{} more connections, here or elsewhere, were denied within a minute", untold_);
  untold_ = 0;
  decider_.outcomes(std::span(&last_, 1));
}

}  // namespace agentbox::gates::network
