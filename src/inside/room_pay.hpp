#pragma once

// Asks for a payment, and waits for what became of it.

#include "agentbox/wire/broker_message.hpp"

namespace agentbox::inside {

// The exit code.
[[nodiscard]] int pay(const wire::PaymentRequest& payment);

}  // namespace agentbox::inside
