#pragma once

#include <cerrno>

#include <sys/wait.h>

namespace agentbox::launch {

// Waits for the end of a child, whatever signals come meanwhile; its status as waitpid(2) has it, 0 if it is no child.
inline int reap(pid_t child) noexcept {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return 0;
  }
  return status;
}

}  // namespace agentbox::launch
