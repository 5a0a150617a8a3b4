#include "files.hpp"

#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace agentbox::launch {

std::optional<std::string> read_all(int fd, std::size_t limit) {
  std::string bytes;
  char part[16384];
  while (true) {
    ssize_t count = ::read(fd, part, sizeof part);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return std::nullopt;
    if (count == 0) return bytes;
    if (bytes.size() + static_cast<std::size_t>(count) > limit) return std::nullopt;
    bytes.append(part, static_cast<std::size_t>(count));
  }
}

std::optional<std::string> read_regular(const base::AbsPath& path, std::size_t limit) {
  base::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
  struct stat seen{};
  if (!file || ::fstat(file.get(), &seen) != 0 || !S_ISREG(seen.st_mode)) return std::nullopt;
  if (static_cast<std::size_t>(seen.st_size) > limit) return std::nullopt;
  return read_all(file.get(), limit);
}

std::optional<std::string> read_kernel_file(const char* path, std::size_t limit) {
  base::UniqueFd file(::open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!file) return std::nullopt;
  return read_all(file.get(), limit);
}

}  // namespace agentbox::launch
