#pragma once

// What one host rule says of ports and addresses: for whoever compares rules, with each other or with a connection.

#include <cstdint>
#include <string_view>

#include "agentbox/profile/profile.hpp"

namespace agentbox::profile {

[[nodiscard]] constexpr bool is_web_port(std::uint16_t port) noexcept {
  return port == 80 || port == 443;
}
[[nodiscard]] bool covers_port(const HostRule& rule, std::uint16_t port) noexcept;
// "10.0.0.0/8" or "::1", and "10.1.2.0/24" or an address. No for what is neither.
[[nodiscard]] bool covers_network(std::string_view wide, std::string_view narrow);
// An address of which localhost is one: 127.0.0.0/8 or ::1. No for a name.
[[nodiscard]] bool is_loopback(std::string_view address);
// Is an address among them at which this machine answers as localhost?
[[nodiscard]] bool names_this_machine(const HostRule& rule);

}  // namespace agentbox::profile
