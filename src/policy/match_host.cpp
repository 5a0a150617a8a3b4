// One host rule against one connection. Both sides are in their one normal spelling, so that comparing bytes is enough.

#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>

#include <arpa/inet.h>

#include "agentbox/policy/ruling.hpp"

namespace agentbox::policy {

namespace {

using profile::HostKind;
using profile::HostRule;
using profile::PortSet;

struct Address {
  int family = AF_INET;
  std::array<unsigned char, 16> bytes{};
  [[nodiscard]] unsigned bits() const { return family == AF_INET ? 32 : 128; }
};

std::optional<Address> address_of(std::string_view text) {
  Address result;
  result.family = text.find(':') == std::string_view::npos ? AF_INET : AF_INET6;
  if (text.size() >= INET6_ADDRSTRLEN) return std::nullopt;
  if (inet_pton(result.family, std::string(text).c_str(), result.bytes.data()) != 1) return std::nullopt;
  return result;
}

bool is_loopback(const Address& address) {
  if (address.family == AF_INET) return address.bytes[0] == 127;
  std::array<unsigned char, 16> one{};
  one[15] = 1;
  return address.bytes == one;
}

// `network`: "10.0.0.0/8", "::1".
bool holds(std::string_view network, const Address& address) {
  std::size_t slash = network.find('/');
  std::optional<Address> outer = address_of(network.substr(0, slash));
  if (!outer || outer->family != address.family) return false;
  unsigned prefix = address.bits();
  if (slash != std::string_view::npos) {
    const char* end = network.data() + network.size();
    auto [stop, error] = std::from_chars(network.data() + slash + 1, end, prefix);
    if (error != std::errc() || stop != end || prefix > address.bits()) return false;
  }
  for (unsigned bit = 0; bit < prefix; ++bit) {
    unsigned mask = 0x80U >> (bit % 8);
    if ((outer->bytes[bit / 8] & mask) != (address.bytes[bit / 8] & mask)) return false;
  }
  return true;
}

// Does the network hold an address at which this machine answers as localhost?
bool holds_loopback(std::string_view network) {
  std::optional<Address> base = address_of(network.substr(0, network.find('/')));
  if (!base) return true;  // never so: a rule that can't be read is taken for the worst
  return is_loopback(*base) || holds(network, *address_of("127.0.0.1")) || holds(network, *address_of("::1"));
}

bool covers_port(const HostRule& rule, std::uint16_t port) {
  switch (rule.ports) {
    case PortSet::all: return true;
    case PortSet::web: return port == 80 || port == 443;
    case PortSet::one: return rule.port == port;
  }
  return false;
}

bool is_below(std::string_view name, std::string_view domain) {
  return name.size() > domain.size() + 1 && name.ends_with(domain) && name[name.size() - domain.size() - 1] == '.';
}

}  // namespace

bool matches(const HostRule& rule, const Connect& connect, Reach reach) {
  if (!covers_port(rule, connect.port)) return false;
  std::string_view host = connect.host;
  bool localhost = host == "localhost";
  switch (rule.kind) {
    case HostKind::name:
      if (rule.host != host) return false;
      return !localhost && !address_of(host);
    case HostKind::below: return is_below(host, rule.host) && !address_of(host);
    case HostKind::localhost: {
      if (localhost || host == "127.0.0.1" || host == "::1") return true;
      if (reach == Reach::narrow) return false;
      std::optional<Address> address = address_of(host);
      return address && is_loopback(*address);
    }
    case HostKind::address: {
      if (localhost) return reach == Reach::wide && holds_loopback(rule.host);
      std::optional<Address> address = address_of(host);
      return address && holds(rule.host, *address);
    }
  }
  return false;
}

}  // namespace agentbox::policy
