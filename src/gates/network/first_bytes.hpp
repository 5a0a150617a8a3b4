#pragma once

// What a client speaks, by the first bytes that it sends. They stay in the socket.

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace agentbox::gates::network {

enum class Protocol : std::uint8_t {
  unknown,  // nothing was said yet, or not enough to tell
  tls,
  http,
  other,
};
// `bytes` is the beginning of what the client said.
[[nodiscard]] Protocol protocol_of(std::string_view bytes) noexcept;
[[nodiscard]] std::string_view name_of(Protocol protocol) noexcept;

inline constexpr std::size_t most_peeked = 20 * 1024;  // a ClientHello, and the heads of some records

// What has come, without taking it. `ended`: nothing more will.
struct Peeked {
  std::string_view bytes;  // until the next peek
  bool ended = false;
};
[[nodiscard]] Peeked peek(int socket);
// So much of it is taken, and nothing more: what follows belongs to somebody else. False: it isn't there.
[[nodiscard]] bool take(int socket, std::size_t count);
// The loop wakes for it when so many bytes have come, or the end of them.
void set_low_water(int socket, std::size_t bytes);

}  // namespace agentbox::gates::network
