#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "agentbox/gates/network/splicer.hpp"

namespace agentbox::gates::network {

Target Target::of(const sockaddr* address, socklen_t size) noexcept {
  Target target;
  std::memcpy(&target.address_, address, std::min<std::size_t>(size, sizeof target.address_));
  target.size_ = size;
  return target;
}

std::uint16_t Target::port() const noexcept {
  return ntohs(family() == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(address_).sin6_port
                                    : reinterpret_cast<const sockaddr_in&>(address_).sin_port);
}

std::string Target::text() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* bytes = &reinterpret_cast<const sockaddr_in&>(address_).sin_addr;
  int form = AF_INET;
  if (family() == AF_INET6) {
    const in6_addr& six = reinterpret_cast<const sockaddr_in6&>(address_).sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&six)) {
      bytes = &six.s6_addr[12];
    } else {
      bytes = &six;
      form = AF_INET6;
    }
  }
  return ::inet_ntop(form, bytes, text.data(), text.size()) == nullptr ? std::string() : std::string(text.data());
}

Target Target::loopback(int family, std::uint16_t port) noexcept {
  Target target;
  if (family == AF_INET6) {
    auto& address = reinterpret_cast<sockaddr_in6&>(target.address_);
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(port);
    address.sin6_addr = in6addr_loopback;
    target.size_ = sizeof address;
  } else {
    auto& address = reinterpret_cast<sockaddr_in&>(target.address_);
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    target.size_ = sizeof address;
  }
  return target;
}

base::UniqueFd own_socket(int family) {
  return base::UniqueFd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

}  // namespace agentbox::gates::network
