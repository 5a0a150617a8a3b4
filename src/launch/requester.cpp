#include "requester.hpp"

#include <array>
#include <chrono>
#include <string>

#include <unistd.h>

#include <climits>

#include "process.hpp"

namespace agentbox::launch {

namespace {

constexpr std::size_t most_parents = 4;

// The room decides how many sockets, processes and descriptors there are to look through: a question that doesn't say who
// asks is better than a supervisor that stands still.
class Patience {
 public:
  [[nodiscard]] bool is_over() { return ++looks_ % 64 == 0 && std::chrono::steady_clock::now() > until_; }

 private:
  std::chrono::steady_clock::time_point until_ = std::chrono::steady_clock::now() + std::chrono::milliseconds(20);
  unsigned looks_ = 0;
};

std::string folder_of(pid_t pid) {
  return "/proc/" + std::to_string(pid);
}

std::string link_at(const std::string& path) {
  std::array<char, PATH_MAX> text{};
  const ssize_t size = ::readlink(path.c_str(), text.data(), text.size());
  return size < 0 ? std::string() : std::string(text.data(), static_cast<std::size_t>(size));
}

bool holds(pid_t pid, const std::string& socket, Patience& patience) {
  const std::string folder = folder_of(pid) + "/fd";
  for (pid_t fd : numbers_in(folder)) {
    if (patience.is_over()) return false;
    if (link_at(folder + "/" + std::to_string(fd)) == socket) return true;
  }
  return false;
}

std::string program_of(pid_t pid) {
  return link_at(folder_of(pid) + "/exe");
}

}  // namespace

std::optional<gates::network::Requester> find_requester(pid_t init, SocketTable& table,
                                                        const gates::network::Ends& ends) {
  const std::optional<std::uint32_t> inode = table.inode_of(ends);
  if (!inode) return std::nullopt;
  const std::string socket = "socket:[" + std::to_string(*inode) + "]";
  Patience patience;
  for (pid_t pid : glance_at_room(init)) {
    if (patience.is_over()) return std::nullopt;
    if (!holds(pid, socket, patience)) continue;
    gates::network::Requester found{.pid = static_cast<std::uint32_t>(pid), .program = program_of(pid), .parents = {}};
    for (pid_t at = parent_of(pid); at > 1 && at != init && found.parents.size() < most_parents; at = parent_of(at)) {
      found.parents.push_back(program_of(at));
    }
    return found;
  }
  return std::nullopt;
}

}  // namespace agentbox::launch
