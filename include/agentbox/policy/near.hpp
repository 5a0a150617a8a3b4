#pragma once

// A command that no rule grants though one was probably meant to: for a hint, never for a decision. Pure.

#include <string>
#include <vector>

#include "agentbox/policy/ruling.hpp"

namespace agentbox::policy {

// One clause, escaped: which granting rule would match `argv` but for its options, and, where that is harmless to say,
// the rule that would. Empty: none is near, or one matches. It is shown to the agent: an option with a value of its own
// ("--receive-pack=x") is never put into a rule here, since it may name a program.
[[nodiscard]] std::string near_rule(const Rules& rules, const std::vector<std::string>& argv);

}  // namespace agentbox::policy
