#pragma once

// What a person is shown of a payment before he says yes; how the limits stand, the broker adds. Pure.

#include <string>

#include "agentbox/broker/decider.hpp"
#include "agentbox/gates/commands/programs.hpp"

namespace agentbox::gates::spending {

[[nodiscard]] broker::Asked question_about(const policy::Payment& payment, const commands::Measured& program,
                                           std::string said);

}  // namespace agentbox::gates::spending
