#pragma once

#include <chrono>
#include <memory>

#include "agentbox/base/path.hpp"
#include "agentbox/broker/broker.hpp"

namespace boost::asio {
class io_context;
}

namespace agentbox::broker {

// control.sock of one session: the owner's `agentbox approve` and scripts connect to it, see the open questions and
// answer them. It is never in a room. A peer must be this user, and must not be in another pid namespace: NSpid in
// /proc/PID/status has one entry on the host (proc_pid_status(5)); /proc/PID/ns of an sshd session isn't readable.
class ControlServer {
 public:
  struct About {
    std::string workspace;     // empty: there is no room
    std::int64_t started = 0;  // milliseconds since 1970
  };
  // Makes the socket, mode 0600. Throws base::SystemError. The rest of a line is waited for as long as `half_line`.
  ControlServer(boost::asio::io_context& loop, Broker& broker, const base::AbsPath& socket, About about,
                std::chrono::milliseconds half_line = std::chrono::seconds(10));
  // Closes all connections and removes the socket.
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  static constexpr std::size_t most_connections = 32;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace agentbox::broker
