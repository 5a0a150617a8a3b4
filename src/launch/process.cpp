#include "process.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string_view>

#include <dirent.h>
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

std::vector<pid_t> numbers_in(const std::string& path) {
  std::vector<pid_t> numbers;
  DIR* directory = ::opendir(path.c_str());
  if (directory == nullptr) return numbers;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): this stream is ours alone
  while (const dirent* entry = ::readdir(directory)) {
    if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9') {
      numbers.push_back(static_cast<pid_t>(std::strtol(entry->d_name, nullptr, 10)));
    }
  }
  ::closedir(directory);
  return numbers;
}

std::vector<pid_t> room_processes(pid_t init) {
  std::multimap<pid_t, pid_t> children;
  for (pid_t pid : numbers_in("/proc")) {
    children.emplace(parent_of(pid), pid);
  }
  std::vector<pid_t> room = {init};
  for (std::size_t next = 0; next < room.size(); ++next) {
    auto [first, last] = children.equal_range(room[next]);
    for (; first != last; ++first) room.push_back(first->second);
  }
  return room;
}

std::vector<pid_t> glance_at_room(pid_t init) {
  std::vector<pid_t> room = {init};
  for (std::size_t next = 0; next < room.size(); ++next) {
    const std::string tasks = "/proc/" + std::to_string(room[next]) + "/task";
    for (pid_t thread : numbers_in(tasks)) {
      std::ifstream children(tasks + "/" + std::to_string(thread) + "/children");
      if (!children && errno == ENOENT && room[next] == init) return room_processes(init);  // a kernel without it
      for (pid_t child = 0; children >> child;) room.push_back(child);
    }
  }
  return room;
}

}  // namespace agentbox::launch
