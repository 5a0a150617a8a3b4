#include "room_client.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace agentbox::inside {

std::string socket_path() {
  // Whoever sets it could as well start another program: nothing outside relies on which broker is asked.
  if (const char* path = std::getenv("AGENTBOX_SOCKET")) return path;
  return "/run/agentbox/request.sock";
}

std::optional<RoomClient> RoomClient::connect(const std::string& path) {
  base::UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (!socket || path.size() >= sizeof address.sun_path) return {};
  path.copy(address.sun_path, path.size());
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return {};
  return RoomClient(std::move(socket));
}

bool RoomClient::send(const wire::FromRoom& message, int with) {
  std::string line = wire::encode(message);
  for (std::size_t done = 0; done < line.size();) {
    iovec part{line.data() + done, line.size() - done};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr whole{};
    whole.msg_iov = &part;
    whole.msg_iovlen = 1;
    if (done == 0 && with >= 0) {
      whole.msg_control = control.data();
      whole.msg_controllen = control.size();
      cmsghdr* header = CMSG_FIRSTHDR(&whole);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(sizeof with);
      std::memcpy(CMSG_DATA(header), &with, sizeof with);
    }
    ssize_t count = ::sendmsg(socket_.get(), &whole, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    done += static_cast<std::size_t>(count);
  }
  return true;
}

RoomClient::State RoomClient::receive(std::deque<Heard>& heard) {
  std::array<char, 16384> bytes{};
  iovec part{bytes.data(), bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(16 * sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t count = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
  if (count < 0 && errno == EINTR) return State::open;
  if (count <= 0) return State::closed;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    for (std::size_t at = 0; at + sizeof(int) <= header->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + at, sizeof fd);
      arrived_.emplace_back(fd);
    }
  }
  std::string_view rest(bytes.data(), static_cast<std::size_t>(count));
  std::string line;
  while (splitter_.take(rest, line) == wire::LineSplitter::Split::line) {
    auto decoded = wire::decode_to_room(line);
    if (!decoded) return State::closed;
    Heard one{*std::move(decoded), {}};
    if (std::holds_alternative<wire::CommandStarted>(one.message.body)) one.with = std::exchange(arrived_, {});
    heard.push_back(std::move(one));
  }
  return State::open;
}

}  // namespace agentbox::inside
