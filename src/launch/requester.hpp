#pragma once

// Which program of the room holds a socket, found from outside in /proc: for the owner to see, never to rule by.

#include <optional>

#include <sys/socket.h>
#include <sys/types.h>

#include "agentbox/gates/network/gate.hpp"

namespace agentbox::launch {

// `init`: the room's first process. `peer`: the address of the room's end of a TCP connection.
[[nodiscard]] std::optional<gates::network::Requester> find_requester(pid_t init, const sockaddr_storage& peer);

}  // namespace agentbox::launch
