// Host rules. The grammar is strict, because these names are compared with names that an agent chooses: there
// must be one spelling of each host, and nothing that one parser reads as a name and another as an address.

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>
#include <vector>

#include <arpa/inet.h>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"
#include "agentbox/base/host_name.hpp"

#include "values.hpp"

namespace agentbox::profile {

namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool all_digits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, is_digit);
}

std::optional<std::uint32_t> number(std::string_view text, std::uint32_t most, int base = 10) {
  std::uint32_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size() || value > most) return std::nullopt;
  return value;
}

std::vector<std::string_view> split(std::string_view text, char mark) {
  std::vector<std::string_view> parts;
  while (true) {
    std::size_t end = text.find(mark);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

// ---- ports
// -----------------------------------------------------------------------------------------------------

Parsed<std::uint16_t> port_number(std::string_view text, std::string_view part) {
  std::optional<std::uint32_t> value = all_digits(part) ? number(part, 65535) : std::nullopt;
  if (!value || *value == 0) return fault_at(text, part, "a port is a number from 1 to 65535");
  if (part.front() == '0') return fault_at(text, part, "a port has no leading zero");
  return static_cast<std::uint16_t>(*value);
}

Parsed<bool> take_port(std::string_view text, std::string_view part, HostRule& rule) {
  if (part == "*") {
    rule.ports = PortSet::all;
    return true;
  }
  if (part.empty()) return fault_at(text, text, "a port must follow the ':'", "leave out the ':' for ports 80 and 443");
  Parsed<std::uint16_t> port = port_number(text, part);
  if (!port) {
    port.error().hint = "or '*' for all ports";
    return std::unexpected(port.error());
  }
  rule.ports = PortSet::one;
  rule.port = *port;
  return true;
}

// ---- addresses
// -------------------------------------------------------------------------------------------------

struct Address {
  int family = AF_INET;
  std::array<std::uint8_t, 16> bytes{};
  [[nodiscard]] std::uint32_t bits() const { return family == AF_INET ? 32 : 128; }
  [[nodiscard]] std::string text() const {
    char out[INET6_ADDRSTRLEN] = {};
    inet_ntop(family, bytes.data(), out, sizeof out);
    return out;
  }
};

// Only the dotted quad and the forms of RFC 4291 §2.2; inet_pton(3) takes no other.
std::optional<Address> address(int family, std::string_view text) {
  Address result{.family = family};
  if (text.size() >= INET6_ADDRSTRLEN) return std::nullopt;
  if (inet_pton(family, std::string(text).c_str(), result.bytes.data()) != 1) return std::nullopt;
  return result;
}

// What inet_aton(3), and with it most programs, would read in "0x7f.1", "2130706433" or "010.1": for the hint
// only.
std::optional<Address> odd_address(std::string_view text) {
  std::vector<std::string_view> parts = split(text, '.');
  if (parts.size() > 4) return std::nullopt;
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    std::string_view part = parts[i];
    int base = 10;
    if (part.starts_with("0x")) {
      base = 16;
      part.remove_prefix(2);
    } else if (part.size() > 1 && part.front() == '0') {
      base = 8;
    }
    bool last = i + 1 == parts.size();
    std::uint64_t room = last ? 1ULL << (8 * (5 - parts.size())) : 256;
    std::optional<std::uint32_t> digit = number(part, 0xffffffff, base);
    if (!digit || *digit >= room) return std::nullopt;
    value = value * room + *digit;
  }
  Address result;
  for (std::size_t i = 0; i < 4; ++i) result.bytes[i] = static_cast<std::uint8_t>(value >> (24 - 8 * i));
  return result;
}

void mask(Address& value, std::uint32_t prefix) {
  for (std::uint32_t bit = prefix; bit < value.bits(); ++bit) {
    value.bytes[bit / 8] = static_cast<std::uint8_t>(value.bytes[bit / 8] & ~(0x80U >> (bit % 8)));
  }
}

Parsed<std::string> network(std::string_view text, std::string_view part, Address value,
                            std::optional<std::string_view> prefix) {
  static constexpr std::array<std::uint8_t, 12> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (value.family == AF_INET6 && std::equal(mapped.begin(), mapped.end(), value.bytes.begin())) {
    Address inner;
    std::copy_n(value.bytes.begin() + 12, 4, inner.bytes.begin());
    return fault_at(text, part, "an IPv4 address is not written as an IPv6 one", fmt::format("write {}", inner.text()));
  }
  if (!prefix) {
    if (std::ranges::all_of(value.bytes, [](auto byte) { return byte == 0; })) {
      return fault_at(text, part, "this address names no host", "did you mean 'localhost'?");
    }
    return value.text();
  }
  std::optional<std::uint32_t> length = all_digits(*prefix) ? number(*prefix, value.bits()) : std::nullopt;
  if (!length || (prefix->size() > 1 && prefix->front() == '0')) {
    return fault_at(text, *prefix, fmt::format("a prefix is a number from 0 to {}", value.bits()));
  }
  Address masked = value;
  mask(masked, *length);
  if (masked.bytes != value.bytes) {
    return fault_at(text, part, "the address has bits beyond its prefix",
                    fmt::format("did you mean {}/{} or {}?", masked.text(), *length, value.text()));
  }
  return fmt::format("{}/{}", value.text(), *length);
}

// ---- names
// -----------------------------------------------------------------------------------------------------

std::string_view label_at(std::string_view name, std::size_t offset) {
  std::size_t begin = name.rfind('.', offset) + 1;
  return name.substr(begin, name.find('.', offset) - begin);
}

Parsed<bool> check_name(std::string_view text, std::string_view name) {
  const std::optional<base::NameProblem> problem = base::problem_of_name(name);
  if (!problem) return true;
  std::string_view part = problem->length == 0 ? name : name.substr(problem->offset, problem->length);
  switch (problem->fault) {
    case base::NameFault::too_long: return fault_at(text, part, "a host name is at most 253 bytes long");
    case base::NameFault::empty_label: return fault_at(text, part, "a host name has no empty part between its dots");
    case base::NameFault::long_label: return fault_at(text, part, "a part of a host name is at most 63 bytes long");
    case base::NameFault::byte:
      if (part == "*") {
        return fault_at(text, label_at(name, problem->offset), "a '*' must be alone, as the first part of a name",
                        "'*.example.org' is every name below example.org");
      }
      return fault_at(text, part, fmt::format("'{}' is not allowed in a host name", base::escape(part)));
    case base::NameFault::hyphen: return fault_at(text, part, "a part of a host name neither begins nor ends with '-'");
    case base::NameFault::odd_address: {
      std::optional<Address> meant = odd_address(name);
      return fault_at(text, part, "an odd spelling of an address",
                      meant ? fmt::format("did you mean {}?", meant->text()) : std::string());
    }
    case base::NameFault::below_localhost:
      return fault_at(text, part, "names below localhost are this machine", "write localhost");
  }
  return true;
}

// A number alone is a port to everybody but inet_aton(3).
bool is_port(std::string_view text) {
  return !text.empty() && text.size() <= 5 && text.front() != '0' &&
         text.find_first_not_of("0123456789") == std::string_view::npos;
}

// What people write who think of a URL.
Parsed<bool> check_url_habits(std::string_view text) {
  if (std::size_t scheme = text.find("://"); scheme != std::string_view::npos) {
    std::string_view rest = text.substr(scheme + 3);
    std::string_view host = rest.substr(0, rest.find_first_of("/?#"));
    std::string port = text.starts_with("http://") ? ":80" : text.starts_with("https://") ? ":443" : "";
    if (host.find(':') != std::string_view::npos || host.ends_with(']')) port.clear();
    return fault("a host rule is a name or an address, not a URL",
                 fmt::format("did you mean '{}{}'?", base::escape(host), port));
  }
  if (std::size_t at = text.find('@'); at != std::string_view::npos) {
    return fault_at(text, text.substr(0, at + 1), "a host rule has no user name",
                    fmt::format("did you mean '{}'?", base::escape(text.substr(at + 1))));
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x80) {
      return fault("names that are not plain ASCII are not accepted yet: too many of them look alike",
                   "write the name as it stands in the DNS, in punycode: 'xn--...'");
    }
    if (c <= 0x20 || c == 0x7f || c == '%') {
      return fault_at(text, text.substr(i, 1),
                      fmt::format("'{}' is not allowed in a host name", base::escape(text.substr(i, 1))));
    }
  }
  return true;
}

Parsed<HostRule> bracketed(std::string_view lower) {
  std::size_t end = lower.find(']');
  if (end == std::string_view::npos) return fault("the ']' is missing");
  std::string_view inside = lower.substr(1, end - 1);
  std::string_view rest = lower.substr(end + 1);
  std::string_view host = inside.substr(0, inside.find('/'));
  std::optional<std::string_view> prefix;
  if (host.size() < inside.size()) prefix = inside.substr(host.size() + 1);
  std::optional<Address> value = address(AF_INET6, host);
  if (!value) return fault_at(lower, host.empty() ? lower : host, "this is not an IPv6 address");
  Parsed<std::string> canonical = network(lower, inside, *value, prefix);
  if (!canonical) return std::unexpected(canonical.error());
  HostRule rule{.kind = HostKind::address, .host = *canonical};
  if (!rest.empty()) {
    if (rest.front() != ':') {
      return fault_at(lower, rest, "only a ':' and a port can follow the ']'",
                      rest.front() == '/' ? "the prefix goes inside the brackets: '[fd00::/8]'" : "");
    }
    if (Parsed<bool> port = take_port(lower, rest.substr(1), rule); !port) return std::unexpected(port.error());
  }
  return rule;
}

Parsed<HostRule> plain(std::string_view lower) {
  if (std::ranges::count(lower, ':') > 1) {
    std::string_view host = lower.substr(0, lower.find('/'));
    if (address(AF_INET6, host)) {
      return fault("an IPv6 address needs brackets", fmt::format("did you mean '[{}]'?", lower));
    }
    return fault("a host rule has one ':' before its port", "an IPv6 address needs brackets: '[fd00::1]:443'");
  }
  HostRule rule;
  std::string_view host = lower.substr(0, lower.find(':'));
  if (host.size() < lower.size()) {
    if (Parsed<bool> port = take_port(lower, lower.substr(host.size() + 1), rule); !port)
      return std::unexpected(port.error());
  }
  if (host.empty()) {
    const std::string_view port = lower.substr(std::min<std::size_t>(1, lower.size()));
    return fault("the name of the host is missing",
                 is_port(port) ? fmt::format("did you mean 'localhost:{}'?", port) : std::string());
  }
  if (is_port(lower)) {
    return fault("a host rule is a name or an address, not a port alone",
                 fmt::format("did you mean 'localhost:{}'?", lower));
  }
  std::string_view bare = host.substr(0, host.find('/'));
  std::optional<std::string_view> prefix;
  if (bare.size() < host.size()) prefix = host.substr(bare.size() + 1);
  if (std::optional<Address> value = address(AF_INET, bare)) {
    Parsed<std::string> canonical = network(lower, host, *value, prefix);
    if (!canonical) return std::unexpected(canonical.error());
    rule.kind = HostKind::address;
    rule.host = *canonical;
    return rule;
  }
  if (prefix)
    return fault_at(lower, host.substr(bare.size()), "a host rule has no path", "a '/' is for networks: '10.0.0.0/8'");
  if (host.ends_with('.') && host.size() > 1) host.remove_suffix(1);
  if (host == "*" || host == "**") {
    return fault("this would be every host", "that is what `default = \"allow\"` says");
  }
  rule.kind = host == "localhost" ? HostKind::localhost : HostKind::name;
  if (host.starts_with("*.")) {
    rule.kind = HostKind::below;
    host.remove_prefix(2);
    if (host == "localhost") return fault("names below localhost are this machine", "write localhost");
  }
  if (Parsed<bool> name = check_name(lower, host); !name) return std::unexpected(name.error());
  rule.host = std::string(host);
  return rule;
}

std::string canonical(const HostRule& rule) {
  bool v6 = rule.kind == HostKind::address && rule.host.find(':') != std::string::npos;
  std::string text = v6 ? "[" + rule.host + "]" : rule.kind == HostKind::below ? "*." + rule.host : rule.host;
  if (rule.ports == PortSet::all) text += ":*";
  if (rule.ports == PortSet::one) text += ":" + std::to_string(rule.port);
  return text;
}

// "host:port" of a URL: a name or one address, no wildcard, no network.
Parsed<HostRule> authority(std::string_view text, std::string_view part) {
  Parsed<HostRule> rule = host_rule(part);
  if (!rule) {
    Fault moved = rule.error();
    if (moved.length != Fault::whole) moved.offset += static_cast<std::size_t>(part.data() - text.data());
    return std::unexpected(std::move(moved));
  }
  if (rule->kind == HostKind::below || rule->ports == PortSet::all || rule->host.find('/') != std::string::npos) {
    return fault_at(text, part, "this must be one host and one port");
  }
  return rule;
}

}  // namespace

Parsed<HostRule> host_rule(std::string_view text) {
  if (text.empty()) return fault("an empty host names nothing");
  if (Parsed<bool> habits = check_url_habits(text); !habits) return std::unexpected(habits.error());
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  Parsed<HostRule> rule = lower.front() == '[' ? bracketed(lower) : plain(lower);
  if (rule) rule->text = canonical(*rule);
  return rule;
}

Parsed<Publication> publication(std::string_view text) {
  std::size_t colon = text.find(':');
  std::string_view outside = text.substr(0, colon);
  std::string_view inside = colon == std::string_view::npos ? outside : text.substr(colon + 1);
  Parsed<std::uint16_t> from = port_number(text, outside);
  if (!from) return std::unexpected(from.error());
  Parsed<std::uint16_t> to = port_number(text, inside);
  if (!to) return std::unexpected(to.error());
  return Publication{
      .text = *from == *to ? std::to_string(*from) : fmt::format("{}:{}", *from, *to), .outside = *from, .inside = *to};
}

Parsed<std::string> upstream(std::string_view text) {
  std::size_t scheme = text.find("://");
  std::string_view name = text.substr(0, scheme);
  if (scheme == std::string_view::npos || (name != "socks5h" && name != "http")) {
    return fault(
        "the upstream is 'socks5h://host:port' or 'http://host:port'",
        name == "socks5" ? "socks5h leaves the resolving of names to the upstream; socks5 would ask the DNS here" : "");
  }
  Parsed<HostRule> host = authority(text, text.substr(scheme + 3));
  if (!host) return std::unexpected(host.error());
  if (host->ports != PortSet::one) return fault("the upstream's port is missing");
  return fmt::format("{}://{}", name, host->text);
}

Parsed<std::string> reviewer(std::string_view text) {
  std::size_t scheme = text.find("://");
  if (scheme == std::string_view::npos || (text.substr(0, scheme) != "http" && text.substr(0, scheme) != "https")) {
    return fault("the reviewer is an address such as 'http://127.0.0.1:8080/v1'");
  }
  std::string_view rest = text.substr(scheme + 3);
  std::string_view part = rest.substr(0, rest.find('/'));
  Parsed<HostRule> host = authority(text, part);
  if (!host) return std::unexpected(host.error());
  bool loopback = host->kind == HostKind::localhost || host->host == "::1" ||
                  (host->kind == HostKind::address && host->host.starts_with("127."));
  const bool secure = text.starts_with("https:");
  if (!loopback && !secure) {
    return fault_at(text, part, "the reviewer must be on this machine: each question's content goes to it",
                    "elsewhere it takes https, and reviewer_remote = true");
  }
  std::string_view path = rest.substr(part.size());
  auto is_wrong = [](char c) { return c <= ' ' || c > '~' || c == '?' || c == '#' || c == '"' || c == '\\'; };
  if (auto wrong = std::ranges::find_if(path, is_wrong); wrong != path.end()) {
    return fault_at(text, path.substr(static_cast<std::size_t>(wrong - path.begin()), 1),
                    "this is not allowed in the reviewer's address");
  }
  while (path.ends_with('/')) path.remove_suffix(1);
  return fmt::format("{}://{}{}", text.substr(0, scheme), host->text, path);
}

Parsed<PostAddress> post_address(std::string_view text) {
  constexpr std::string_view scheme = "http://";
  if (!text.starts_with(scheme)) {
    return fault("the server's address is one such as 'http://127.0.0.1:6000/send'");
  }
  const std::string_view rest = text.substr(scheme.size());
  const std::string_view part = rest.substr(0, rest.find('/'));
  Parsed<HostRule> host = authority(text, part);
  if (!host) return std::unexpected(host.error());
  const bool one = host->kind == HostKind::localhost || host->host == "127.0.0.1" || host->host == "::1";
  if (!one) {
    return fault_at(text, part, "the server must be on this machine: '127.0.0.1', '[::1]' or 'localhost'",
                    "what it talks to is for it to say");
  }
  if (host->ports != PortSet::one) return fault_at(text, part, "the server's port is missing");
  const std::string_view path = rest.substr(part.size());
  auto is_wrong = [](char c) { return c <= ' ' || c > '~' || c == '#' || c == '"' || c == '\\'; };
  if (auto wrong = std::ranges::find_if(path, is_wrong); wrong != path.end()) {
    return fault_at(text, path.substr(static_cast<std::size_t>(wrong - path.begin()), 1),
                    "this is not allowed in the server's address");
  }
  PostAddress address{.text = fmt::format("{}{}{}", scheme, host->text, path.empty() ? "/" : path),
                      .host = host->host == "::1" ? "::1" : "127.0.0.1",
                      .port = host->port,
                      .path = std::string(path.empty() ? "/" : path)};
  return address;
}

}  // namespace agentbox::profile
