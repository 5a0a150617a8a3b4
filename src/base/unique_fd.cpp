#include "agentbox/base/unique_fd.hpp"

#include <unistd.h>

namespace agentbox::base {

void UniqueFd::reset(int fd) noexcept {
  if (fd_ >= 0) ::close(fd_);  // EINTR: Linux has closed it all the same (close(2)), a second try could hit another's
  fd_ = fd;
}

}  // namespace agentbox::base
