#pragma once

// What a host command's environment holds: written here, name by name. Nothing of it comes from the room. Pure.

#include <string>
#include <vector>

#include "agentbox/gates/commands/command_gate.hpp"
#include "agentbox/policy/action.hpp"

namespace agentbox::gates::commands {

// "NAME=value", each name once.
[[nodiscard]] std::vector<std::string> fixed_environment(const Owner& owner, const std::string& search_path,
                                                         const policy::Command& command);

}  // namespace agentbox::gates::commands
