#pragma once

// Why a room can't find the program that it is to start: for people, after it failed or before it is tried.

#include <optional>

#include "agentbox/base/diagnostic.hpp"
#include "agentbox/policy/facts.hpp"
#include "agentbox/policy/policy.hpp"

namespace agentbox::launch {

// Looks at the host. Nothing where the room has the program, as far as can be told from outside; a script whose
// interpreter is missing is there, too. Precondition: policy.command is not empty.
[[nodiscard]] std::optional<base::Diagnostic> missing_program(const policy::Policy& policy,
                                                              const policy::HostFacts& facts);

}  // namespace agentbox::launch
