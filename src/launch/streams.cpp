#include "streams.hpp"

#include <cerrno>
#include <string>

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agentbox/base/error.hpp"

namespace agentbox::launch {

namespace {

constexpr std::array<const char*, 3> names = {"standard input", "standard output", "standard error"};

bool is_null_device(const struct stat& info) {
  // Linux: character device 1:3 (Documentation/admin-guide/devices.txt).
  return S_ISCHR(info.st_mode) && major(info.st_rdev) == 1 && minor(info.st_rdev) == 3;
}

StreamKind judge(int fd) {
  const std::string name = names.at(static_cast<std::size_t>(fd));
  struct stat info{};
  if (::fstat(fd, &info) != 0) throw base::SystemError(errno, "cannot look at " + name);
  if (S_ISCHR(info.st_mode) && ::isatty(fd) == 1) return StreamKind::terminal;
  if (S_ISFIFO(info.st_mode) || S_ISSOCK(info.st_mode) || S_ISREG(info.st_mode) || is_null_device(info)) {
    return StreamKind::passed;
  }
  if (S_ISDIR(info.st_mode)) {
    throw base::SystemError(0, name + " is a directory, which the room could walk out through",
                            "redirect it from a file or /dev/null");
  }
  // An anonymous inode (eventfd, signalfd, ...) or a device could give the room powers that the profile
  // doesn't.
  throw base::SystemError(0, name + " is a device that does not belong into the room",
                          "redirect it from or to a file, a pipe or /dev/null");
}

}  // namespace

bool Streams::any_terminal() const {
  return terminal_bits() != 0;
}

unsigned Streams::terminal_bits() const {
  unsigned bits = 0;
  for (unsigned stream = 0; stream < kind.size(); ++stream) {
    if (kind.at(stream) == StreamKind::terminal) bits |= 1U << stream;
  }
  return bits;
}

Streams judge_streams() {
  Streams streams;
  for (int fd = 0; fd < 3; ++fd) streams.kind.at(static_cast<std::size_t>(fd)) = judge(fd);
  return streams;
}

}  // namespace agentbox::launch
