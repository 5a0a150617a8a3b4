#pragma once

// Where a captured connection was going to, and both its ends as the room's program has them.

#include <optional>

#include "agentbox/gates/network/gate.hpp"
#include "agentbox/gates/network/splicer.hpp"

namespace agentbox::gates::network {

// Nothing: the connection was made to the listener itself. `family`: AF_INET or AF_INET6.
[[nodiscard]] std::optional<Target> original_destination(int socket, int family);

// Nothing: it is gone already.
[[nodiscard]] std::optional<Ends> ends_of(int socket);

}  // namespace agentbox::gates::network
