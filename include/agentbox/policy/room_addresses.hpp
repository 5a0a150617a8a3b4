#pragma once

// The addresses of a room whose connections are ruled on. None of them ever leaves the room: 198.18.0.0/15 is set aside
// for tests of network devices (RFC 2544), fc00::/7 for networks of one's own (RFC 4193).

#include <cstdint>
#include <string_view>

namespace agentbox::policy {

// The room's own, on its loopback device: where its connections come from, and the resolver that its programs are told.
inline constexpr std::string_view room_address_v4 = "198.18.0.1";
inline constexpr std::uint16_t http_proxy_port = 3128, socks_proxy_port = 1080;  // at the IPv4 one
inline constexpr std::string_view room_address_v6 = "fd61:6762:7800::1";
// Names get addresses from these; the first sixteen of each are the room's own.
inline constexpr std::string_view names_v4 = "198.18.0.0/15";
inline constexpr std::string_view names_v6 = "fd61:6762:7800::/48";

}  // namespace agentbox::policy
