#pragma once

// Git directories at the start and at the end of a run: no link that the agent put into one stays.

#include <cstdint>
#include <string>
#include <vector>

#include "agentbox/launch/guard.hpp"
#include "agentbox/policy/policy.hpp"

#include "guard_tree.hpp"
#include "held.hpp"
#include "record.hpp"

namespace agentbox::launch {

[[nodiscard]] std::vector<GitRecord> record_git(const Tree& tree, const std::vector<policy::GitFact>& repositories);

// Takes the links that are new or lead elsewhere now. Throws when not all of the directory could be looked
// at.
[[nodiscard]] std::vector<GuardEvent> take_git_links(Settling& settling, const GitRecord& git);

// " (the branch was switched ...)" when a HEAD is not what it was; empty otherwise.
[[nodiscard]] std::string switched_note(const Tree& tree, const std::vector<GitRecord>& git);

}  // namespace agentbox::launch
