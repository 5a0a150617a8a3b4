#pragma once

// `agentbox send`, from what is read to the last word about it.

#include <string>
#include <vector>

#include "agentbox/wire/broker_message.hpp"

namespace agentbox::inside {

// The body is standard input; `paths` are the attachments. Of `message` sizes and names are filled in here. Returns the
// exit code.
[[nodiscard]] int send(wire::MessageRequest message, const std::vector<std::string>& paths);

}  // namespace agentbox::inside
