#pragma once

// Reads a unified diff as patch(1) does, but strictly: every line of it must fit.

#include <charconv>
#include <optional>
#include <string>
#include <string_view>

namespace agentbox::test {

// The text after; nothing when the diff doesn't fit `before`.
inline std::optional<std::string> apply_diff(std::string_view before, std::string_view diff) {
  std::string after;
  std::size_t line = 1;  // of `before`, the next one
  auto next_line = [](std::string_view& text) {
    std::size_t end = text.find('\n');
    std::string_view taken = text.substr(0, end == std::string_view::npos ? text.size() : end + 1);
    text.remove_prefix(taken.size());
    return taken;
  };
  while (!diff.empty()) {
    std::string_view here = next_line(diff);
    if (here.starts_with("@@ -")) {
      std::size_t first = 0, count = 1;
      const char* end = here.data() + here.size();
      auto parsed = std::from_chars(here.data() + 4, end, first);
      if (parsed.ec != std::errc{}) return {};
      if (parsed.ptr != end && *parsed.ptr == ',') (void)std::from_chars(parsed.ptr + 1, end, count);
      if (count == 0) ++first;  // it names the line before
      if (first < line) return {};
      for (; line < first; ++line) after += next_line(before);
      continue;
    }
    std::string content(here.substr(1));
    if (diff.starts_with("\\ No newline at end of file\n")) {
      next_line(diff);
      content.pop_back();
    }
    if (here[0] != '+') {
      if (next_line(before) != content) return {};
      ++line;
    }
    if (here[0] != '-') after += content;
    if (here[0] != '+' && here[0] != '-' && here[0] != ' ') return {};
  }
  return after.append(before);
}

}  // namespace agentbox::test
