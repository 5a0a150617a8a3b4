// The end of a run: what was taken, what is held, what its owner wants to keep of it.

#include <algorithm>

#include <fmt/format.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/launch/quarantine.hpp"

#include "guard_git.hpp"
#include "guard_impl.hpp"

namespace agentbox::launch {

std::vector<GuardEvent> Guard::Impl::finish(const Judge& judge) {
  if (!folder_) return {};
  stop();
  for (const GuardedName& name : names_) {
    if (name.gone && !name.ancestor && !std::holds_alternative<plan::Mask>(*name.furnishing)) {
      record_.watched.push_back(name.host);
    }
  }
  try {
    settle(judge);
  } catch (const SystemError& error) {  // the record stays, and the next sweep tries again
    events_.push_back(
        {.kind = GuardEvent::Kind::unverified, .path = record_.workspace, .detail = error.what(), .id = {}});
  }
  folder_.reset();
  // What the agent could not keep from being listed is not worth failing for.
  try {
    for (GuardEvent& event : find_executing(*tree_, record_.git, kinds_, started_ns_, walks_.get())) {
      events_.push_back(std::move(event));
    }
  } catch (const SystemError& error) {
    events_.push_back(
        {.kind = GuardEvent::Kind::would_execute,
         .path = record_.workspace,
         .detail = fmt::format("could not be searched for what programs outside would execute: {}", error.what()),
         .id = {}});
  }
  return std::move(events_);
}

// False when something could not be settled.
bool Guard::Impl::note_all(std::vector<GuardEvent> events) {
  bool settled = true;
  for (GuardEvent& event : events) {
    settled = settled && event.kind != GuardEvent::Kind::unverified;
    events_.push_back(std::move(event));
  }
  return settled;
}

// Under the lock: another room's guard, or a sweep, may have the same held files and ghosts. Not while somebody is asked.
void Guard::Impl::settle(const Judge& judge) {
  bool settled = true;
  {
    RunsLock runs(state_folder_);
    for (const Taken& taken : unsealed_) seal(state_folder_, taken);
    unsealed_.clear();
    settled = note_all(take_strays(record_, *tree_, state_folder_, std::nullopt));
  }
  const Leftovers wanted = review(judge);
  {
    RunsLock runs(state_folder_);
    auto is_kept = [&](const HeldPath& held) {
      for (std::size_t i = 0; i < wanted.all.size(); ++i) {
        if (!wanted.ids[i].empty() || wanted.all[i].path != held.path) continue;
        return is_as_shown(*tree_, held.path, wanted.now[i]);
      }
      return false;
    };
    settled = note_all(settle_held(record_, *folder_, *tree_, state_folder_, std::nullopt, is_kept)) && settled;
    remove_ghosts(runs, record_, *tree_, state_folder_, known_ghosts_, spares_);
    if (settled) folder_->remove(runs, spares_);
  }
  put_back(wanted);
}

// Those that are to be kept.
Leftovers Guard::Impl::review(const Judge& judge) {
  if (!judge) return {};
  Leftovers found = find_leftovers(record_, *folder_, *tree_, state_folder_, events_);
  if (found.all.empty()) return {};
  const std::vector<Fate> fates = judge(found.all);
  Leftovers wanted;
  for (std::size_t i = 0; i < std::min(fates.size(), found.all.size()); ++i) {
    if (fates[i] != Fate::kept) continue;
    wanted.all.push_back(std::move(found.all[i]));
    wanted.ids.push_back(std::move(found.ids[i]));
    wanted.now.push_back(std::move(found.now[i]));
  }
  return wanted;
}

// Only now: while the record is there the guard itself would take it again.
void Guard::Impl::put_back(const Leftovers& wanted) {
  const Quarantine quarantine(state_folder_);
  for (const std::string& id : wanted.ids) {
    auto event = std::ranges::find_if(events_, [&](const GuardEvent& one) { return !id.empty() && one.id == id; });
    if (event == events_.end()) continue;
    try {
      base::Result<Quarantined> item = quarantine.find(id);
      base::Result<void> done = item ? quarantine.restore(*item) : std::unexpected(item.error());
      if (done) {
        event->kind = GuardEvent::Kind::kept;
        event->detail = "it was taken during the run, and is back as its owner said";
        event->id.clear();
      } else {
        event->detail += "; it could not be put back: " + done.error().front().message;
      }
    } catch (const SystemError& error) {
      event->detail += std::string("; it could not be put back: ") + error.what();
    }
  }
}

}  // namespace agentbox::launch
