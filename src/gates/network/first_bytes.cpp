#include "first_bytes.hpp"

#include <algorithm>
#include <cerrno>

#include <sys/socket.h>

namespace agentbox::gates::network {

namespace {

using std::string_view_literals::operator""sv;

// RFC 9110, RFC 5789, WebDAV (RFC 4918, 3253, 5323), and the preface of HTTP/2, which is spoken without TLS by nobody
// who wants to be understood.
constexpr std::array methods = {"GET "sv,        "HEAD "sv,     "POST "sv,  "PUT "sv,    "DELETE "sv,   "CONNECT "sv,
                                "OPTIONS "sv,    "TRACE "sv,    "PATCH "sv, "PRI * "sv,  "PROPFIND "sv, "PROPPATCH "sv,
                                "MKCOL "sv,      "COPY "sv,     "MOVE "sv,  "LOCK "sv,   "UNLOCK "sv,   "REPORT "sv,
                                "MKACTIVITY "sv, "CHECKOUT "sv, "MERGE "sv, "SEARCH "sv, "QUERY "sv};
constexpr char handshake = 0x16;

}  // namespace

Protocol protocol_of(std::string_view bytes) noexcept {
  if (bytes.empty()) return Protocol::unknown;
  if (bytes.front() == handshake) {
    if (bytes.size() < 3) return bytes.size() == 2 && bytes[1] != 3 ? Protocol::other : Protocol::unknown;
    return bytes[1] == 3 ? Protocol::tls : Protocol::other;
  }
  // Servers take an empty line before a request.
  while (!bytes.empty() && (bytes.front() == '\r' || bytes.front() == '\n')) bytes.remove_prefix(1);
  bool may_become = bytes.empty();
  for (std::string_view method : methods) {
    if (bytes.starts_with(method)) return Protocol::http;
    may_become = may_become || method.starts_with(bytes);
  }
  return may_become ? Protocol::unknown : Protocol::other;
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

void peek(int socket, Peeked& into) {
  ssize_t count = 0;
  do {
    count = ::recv(socket, into.storage.data(), into.storage.size(), MSG_PEEK | MSG_DONTWAIT);
  } while (count < 0 && errno == EINTR);
  into.ended = count == 0 || (count < 0 && errno != EAGAIN);
  into.bytes = std::string_view(into.storage.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
}

}  // namespace agentbox::gates::network
