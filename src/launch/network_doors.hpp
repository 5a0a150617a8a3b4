#pragma once

// The network of one room, as its supervisor serves it: granted ports of the loopback, published ports, and the gate
// through which every other connection goes.

#include <memory>
#include <string>
#include <vector>

#include <sys/types.h>

#include "agentbox/launch/room.hpp"
#include "agentbox/policy/policy.hpp"

#include "capture.hpp"

namespace boost::asio {
class io_context;
}
namespace agentbox::broker {
class Decider;
}

namespace agentbox::launch {

class NetworkDoors {
 public:
  // `init`: the room's first process. `session`: its id, which published pages are named after. Throws base::SystemError.
  NetworkDoors(boost::asio::io_context& loop, broker::Decider& decider, const policy::Policy& policy, Room& room,
               pid_t init, const std::string& session, std::vector<Listener> listeners);
  ~NetworkDoors();
  NetworkDoors(const NetworkDoors&) = delete;
  NetworkDoors& operator=(const NetworkDoors&) = delete;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace agentbox::launch
