#pragma once

// Which program of the room holds a socket, found from outside in /proc: for the owner to see, never to rule by.

#include <optional>

#include <sys/types.h>

#include "agentbox/gates/network/gate.hpp"

#include "socket_table.hpp"

namespace agentbox::launch {

// `init`: the room's first process. `table`: of the room's network.
[[nodiscard]] std::optional<gates::network::Requester> find_requester(pid_t init, SocketTable& table,
                                                                      const gates::network::Ends& ends);

}  // namespace agentbox::launch
