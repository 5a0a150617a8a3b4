#pragma once

// Finds where each statement of a TOML text begins and ends, so that after a syntax error the rest can still
// be checked. It knows strings, comments and brackets, nothing else: what is right TOML is the library's
// decision.

#include <cstddef>
#include <string_view>
#include <vector>

#include "agentbox/base/diagnostic.hpp"

#include "text.hpp"

namespace agentbox::profile {

struct Statement {
  std::size_t begin = 0, end = 0;  // offsets; `end` is behind its last byte
  bool header = false;             // "[section]"
  std::string_view key;            // the text before '=', or within the brackets of a header
  std::size_t section = npos;      // index of the header above it
  static constexpr std::size_t npos = static_cast<std::size_t>(-1);
};

struct Scan {
  std::vector<Statement> statements;
  // Strings and brackets that are never closed, and nesting deeper than any profile needs: said better than
  // the library can, and before it sees them. `broken` holds the indices of their statements.
  base::Diagnostics errors;
  std::vector<std::size_t> broken;
};

[[nodiscard]] Scan scan(const Text& text);

}  // namespace agentbox::profile
