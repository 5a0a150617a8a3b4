#include "sealed.hpp"

#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace agentbox::gates::requests {

std::expected<std::uint64_t, std::string> sealed_size(const base::UniqueFd& memory) {
  if (!memory) return std::unexpected("the content must come beside the line, as exactly one descriptor");
  struct stat info{};
  // Only what lives in memory knows seals: a file, a pipe or a socket gives EINVAL.
  const int seals = ::fcntl(memory.get(), F_GET_SEALS);
  constexpr int needed = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK;
  if (seals < 0 || ::fstat(memory.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return std::unexpected("the content must come in a memfd");
  }
  if ((seals & needed) != needed) {
    return std::unexpected("the content must be sealed against writing, growing and shrinking");
  }
  return static_cast<std::uint64_t>(info.st_size);
}

std::optional<std::string> read_part(const base::UniqueFd& memory, std::uint64_t offset, std::uint64_t size) {
  std::string bytes(size, '\0');
  for (std::uint64_t done = 0; done < size;) {
    const ssize_t count = ::pread(memory.get(), bytes.data() + done, size - done, static_cast<off_t>(offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return std::nullopt;
    done += static_cast<std::uint64_t>(count);
  }
  return bytes;
}

}  // namespace agentbox::gates::requests
