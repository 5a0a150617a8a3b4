#pragma once

// A part of a stream whose length is known, moved from socket to socket by splice(2): the body of a message whose head was
// read. A small one is copied by whoever reads the head; this is for what is worth a pipe.

#include <cstddef>
#include <cstdint>
#include <optional>

#include "pipe_pool.hpp"

namespace agentbox::gates::network {

class Bulk {
 public:
  static constexpr std::uint64_t worth = 256 * 1024;         // bytes
  static constexpr std::uint64_t at_once = 2 * 1024 * 1024;  // that one call moves; less

  enum class Moved : std::uint8_t {
    turn_over,    // others have their turn now
    all,          // nothing is wanted any more, nothing is on its way
    source_dry,   // what may be read is read, and sent on
    sink_full,    // some of it waits here
    source_over,  // it ended or broke before all was said
    sink_broken,
  };
  struct Result {
    Moved moved = Moved::all;
    std::uint64_t taken = 0, sent = 0;  // bytes
  };
  // Both sockets are non-blocking. At most `wanted` bytes are taken from the source.
  [[nodiscard]] Result move(int source, int sink, std::uint64_t wanted);
  [[nodiscard]] bool holds() const noexcept { return held_ != 0; }

 private:
  std::optional<Pipe> pipe_;  // while there is something to move
  std::size_t held_ = 0;
};

}  // namespace agentbox::gates::network
