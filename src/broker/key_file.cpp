#include "key_file.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/base/unique_fd.hpp"

namespace agentbox::broker {

std::expected<std::string, std::string> read_key(const base::AbsPath& file) {
  constexpr std::size_t most = 4096;
  auto wrong = [&](const std::string& why) { return std::unexpected(base::escape(file.str()) + " " + why); };
  // A FIFO is not waited for.
  const base::UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat info{};
  if (!fd || ::fstat(fd.get(), &info) != 0) return wrong("can't be read: " + base::errno_text(errno));
  if (!S_ISREG(info.st_mode)) return wrong("is no file");
  if ((info.st_mode & 077U) != 0) return wrong("is open to others: chmod 600");
  std::array<char, most + 1> bytes{};
  std::size_t size = 0;
  while (size < bytes.size()) {
    const ssize_t count = ::read(fd.get(), bytes.data() + size, bytes.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return wrong("can't be read: " + base::errno_text(errno));
    if (count == 0) break;
    size += static_cast<std::size_t>(count);
  }
  if (size > most) return wrong("is longer than 4 KiB");
  std::string key(bytes.data(), size);
  key.resize(std::min(key.find('\n'), key.size()));
  if (key.ends_with('\r')) key.pop_back();
  const bool plain = std::ranges::all_of(key, [](char c) { return c > ' ' && c <= '~'; });
  if (key.empty() || !plain) return wrong("holds no key: its first line must be plain ASCII without blanks");
  return key;
}

}  // namespace agentbox::broker
