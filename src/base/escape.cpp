#include "agentbox/base/escape.hpp"

#include <cstdint>

#include <fmt/format.h>

namespace agentbox::base {

namespace {

struct CodePoint {
  std::uint32_t value = 0;
  std::size_t bytes = 0;  // 0: not UTF-8 here
};

// Strict: no overlong form, no surrogate, nothing above U+10FFFF (RFC 3629).
CodePoint decode(std::string_view text) {
  auto byte = [&](std::size_t i) -> std::uint32_t { return static_cast<unsigned char>(text[i]); };
  std::uint32_t first = byte(0);
  if (first < 0x80) return {first, 1};
  std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return {};
  std::uint32_t value = first & (0x7fU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    value = value << 6 | (byte(i) & 0x3f);
  }
  constexpr std::uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  if (value < least[length] || (value >= 0xd800 && value <= 0xdfff) || value > 0x10ffff) return {};
  return {value, length};
}

struct Range {
  std::uint32_t first, last;
};

// What a terminal shows as nothing, as something else, or somewhere else: C0 and C1 controls, soft hyphen,
// combining marks (which can pile up over other text), zero-width and bidirectional characters, line and
// paragraph separators, variation selectors, interlinear annotation, tags, private use and noncharacters.
// Unicode 15.
constexpr Range deceptive[] = {
    {0x00, 0x1f},     {0x7f, 0xa0},     {0xad, 0xad},     {0x300, 0x36f},     {0x483, 0x489},     {0x591, 0x5bd},
    {0x610, 0x61c},   {0x64b, 0x65f},   {0x115f, 0x1160}, {0x17b4, 0x17b5},   {0x180b, 0x180f},   {0x1ab0, 0x1aff},
    {0x1dc0, 0x1dff}, {0x2000, 0x200f}, {0x2028, 0x202f}, {0x205f, 0x206f},   {0x20d0, 0x20ff},   {0x2800, 0x2800},
    {0x3000, 0x3000}, {0x3164, 0x3164}, {0xe000, 0xf8ff}, {0xfe00, 0xfe0f},   {0xfe20, 0xfe2f},   {0xfeff, 0xfeff},
    {0xffa0, 0xffa0}, {0xfff0, 0xfffb}, {0xfffe, 0xffff}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0x10ffff},
};

bool is_deceptive(std::uint32_t value) {
  for (const Range& range : deceptive) {
    if (value <= range.last) return value >= range.first;
  }
  return false;
}

void append_escaped(std::string& out, std::uint32_t value) {
  switch (value) {
    case '\n': out += "\\n"; return;
    case '\t': out += "\\t"; return;
    case '\r': out += "\\r"; return;
    default: break;
  }
  if (value < 0x80) {
    fmt::format_to(std::back_inserter(out), "\\x{:02x}", value);
  } else {
    fmt::format_to(std::back_inserter(out), "\\u{{{:x}}}", value);
  }
}

// The text with every deceptive character escaped; `special` are further ASCII characters to put a backslash
// before.
std::string escape_with(std::string_view text, std::string_view special) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    CodePoint point = decode(text);
    if (point.bytes == 0) {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(text[0]));
      text.remove_prefix(1);
      continue;
    }
    if (is_deceptive(point.value)) {
      append_escaped(out, point.value);
    } else {
      if (point.bytes == 1 && special.find(text[0]) != std::string_view::npos) out += '\\';
      out += text.substr(0, point.bytes);
    }
    text.remove_prefix(point.bytes);
  }
  return out;
}

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("_-./:=@%+,").find(c) != std::string_view::npos;
}

}  // namespace

std::string escape(std::string_view untrusted) {
  return escape_with(untrusted, "\\");
}

std::string quote(std::string_view argument) {
  if (argument.empty()) return "''";
  bool plain = true;
  for (char c : argument) plain = plain && is_plain(c);
  if (plain) return std::string(argument);
  std::string inner = escape_with(argument, "");
  if (inner == argument && argument.find('\'') == std::string_view::npos) return "'" + inner + "'";
  return "$'" + escape_with(argument, "\\'") + "'";
}

std::string quote(std::span<const std::string> argv) {
  std::string line;
  for (const std::string& argument : argv) {
    if (!line.empty()) line += ' ';
    line += quote(std::string_view(argument));
  }
  return line;
}

}  // namespace agentbox::base
