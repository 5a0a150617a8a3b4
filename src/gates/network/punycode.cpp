#include "punycode.hpp"

#include <cstdint>
#include <limits>
#include <vector>

namespace agentbox::gates::network {

namespace {

constexpr std::uint32_t base = 36, least = 1, most = 26, skew = 38, damp = 700;
constexpr std::size_t longest = 63;  // of a label

std::optional<std::uint32_t> digit(char c) {
  if (c >= 'a' && c <= 'z') return static_cast<std::uint32_t>(c - 'a');
  if (c >= '0' && c <= '9') return static_cast<std::uint32_t>(c - '0') + 26;
  return std::nullopt;
}

std::uint32_t adapt(std::uint32_t delta, std::uint32_t count, bool first) {
  delta = first ? delta / damp : delta / 2;
  delta += delta / count;
  std::uint32_t k = 0;
  for (; delta > (base - least) * most / 2; k += base) delta /= base - least;
  return k + (base - least + 1) * delta / (delta + skew);
}

void put_utf8(std::string& out, char32_t c) {
  auto byte = [&out](std::uint32_t value) { out += static_cast<char>(value); };
  if (c < 0x80) return byte(c);
  if (c < 0x800) {
    byte(0xc0U | c >> 6U);
    return byte(0x80U | (c & 0x3fU));
  }
  if (c < 0x10000) {
    byte(0xe0U | c >> 12U);
  } else {
    byte(0xf0U | c >> 18U);
    byte(0x80U | (c >> 12U & 0x3fU));
  }
  byte(0x80U | (c >> 6U & 0x3fU));
  byte(0x80U | (c & 0x3fU));
}

// Of what stands behind "xn--". Every sum is checked: 63 digits are more than 32 bits.
std::optional<std::vector<char32_t>> decode(std::string_view text) {
  std::vector<char32_t> out;
  if (const std::size_t dash = text.rfind('-'); dash != std::string_view::npos) {
    out.assign(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(dash));
    text.remove_prefix(dash + 1);
  }
  if (text.empty()) return std::nullopt;
  std::uint64_t n = 0x80, i = 0;
  std::uint32_t bias = 72;
  constexpr std::uint64_t end = std::numeric_limits<std::uint32_t>::max();
  for (bool first = true; !text.empty(); first = false) {
    const std::uint64_t before = i;
    std::uint64_t weight = 1;
    for (std::uint32_t k = base;; k += base) {
      const std::optional<std::uint32_t> value = text.empty() ? std::nullopt : digit(text.front());
      if (!value) return std::nullopt;
      text.remove_prefix(1);
      i += *value * weight;
      if (i > end) return std::nullopt;
      const std::uint32_t threshold = k <= bias ? least : k >= bias + most ? most : k - bias;
      if (*value < threshold) break;
      weight *= base - threshold;
      if (weight > end) return std::nullopt;
    }
    const std::uint64_t count = out.size() + 1;
    bias = adapt(static_cast<std::uint32_t>(i - before), static_cast<std::uint32_t>(count), first);
    n += i / count;
    i %= count;
    if (n > 0x10ffff || (n >= 0xd800 && n < 0xe000)) return std::nullopt;
    out.insert(out.begin() + static_cast<std::ptrdiff_t>(i), static_cast<char32_t>(n));
    ++i;
  }
  return out;
}

}  // namespace

std::optional<std::string> decoded_host(std::string_view host) {
  std::string out;
  bool any = false;
  while (true) {
    const std::size_t dot = host.find('.');
    const std::string_view label = host.substr(0, dot);
    if (label.size() > longest) return std::nullopt;
    if (label.starts_with("xn--")) {
      const auto letters = decode(label.substr(4));
      if (!letters) return std::nullopt;
      for (char32_t letter : *letters) put_utf8(out, letter);
      any = true;
    } else {
      out += label;
    }
    if (dot == std::string_view::npos) break;
    out += '.';
    host.remove_prefix(dot + 1);
  }
  return any ? std::optional(out) : std::nullopt;
}

}  // namespace agentbox::gates::network
