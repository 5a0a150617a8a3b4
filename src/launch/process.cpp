#include "process.hpp"

#include <array>
#include <cstdlib>
#include <string_view>

#include <fcntl.h>
#include <unistd.h>

#include "agentbox/base/unique_fd.hpp"

namespace agentbox::launch {

ProcessStat read_stat(const std::string& path) {
  base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 1024> buffer{};
  ssize_t count = fd ? ::read(fd.get(), buffer.data(), buffer.size() - 1) : 0;
  if (count <= 0) return {};
  std::string_view text(buffer.data(), static_cast<std::size_t>(count));
  // "pid (name) state ppid ...": the name may hold anything, so count from its end.
  std::size_t at = text.rfind(") ");
  ProcessStat stat;
  for (int field = 2; at != std::string_view::npos; ++field, at = text.find(' ', at + 1)) {
    const char* value = text.data() + at + 1;  // the buffer ends in a zero byte
    if (field == 3) stat.state = *value;
    if (field == 4) stat.parent = static_cast<pid_t>(std::strtol(value, nullptr, 10));
    if (field == 22) {
      stat.start_time = std::strtoull(value, nullptr, 10);
      break;
    }
  }
  return stat;
}

ProcessStat stat_of(pid_t pid) {
  return read_stat("/proc/" + std::to_string(pid) + "/stat");
}

pid_t parent_of(pid_t pid) {
  return stat_of(pid).parent;
}

}  // namespace agentbox::launch
