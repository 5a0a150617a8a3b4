#pragma once

// The second half of the demo: an agent at the doors of a room, with real questions. The person at the terminal answers
// them; without one they are answered with deny.

#include <string_view>

namespace agentbox::cli::stage {

struct Style {
  std::string_view bold, good, bad, dim, off;
};
inline constexpr Style plain_style = {"", "", "", "", ""};
inline constexpr Style colour_style = {"\033[1m", "\033[32m", "\033[1;31m", "\033[2m", "\033[0m"};

// The exit code: 0 if nothing happened that nobody had allowed.
[[nodiscard]] int show_doors(const Style& style);

}  // namespace agentbox::cli::stage
