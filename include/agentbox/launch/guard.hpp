#pragma once

// Holds what mounts alone can't: file kinds that don't exist yet, held files, mounts that fell off because the host
// replaced a file, and the empty directories that must not stay behind (DESIGN §4, "two grades").

#include <memory>
#include <string>
#include <vector>

#include "agentbox/base/path.hpp"
#include "agentbox/launch/room.hpp"
#include "agentbox/plan/plan.hpp"
#include "agentbox/policy/policy.hpp"

namespace boost::asio {
class io_context;
}

namespace agentbox::launch {

// One thing that the guard did, for the summary at the end and for --status-fd.
struct GuardEvent {
  enum class Kind { quarantined, restored, kept, placed_again, would_execute, unverified } kind;
  base::AbsPath path;
  std::string detail;   // one sentence; the quarantine's id for `quarantined`
};

class Guard {
 public:
  // Before the spawn: writes the record of this run to the state folder (what it will make, what it holds) and copies
  // the held files. After a kill -9, `sweep` finds the record. `session` names the run.
  Guard(const policy::Policy& policy, const plan::LaunchPlan& plan, const base::AbsPath& state_folder,
        std::string session);
  ~Guard();
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

  // After the room is furnished and before the agent starts: from here on it watches.
  void watch(boost::asio::io_context& loop, Room& room);
  // After the room is dead: the last scan, the held files (`keep` decides where a human can be asked; until the broker
  // exists nobody can: they are restored and the agent's version goes to quarantine), removal of ghosts and record.
  [[nodiscard]] std::vector<GuardEvent> finish();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// Clears what killed runs left: ghost directories that are still empty, held files that were never settled, stale
// session folders. Says what it did. Runs of living supervisors are left alone.
struct Swept { base::AbsPath path; std::string what; };
[[nodiscard]] std::vector<Swept> sweep(const base::AbsPath& state_folder);

}  // namespace agentbox::launch
