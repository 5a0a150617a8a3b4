#pragma once

// What the agent cloned or made is listed at the end of a run, with what it would execute on the host.

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "agentbox/launch/guard.hpp"
#include "agentbox/policy/policy.hpp"

#include "guard_tree.hpp"
#include "record.hpp"

namespace agentbox::launch {

class WalkStore;

// The profile's kinds, and what of them is guarded: it is settled elsewhere.
struct Kinds {
  std::vector<std::string> executed, obeyed;  // relative to a root: ".envrc", ".vscode"; "AGENTS.md"
  std::set<base::AbsPath> guarded;
};
[[nodiscard]] Kinds kinds_of(const policy::Policy& policy);

// What of a run's work the host would execute or obey: repositories that the record doesn't know, kinds at any place,
// and what `git rebase --continue` would run. In the whole workspace but for folders that packages fill (node_modules,
// ...). Each that was made or changed after `since_ns`, once. This informs, it protects nothing; but what it could not
// look at it says. `walks` spares it what hasn't changed since the start.
[[nodiscard]] std::vector<GuardEvent> find_executing(const Tree& tree, const std::vector<GitRecord>& known,
                                                     const Kinds& kinds, std::int64_t since_ns,
                                                     const WalkStore* walks = nullptr);

}  // namespace agentbox::launch
