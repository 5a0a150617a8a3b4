#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace agentbox::base {

// What turned one text into another, in lines, for a person to read. Both may be hostile: time and memory are bounded,
// and what is said is exact in every case.
struct Diff {
  enum class Kind {
    same,
    text,      // `text` holds all of it
    binary,    // one of them has a NUL byte: it can't be shown in lines
    too_long,  // more than `Limits::shown` bytes
  } kind = Kind::same;
  // Hunks: "@@ -1,7 +1,8 @@", then lines that begin with ' ', '-' or '+', each ended by a newline. A last line that has
  // none of its own is followed by "\ No newline at end of file". Nothing in it is escaped.
  std::string text;
  std::size_t added = 0, removed = 0;  // lines; with `text` and `too_long`

  struct Limits {
    std::size_t context = 3;         // lines
    std::size_t shown = 512 * 1024;  // bytes of `text`
    std::size_t differences = 1000;  // beyond so many added and removed lines it need not be the shortest one
  };
};
[[nodiscard]] Diff unified_diff(std::string_view before, std::string_view after, const Diff::Limits& limits);
[[nodiscard]] Diff unified_diff(std::string_view before, std::string_view after);

}  // namespace agentbox::base
