#pragma once

// What kind of address a name resolved to. Only public_ may be connected to on the word of a rule for a name; all else
// needs a rule for the address itself, or a name that anybody may publish in the DNS would open this machine and its
// neighbours.

#include <string_view>

#include "address.hpp"

namespace agentbox::gates::network {

enum class AddressClass {
  public_,
  unspecified,  // 0.0.0.0 and ::, which a kernel takes for this machine
  loopback,
  private_,  // RFC 1918, unique and site local
  link_local,
  cgnat,  // shared between a provider and its customers
  multicast,
  metadata,  // where clouds hand out credentials to whoever asks
  reserved,  // documentation, benchmarks (and with them the addresses of NameTable), protocols, not assigned
};

// An IPv6 address that holds an IPv4 one which a relay or translator would connect to (NAT64, 6to4, Teredo) is of that
// one's class. What no table knows as public is reserved.
[[nodiscard]] AddressClass class_of(const Address& address) noexcept;

// For a message: "a private address".
[[nodiscard]] std::string_view text_of(AddressClass kind) noexcept;

}  // namespace agentbox::gates::network
