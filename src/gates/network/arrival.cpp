#include "arrival.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
// After netinet/in.h, whose names it then leaves alone.
#include <linux/netfilter_ipv4.h>

namespace agentbox::gates::network {

namespace {

constexpr int original_destination_v6 = 80;  // IP6T_SO_ORIGINAL_DST; its header doesn't go with netinet/in.h

struct Found {
  sockaddr_storage address{};
  socklen_t size = sizeof(sockaddr_storage);
  sockaddr* out() { return reinterpret_cast<sockaddr*>(&address); }
};

bool find_original(int socket, int family, Found& found) {
  const int level = family == AF_INET ? SOL_IP : SOL_IPV6;
  const int option = family == AF_INET ? SO_ORIGINAL_DST : original_destination_v6;
  return ::getsockopt(socket, level, option, &found.address, &found.size) == 0;
}

}  // namespace

std::optional<Target> original_destination(int socket, int family) {
  Found found;
  if (!find_original(socket, family, found)) return std::nullopt;
  return Target::of(found.out(), found.size);
}

std::optional<Ends> ends_of(int socket) {
  Found own, other;
  if (::getpeername(socket, own.out(), &own.size) != 0) return std::nullopt;
  // What wasn't redirected was made to where it is.
  if (!find_original(socket, own.address.ss_family, other)) {
    other.size = sizeof other.address;
    if (::getsockname(socket, other.out(), &other.size) != 0) return std::nullopt;
  }
  return Ends{.own = own.address, .other = other.address};
}

}  // namespace agentbox::gates::network
