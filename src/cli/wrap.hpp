#pragma once

// Text for people, broken at blanks. What must be copied (a command, a path) has none, and is never broken.

#include <algorithm>
#include <string>
#include <string_view>

namespace agentbox::cli {

// Columns of a text that is harmless already: wide letters count as one.
inline std::size_t columns_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

// Lines of at most `width` columns, unless one word is longer; 0: one line. Each line after the first begins with
// `indent` blanks; the first one begins at column `at`.
inline std::string wrapped(std::string_view text, std::size_t width, std::size_t indent, std::size_t at) {
  if (width == 0) return std::string(text);
  std::string out;
  std::size_t column = at;
  bool is_first = true;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::size_t size = columns_of(word);
    if (!is_first && column + 1 + size > width) {
      out += '\n' + std::string(indent, ' ');
      column = indent;
    } else if (!is_first) {
      out += ' ';
      ++column;
    }
    is_first = false;
    out += word;
    column += size;
  }
  return out;
}

// What prose is wrapped at, on a terminal of this width: lines that are too long can't be read. 0 stays: no terminal.
inline std::size_t prose_width(std::size_t terminal) {
  return terminal == 0 ? 0 : std::clamp<std::size_t>(terminal, 40, 100);
}

}  // namespace agentbox::cli
