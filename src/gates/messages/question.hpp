#pragma once

// What a person is shown of a message before he says yes: all of it. How the limits stand, and who is a stranger, the
// broker adds. Pure.

#include <optional>
#include <string>
#include <vector>

#include "agentbox/broker/decider.hpp"
#include "agentbox/gates/commands/programs.hpp"

namespace agentbox::gates::messages {

// `raw`: the recipients as they were written. `program`: nothing where the message is posted.
[[nodiscard]] broker::Asked question_about(const policy::Message& message, const std::vector<std::string>& raw,
                                           const policy::Rules::Way& way,
                                           const std::optional<commands::Measured>& program, std::string said);

}  // namespace agentbox::gates::messages
