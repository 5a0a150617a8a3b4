#pragma once

// From fork to exec of a host command. Nothing else happens here, since between the two there may be only system calls.

#include <array>

#include <sys/types.h>

#include "agentbox/base/unique_fd.hpp"

namespace agentbox::gates::commands {

// Everything is made before the fork. The descriptors are close-on-exec and not 0, 1 or 2.
struct Child {
  int program = -1;              // executed itself...
  const char* script = nullptr;  // ...unless this path is
  char* const* argv = nullptr;
  char* const* environment = nullptr;
  int directory = -1;
  std::array<int, 3> streams{-1, -1, -1};
  enum class Terminal : unsigned char { none, controlling } terminal = Terminal::none;  // stream 0 is one
};

// The leader of a session and process group of its own, already executing; `error` is 0 then, else errno and nothing
// runs. Throws base::SystemError when it can't fork.
struct Born {
  pid_t pid = -1;
  base::UniqueFd pidfd;
  int error = 0;
};
[[nodiscard]] Born give_birth(const Child& child);

}  // namespace agentbox::gates::commands
