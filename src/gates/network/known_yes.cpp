#include "known_yes.hpp"

namespace agentbox::gates::network {

using Verdict = broker::Verdict;

namespace {

// A remembered answer can be taken back while we run.
constexpr std::chrono::seconds remembered_holds{60};
// The room chooses the names, so there is an end to them; what is forgotten is decided again.
constexpr std::size_t most_known = 4096;

}  // namespace

Key key_of(const policy::Connect& action) {
  return {action.host, action.port};
}

std::shared_ptr<const Verdict> KnownYes::find(const Key& key, Clock::time_point now) {
  const std::scoped_lock lock(mutex_);
  const auto yes = yes_.find(key);
  if (yes == yes_.end()) return nullptr;
  if (now < yes->second.until) return yes->second.verdict;
  yes_.erase(yes);
  return nullptr;
}

// A person's yes is never the one that makes room: it would be asked for again.
void KnownYes::keep(const Key& key, const Verdict& verdict, Clock::time_point now) {
  const std::scoped_lock lock(mutex_);
  if (yes_.size() >= most_known) {
    std::erase_if(yes_, [now](const auto& yes) {
      return yes.second.verdict->by != Verdict::By::human || yes.second.until <= now;
    });
  }
  yes_.insert_or_assign(key, Yes{std::make_shared<const Verdict>(verdict), now + holds(verdict)});
}

std::chrono::seconds KnownYes::holds(const Verdict& verdict) const {
  switch (verdict.by) {
    case Verdict::By::rule: return std::chrono::hours(24 * 365);  // rules don't change while a room runs
    case Verdict::By::human: return once_holds_;
    default: return remembered_holds;
  }
}

}  // namespace agentbox::gates::network
