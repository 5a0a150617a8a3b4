#include "covers.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string_view>

#include <arpa/inet.h>

#include "agentbox/base/recipient.hpp"
#include "agentbox/profile/host_rules.hpp"

namespace agentbox::profile {

namespace {

bool covers_ports(const HostRule& wide, const HostRule& narrow) {
  if (narrow.ports == PortSet::one) return covers_port(wide, narrow.port);
  return wide.ports == PortSet::all || wide.ports == narrow.ports;
}

struct Network {
  int family = AF_INET;
  std::array<unsigned char, 16> bytes{};
  unsigned prefix = 0;
};
// Of a HostRule's canonical host; nothing for a name.
std::optional<Network> network_of(std::string_view host) {
  const std::size_t slash = host.find('/');
  const std::string_view address = host.substr(0, slash);
  if (address.size() >= INET6_ADDRSTRLEN) return std::nullopt;
  Network result;
  result.family = host.find(':') == std::string_view::npos ? AF_INET : AF_INET6;
  const unsigned bits = result.family == AF_INET ? 32 : 128;
  result.prefix = bits;
  if (inet_pton(result.family, std::string(address).c_str(), result.bytes.data()) != 1) return std::nullopt;
  if (slash == std::string_view::npos) return result;
  const char* end = host.data() + host.size();
  const auto [stop, error] = std::from_chars(host.data() + slash + 1, end, result.prefix);
  if (error != std::errc() || stop != end || result.prefix > bits) return std::nullopt;
  return result;
}

bool covers_network(const Network& outer, const Network& inner) {
  if (outer.family != inner.family || outer.prefix > inner.prefix) return false;
  for (unsigned bit = 0; bit < outer.prefix; ++bit) {
    const unsigned mask = 0x80U >> (bit % 8);
    if ((outer.bytes[bit / 8] & mask) != (inner.bytes[bit / 8] & mask)) return false;
  }
  return true;
}

bool is_below(std::string_view name, std::string_view domain) {
  return name.size() > domain.size() && name.ends_with(domain) && name[name.size() - domain.size() - 1] == '.';
}

// ---- commands
// --------------------------------------------------------------------------------------------------

bool is_literal(std::string_view word) {
  for (std::size_t i = 0; i < word.size(); ++i) {
    if (word[i] == '\\') {
      ++i;
    } else if (word[i] == '*') {
      return false;
    }
  }
  return true;
}

// Does the pattern match each spelling of the literal? Both are in the escaped form of CommandPattern::words,
// in which equal bytes look equal, so that the literal need not be unescaped. Linear: only the last star is
// ever tried again.
bool matches(std::string_view pattern, std::string_view literal) {
  if (pattern.starts_with('*') && literal.starts_with('-')) return false;
  auto step = [](std::string_view text, std::size_t at) -> std::size_t { return text[at] == '\\' ? 2 : 1; };
  std::size_t p = 0;
  std::size_t l = 0;
  std::optional<std::size_t> star;
  std::size_t resume = 0;
  while (l < literal.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = l;
    } else if (p < pattern.size() && pattern.substr(p, step(pattern, p)) == literal.substr(l, step(literal, l))) {
      p += step(pattern, p);
      l += step(literal, l);
    } else if (star) {
      p = *star + 1;
      resume += step(literal, resume);
      l = resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool covers_word(std::string_view wide, std::string_view narrow) {
  if (wide == narrow) return true;
  if (narrow == "**") return false;
  if (wide == "*") return !narrow.starts_with('-');
  return is_literal(narrow) && matches(wide, narrow);
}

}  // namespace

bool covers_port(const HostRule& rule, std::uint16_t port) noexcept {
  switch (rule.ports) {
    case PortSet::all: return true;
    case PortSet::web: return is_web_port(port);
    case PortSet::one: return rule.port == port;
  }
  return false;
}

bool covers_network(std::string_view wide, std::string_view narrow) {
  const std::optional<Network> outer = network_of(wide), inner = network_of(narrow);
  return outer && inner && covers_network(*outer, *inner);
}

bool is_loopback(std::string_view address) {
  return covers_network("127.0.0.0/8", address) || covers_network("::1", address);
}

bool names_this_machine(const HostRule& rule) {
  if (rule.kind == HostKind::localhost) return true;
  if (rule.kind != HostKind::address) return false;
  if (!network_of(rule.host)) return true;  // never so: a rule that can't be read is taken for the worst
  return is_loopback(rule.host) || covers_network(rule.host, "127.0.0.1") || covers_network(rule.host, "::1");
}

bool covers(const HostRule& wide, const HostRule& narrow) {
  if (!covers_ports(wide, narrow)) return false;
  switch (wide.kind) {
    case HostKind::localhost:
      return narrow.kind == HostKind::localhost ||
             (narrow.kind == HostKind::address && (narrow.host == "127.0.0.1" || narrow.host == "::1"));
    case HostKind::name: return narrow.kind == HostKind::name && narrow.host == wide.host;
    case HostKind::below:
      return (narrow.kind == HostKind::name || narrow.kind == HostKind::below) &&
             (is_below(narrow.host, wide.host) || (narrow.kind == HostKind::below && narrow.host == wide.host));
    case HostKind::address: return narrow.kind == HostKind::address && covers_network(wide.host, narrow.host);
  }
  return false;
}

bool covers(const CommandPattern& wide, const CommandPattern& narrow) {
  for (std::size_t i = 0; i < wide.words.size(); ++i) {
    if (wide.words[i] == "**") {
      return std::all_of(narrow.words.begin() + static_cast<std::ptrdiff_t>(std::min(i, narrow.words.size())),
                         narrow.words.end(), [](const std::string& word) { return !word.starts_with('-'); });
    }
    if (i == narrow.words.size() || !covers_word(wide.words[i], narrow.words[i])) return false;
  }
  return narrow.words.size() == wide.words.size();
}

bool covers(const PathText& wide, const PathText& narrow) {
  if (!narrow.text.starts_with(wide.text)) return false;
  return narrow.text.size() == wide.text.size() || wide.text == "/" || narrow.text[wide.text.size()] == '/';
}

bool covers(const RecipientRule& wide, const RecipientRule& narrow) {
  return base::recipient_covers(wide.text, narrow.text);
}

bool covers(const std::string& wide, const std::string& narrow) {
  if (wide == narrow) return true;
  return wide.ends_with('*') && narrow.starts_with(std::string_view(wide).substr(0, wide.size() - 1));
}

}  // namespace agentbox::profile
