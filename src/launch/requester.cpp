#include "requester.hpp"

#include <array>
#include <chrono>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

#include <netinet/in.h>
#include <unistd.h>

#include <climits>
#include <fmt/format.h>

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

std::uint16_t port_of(const sockaddr_storage& address) {
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
                                             : reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

std::string folder_of(pid_t pid) {
  return "/proc/" + std::to_string(pid);
}

std::string link_at(const std::string& path) {
  std::array<char, PATH_MAX> text{};
  const ssize_t size = ::readlink(path.c_str(), text.data(), text.size());
  return size < 0 ? std::string() : std::string(text.data(), static_cast<std::size_t>(size));
}

// The socket of the room's network whose own port is this one, as /proc/PID/net/tcp lists them: the second word ends in
// the port, in four hexadecimal digits, and the tenth is the inode. "socket:[4711]", or nothing.
std::string socket_at(const std::string& table, std::uint16_t port, Patience& patience) {
  std::ifstream file(table);
  std::string line;
  std::getline(file, line);
  // A crowd has thousands of lines: only the one that is sought is taken apart.
  const std::string wanted = fmt::format(":{:04X} ", port);
  while (!patience.is_over() && std::getline(file, line)) {
    const std::size_t local = line.find(": ");
    const std::size_t end = local == std::string::npos ? local : line.find(' ', local + 2);
    if (end == std::string::npos || line.compare(end - 5, wanted.size(), wanted) != 0) continue;
    std::istringstream words(line);
    std::string inode;
    for (int i = 1; i <= 10; ++i) words >> inode;
    if (inode != "0") return "socket:[" + inode + "]";
  }
  return {};
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

std::optional<gates::network::Requester> find_requester(pid_t init, const sockaddr_storage& peer) {
  Patience patience;
  std::string socket = socket_at(folder_of(init) + "/net/tcp", port_of(peer), patience);
  if (socket.empty()) socket = socket_at(folder_of(init) + "/net/tcp6", port_of(peer), patience);
  if (socket.empty()) return std::nullopt;
  for (pid_t pid : room_processes(init)) {
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
