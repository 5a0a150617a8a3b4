#pragma once

// Which socket of the room a connection belongs to, asked of the kernel (sock_diag(7)) one connection at a time:
// /proc/PID/net/tcp walks through the table of the whole machine for each look, which takes milliseconds.

#include <cstdint>
#include <optional>

#include "agentbox/base/unique_fd.hpp"
#include "agentbox/gates/network/gate.hpp"

namespace agentbox::launch {

class SocketTable {
 public:
  // A socket of the network namespace that this process is in; empty where the kernel has no such thing.
  [[nodiscard]] static base::UniqueFd open() noexcept;

  // Of the namespace in which `socket` was opened.
  explicit SocketTable(base::UniqueFd socket) noexcept : socket_(std::move(socket)) {}

  // The inode of a TCP socket, never 0. Nothing: there is none, or the kernel doesn't say.
  [[nodiscard]] std::optional<std::uint32_t> inode_of(const gates::network::Ends& ends) noexcept;

 private:
  base::UniqueFd socket_;
  std::uint32_t asked_ = 0;
};

}  // namespace agentbox::launch
