#pragma once

// What the guard keeps an eye on, worked out from the policy and the plan. Pure.

#include <optional>
#include <vector>

#include "agentbox/base/path.hpp"
#include "agentbox/plan/plan.hpp"
#include "agentbox/policy/policy.hpp"

#include "guard_tree.hpp"

namespace agentbox::launch {

struct GuardedName {
  // forbidden: nothing may appear there. hidden: what appears is masked. mount: something is mounted there in
  // the room, and the mount falls off when the host replaces what it lies on.
  enum class Role { forbidden, hidden, mount } role = Role::forbidden;
  base::AbsPath host;                          // outside
  base::AbsPath target;                        // the same place in the room
  std::optional<plan::Furnishing> furnishing;  // of a mount: how it was placed
  bool directory = false;                      // of a mount: what it lies on
  bool ancestor = false;                       // of a mount: only there so that it can't be renamed
  // What stood there when the guard looked last.
  std::optional<Entry> seen;
  bool own = false;   // of a mount: the guard has just had it made; one event is its own
  bool gone = false;  // of a mount: the host took away what it lay on, and it stays away
};

// Where a path of the room is on the host, by the mounts of the policy; nothing for one in a private tmpfs.
[[nodiscard]] std::optional<base::AbsPath> on_host(const policy::Policy& policy, const base::AbsPath& target);
// Where a path of the host can be seen in the room. Most often once, at the same place; never, or more often.
[[nodiscard]] std::vector<base::AbsPath> in_room(const policy::Policy& policy, const base::AbsPath& host);

// Mounts in the order of placing, then the watched names.
[[nodiscard]] std::vector<GuardedName> guarded_names(const policy::Policy& policy, const plan::LaunchPlan& plan);

}  // namespace agentbox::launch
