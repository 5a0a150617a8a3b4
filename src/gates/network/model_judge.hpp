#pragma once

// What of the requests to a model server passes (model_api.hpp), as a judge of the relay.

#include "http_relay.hpp"

namespace agentbox::gates::network {

[[nodiscard]] HttpRelay::Judge model_judge();

}  // namespace agentbox::gates::network
