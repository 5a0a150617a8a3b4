#pragma once

// What the agent cloned or made is listed at the end of a run, with what it would execute on the host.

#include <cstdint>
#include <string>
#include <vector>

#include "agentbox/launch/guard.hpp"
#include "agentbox/policy/policy.hpp"

#include "guard_tree.hpp"
#include "record.hpp"

namespace agentbox::launch {

class WalkStore;

// What counts as a kind at the root of a repository or package, relative to it: ".envrc", ".vscode".
[[nodiscard]] std::vector<std::string> kinds_of(const policy::Policy& policy);

// Repositories that the record doesn't know, and packages whose marker file was born after `since_ns`, in the whole
// workspace but for folders that packages fill (node_modules, ...), or only at its top and one level below it; each that
// would execute something, once. This informs, it protects nothing: so at its bound it says so and stops. `walks` spares it what hasn't changed since the start.
enum class SearchDepth { near_the_top, whole };
[[nodiscard]] std::vector<GuardEvent> find_executing(const Tree& tree, const std::vector<GitRecord>& known,
                                                     const std::vector<std::string>& kinds, std::int64_t since_ns,
                                                     SearchDepth depth, const WalkStore* walks = nullptr);

}  // namespace agentbox::launch
