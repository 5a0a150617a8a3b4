#include "first_bytes.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

#include <sys/socket.h>

#include "sniff.hpp"

namespace agentbox::gates::network {

Protocol protocol_of(std::string_view bytes) noexcept {
  switch (speech_of(bytes)) {
    case Speech::need_more: return Protocol::unknown;
    case Speech::tls: return Protocol::tls;
    case Speech::http: return Protocol::http;
    case Speech::other: return Protocol::other;
  }
  return Protocol::unknown;
}

std::string_view name_of(Protocol protocol) noexcept {
  switch (protocol) {
    case Protocol::unknown: return "nothing was said yet";
    case Protocol::tls: return "TLS";
    case Protocol::http: return "HTTP, not encrypted";
    case Protocol::other: return "neither TLS nor HTTP";
  }
  return "";
}

bool take(int socket, std::size_t count) {
  std::array<char, 4096> dropped;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled by recv
  while (count != 0) {
    const auto taken = ::recv(socket, dropped.data(), std::min(count, dropped.size()), MSG_DONTWAIT);
    if (taken < 0 && errno == EINTR) continue;
    if (taken <= 0) return false;
    count -= static_cast<std::size_t>(taken);
  }
  return true;
}

void set_low_water(int socket, std::size_t bytes) {
  const int value = static_cast<int>(bytes);
  ::setsockopt(socket, SOL_SOCKET, SO_RCVLOWAT, &value, sizeof value);
}

Peeked peek(int socket) {
  // One for all, and not on the stack, where it would be wiped each time.
  thread_local std::array<char, most_peeked> storage;
  ssize_t count = 0;
  do {
    count = ::recv(socket, storage.data(), storage.size(), MSG_PEEK | MSG_DONTWAIT);
  } while (count < 0 && errno == EINTR);
  return {.bytes = {storage.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0))},
          .ended = count == 0 || (count < 0 && errno != EAGAIN)};
}

}  // namespace agentbox::gates::network
