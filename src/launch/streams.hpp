#pragma once

// The three standard streams, each judged by itself (DESIGN §4.2): what may enter the room and what must not.

#include <array>

#include "agentbox/base/unique_fd.hpp"

namespace agentbox::launch {

enum class StreamKind {
  terminal,  // never enters the room: the room's own terminal takes its place
  passed     // a pipe, a socket, a regular file or /dev/null: passes as it is
};

struct Streams {
  std::array<StreamKind, 3> kind{};
  [[nodiscard]] bool any_terminal() const;
  // Bit i: stream i is a terminal. As wire::Start has it.
  [[nodiscard]] unsigned terminal_bits() const;
};

// Looks at fds 0, 1, 2. Throws base::SystemError for a directory (on stdin it would be a way out of the room)
// and for any device but /dev/null. main has put /dev/null where one was closed.
[[nodiscard]] Streams judge_streams();

}  // namespace agentbox::launch
