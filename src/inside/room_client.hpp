#pragma once

// The room's end of request.sock.

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "agentbox/base/unique_fd.hpp"
#include "agentbox/wire/broker_message.hpp"

namespace agentbox::inside {

class RoomClient {
 public:
  // Nothing when nobody listens there; errno says why.
  [[nodiscard]] static std::optional<RoomClient> connect(const std::string& path);

  [[nodiscard]] int fd() const noexcept { return socket_.get(); }
  // False: the broker is gone. `with`: a descriptor that travels beside its first byte, -1 for none.
  [[nodiscard]] bool send(const wire::FromRoom& message, int with = -1);

  struct Heard {
    wire::ToRoom message;
    std::vector<base::UniqueFd> with;  // of command.started
  };
  enum class State { open, closed };
  // Reads once what is there, waiting for it if nothing is; messages come into `heard`.
  [[nodiscard]] State receive(std::deque<Heard>& heard);

 private:
  explicit RoomClient(base::UniqueFd socket) : socket_(std::move(socket)) {}

  base::UniqueFd socket_;
  wire::LineSplitter splitter_;
  std::vector<base::UniqueFd> arrived_;
};

// Where the broker listens.
[[nodiscard]] std::string socket_path();

}  // namespace agentbox::inside
