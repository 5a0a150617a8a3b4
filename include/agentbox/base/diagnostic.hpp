#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace agentbox::base {

// Where in a text. Lines and columns count from 1, columns and length in bytes; line 0 means "no position".
struct Position {
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  std::uint32_t length = 1;
  friend bool operator==(const Position&, const Position&) = default;
};

enum class Severity { error, warning, note };

// Something that the user can mend, said so that he can: what is wrong, where, and what to do about it.
struct Diagnostic {
  Severity severity = Severity::error;
  std::string file;  // as the user knows it; empty when it is not about a file
  Position at;
  std::string source_line;  // the line itself, raw bytes; escaped when rendered
  std::string message;      // one sentence, lower case, no full stop
  std::string hint;         // one sentence, or empty
  friend bool operator==(const Diagnostic&, const Diagnostic&) = default;
};

using Diagnostics = std::vector<Diagnostic>;

// What the user can mend is a value, and he gets all of it at once.
template <class T>
using Result = std::expected<T, Diagnostics>;

[[nodiscard]] std::unexpected<Diagnostics> fail(std::string message, std::string hint = {});

enum class Colour { off, on };

// file:line:col: error: message
//     the source line
//       ^~~~
// hint: ...
// Every byte that came from outside is escaped. Ends with a newline.
[[nodiscard]] std::string render(const Diagnostic& diagnostic, Colour colour);
// All of them, in order, with a blank line between.
[[nodiscard]] std::string render(const Diagnostics& diagnostics, Colour colour);

// The candidate that was probably meant: within two edits (one for words under five letters), nearest first;
// empty when none is near.
[[nodiscard]] std::string_view nearest(std::string_view word, const std::vector<std::string_view>& candidates);

}  // namespace agentbox::base
