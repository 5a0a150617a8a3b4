#pragma once

// What arrived as a host, in a DNS question, a ClientHello, a Host field, a CONNECT line or a SOCKS request, in the one
// form that is ruled on, or the reason why it has none. Every byte of it is the agent's. The grammar of names is that
// of the profile's rules (base/host_name.hpp), so that comparing bytes is enough.

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "address.hpp"

namespace agentbox::gates::network {

enum class HostFault {
  empty,
  too_long,
  nul,
  line_break,  // CR or LF
  control,     // another control character
  percent,     // an escape, or the zone of an address
  user_info,   // '@'
  not_ascii,   // names come in punycode, "xn--..."
  byte,        // another byte that no host name has: a space, '_', '/', '*'
  empty_label,
  long_label,
  hyphen,
  odd_address,      // "0x7f.1", "127.1", "2130706433", "017700000001"
  below_localhost,  // "x.localhost"
  brackets,         // not '[', an IPv6 address, ']'
  no_host,          // 0.0.0.0 or ::, which a kernel takes for this machine
  port,             // not a number from 1 to 65535 without a leading zero
};

// One clause, lower case: "the host name holds a NUL". Never holds bytes of the name.
[[nodiscard]] std::string_view text_of(HostFault fault) noexcept;

struct Host {
  // The canonical form, as policy::Connect::host wants it: lower case, no dot at the end, an address as inet_ntop(3)
  // writes it, without brackets. "localhost" is a name.
  std::string text;
  std::optional<Address> address;  // nothing: it is a name
  [[nodiscard]] bool is_name() const noexcept { return !address; }
  friend bool operator==(const Host&, const Host&) = default;
};

// A host alone. An IPv6 address may have brackets; one that holds an IPv4 address (::ffff:) becomes that.
[[nodiscard]] std::expected<Host, HostFault> canonical_host(std::string_view raw);
[[nodiscard]] Host host_of(const Address& address);

struct Authority {
  Host host;
  std::optional<std::uint16_t> port;  // 1 to 65535; nothing where none was written
  friend bool operator==(const Authority&, const Authority&) = default;
};

// "host" or "host:port", as in Host and CONNECT: an IPv6 address must have its brackets. `own`: a name of ours in its
// canonical form, taken although the grammar refuses it ("x.localhost"); empty: none.
[[nodiscard]] std::expected<Authority, HostFault> canonical_authority(std::string_view raw, std::string_view own = {});
// Without the port if that is 80, the default of http: "example.org", "[fd00::1]:8080".
[[nodiscard]] std::string http_authority(const Host& host, std::uint16_t port);

}  // namespace agentbox::gates::network
