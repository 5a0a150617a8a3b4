#pragma once

#include <cerrno>
#include <cstdint>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agentbox/base/unique_fd.hpp"

namespace agentbox::gates {

// openat2(2), close-on-exec, with `resolve` as it takes it. Empty, with errno, when it can't be opened. Tries again
// after a signal, and while somebody renames so that the kernel can't tell whether a path led out: who does that on end
// gets EAGAIN.
inline base::UniqueFd open_beneath(int directory, const char* path, std::uint64_t flags,
                                   std::uint64_t resolve) noexcept {
  constexpr int attempts = 100;
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.resolve = resolve;
  long fd = -1;
  for (int attempt = 0; attempt < attempts; ++attempt) {
    fd = ::syscall(SYS_openat2, directory, path, &how, sizeof how);
    if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) break;
  }
  return base::UniqueFd(static_cast<int>(fd));
}

}  // namespace agentbox::gates
