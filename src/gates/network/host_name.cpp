#include "host_name.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "agentbox/base/host_name.hpp"

namespace agentbox::gates::network {

namespace {

// The bytes that have a reason of their own come first: whoever reads the record learns what was tried.
std::optional<HostFault> bad_byte(std::string_view raw) {
  for (const char c : raw) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte == 0) return HostFault::nul;
    if (c == '\r' || c == '\n') return HostFault::line_break;
    if (byte < 0x20 || byte == 0x7f) return HostFault::control;
    if (byte >= 0x80) return HostFault::not_ascii;
    if (c == '%') return HostFault::percent;
    if (c == '@') return HostFault::user_info;
  }
  return std::nullopt;
}

HostFault fault_of(base::NameFault fault) {
  switch (fault) {
    case base::NameFault::too_long: return HostFault::too_long;
    case base::NameFault::empty_label: return HostFault::empty_label;
    case base::NameFault::long_label: return HostFault::long_label;
    case base::NameFault::byte: return HostFault::byte;
    case base::NameFault::hyphen: return HostFault::hyphen;
    case base::NameFault::odd_address: return HostFault::odd_address;
    case base::NameFault::below_localhost: return HostFault::below_localhost;
  }
  return HostFault::byte;
}

std::expected<Host, HostFault> usable(const Address& address) {
  if (std::ranges::all_of(address.bytes(), [](std::uint8_t byte) { return byte == 0; })) {
    return std::unexpected(HostFault::no_host);
  }
  return host_of(address);
}

std::expected<Host, HostFault> bracketed(std::string_view raw) {
  if (raw.size() < 2 || raw.back() != ']') return std::unexpected(HostFault::brackets);
  const std::string_view inside = raw.substr(1, raw.size() - 2);
  const std::optional<Address> address = Address::parse(inside);
  if (!address || inside.find(':') == std::string_view::npos) return std::unexpected(HostFault::brackets);
  return usable(*address);
}

std::optional<std::uint16_t> port_number(std::string_view text) {
  std::uint16_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.front() == '0') return std::nullopt;
  return value;
}

}  // namespace

std::string_view text_of(HostFault fault) noexcept {
  switch (fault) {
    case HostFault::empty: return "the host name is empty";
    case HostFault::too_long: return "the host name is longer than 253 bytes";
    case HostFault::nul: return "the host name holds a NUL";
    case HostFault::line_break: return "the host name holds a line break";
    case HostFault::control: return "the host name holds a control character";
    case HostFault::percent: return "the host name holds a '%'";
    case HostFault::user_info: return "the host name holds a user name";
    case HostFault::not_ascii: return "the host name is not plain ASCII; it must come in punycode";
    case HostFault::byte: return "the host name holds a byte that no host name has";
    case HostFault::empty_label: return "the host name has an empty part between its dots";
    case HostFault::long_label: return "a part of the host name is longer than 63 bytes";
    case HostFault::hyphen: return "a part of the host name begins or ends with '-'";
    case HostFault::odd_address: return "the host name is an odd spelling of an address";
    case HostFault::below_localhost: return "names below localhost are this machine";
    case HostFault::brackets: return "what stands in brackets is not an IPv6 address";
    case HostFault::no_host: return "the address names no host";
    case HostFault::port: return "the port is not a number from 1 to 65535";
  }
  return "the host name is wrong";
}

Host host_of(const Address& address) {
  return {address.text(), address};
}

namespace {

// As a name is written: in any case, perhaps with a dot at its end.
bool is_name(std::string_view raw, std::string_view canonical) {
  if (raw.ends_with('.')) raw.remove_suffix(1);
  return !canonical.empty() && std::ranges::equal(raw, canonical, [](char one, char other) {
    return (one >= 'A' && one <= 'Z' ? static_cast<char>(one - 'A' + 'a') : one) == other;
  });
}

}  // namespace

std::expected<Host, HostFault> canonical_host(std::string_view raw) {
  if (raw.empty()) return std::unexpected(HostFault::empty);
  if (raw.size() > 254) return std::unexpected(HostFault::too_long);
  if (const auto fault = bad_byte(raw)) return std::unexpected(*fault);
  if (raw.front() == '[') return bracketed(raw);
  if (const auto address = Address::parse(raw)) return usable(*address);
  std::string name(raw);
  for (char& c : name) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  if (name.ends_with('.') && name.size() > 1) name.pop_back();
  if (const auto problem = base::problem_of_name(name)) return std::unexpected(fault_of(problem->fault));
  return Host{std::move(name), std::nullopt};
}

std::expected<Authority, HostFault> canonical_authority(std::string_view raw, std::string_view own) {
  // The last ':' outside of brackets; an IPv6 address without them has more than one, and is no authority.
  const std::size_t colon = raw.find(':', raw.starts_with('[') ? std::min(raw.find(']'), raw.size()) : 0);
  Authority result;
  if (colon != std::string_view::npos) {
    const std::string_view digits = raw.substr(colon + 1);
    if (const auto fault = bad_byte(digits)) return std::unexpected(*fault);
    result.port = digits.empty() ? std::nullopt : port_number(digits);
    if (!result.port) return std::unexpected(HostFault::port);
  }
  if (is_name(raw.substr(0, colon), own)) {
    result.host.text = own;
    return result;
  }
  auto host = canonical_host(raw.substr(0, colon));
  if (!host) return std::unexpected(host.error());
  result.host = std::move(*host);
  return result;
}

std::string http_authority(const Host& host, std::uint16_t port) {
  const bool six = host.address && host.address->family() == Address::Family::v6;
  const std::string name = six ? fmt::format("[{}]", host.text) : host.text;
  return port == 80 ? name : fmt::format("{}:{}", name, port);
}

}  // namespace agentbox::gates::network
