#pragma once

// Untrusted text on its way to a page: escaped, measured, wrapped.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace agentbox::prompt {

// `raw`: anything; a backslash is doubled, as base::escape does. `quoted`: made by base::quote, whose backslashes stay.
enum class Form : std::uint8_t { raw, quoted };
// Letters from right to left in what is compared exactly (a command, a path) are escaped; in prose they stay.
enum class RightToLeft : std::uint8_t { escaped, kept };

// base::escape, and besides it what that lets pass but a screen does not show exactly: a mark without a letter to carry
// it (an ASCII character carries none), the third and further ones on one letter, parts of flags, skin tones.
// The result is valid UTF-8 of printable characters.
[[nodiscard]] std::string shown(std::string_view untrusted, Form form = Form::raw,
                                RightToLeft letters = RightToLeft::escaped);

// The next code point of text that is valid UTF-8.
struct CodePoint {
  std::uint32_t value = 0;
  std::size_t bytes = 0;
};
[[nodiscard]] CodePoint first_code_point(std::string_view text) noexcept;

// Columns.
[[nodiscard]] std::size_t width_of_text(std::string_view text) noexcept;
// Its beginning; where something is left out the last column is "…".
[[nodiscard]] std::string cut_to(std::string_view text, std::size_t columns);
// Its end; likewise.
[[nodiscard]] std::string cut_front_to(std::string_view text, std::size_t columns);

// The first thing of a shown text that is never torn apart: an escape such as \u{202e}, or a letter with its marks.
struct Atom {
  std::size_t bytes = 0;
  std::size_t width = 0;  // columns
  enum class Kind : std::uint8_t { text, space, escape } kind = Kind::text;
};
[[nodiscard]] Atom first_atom(std::string_view text) noexcept;

// One row of a wrapped line.
struct Piece {
  std::size_t begin = 0, end = 0;  // bytes
  std::size_t width = 0;           // columns
};
// Breaks before blanks where that leaves a row at least half full, else wherever the row is full. Blanks go to the next
// row, so that "a b" and "ab" look different when they are broken. At least one row; `columns` is at least 10, the
// widest atom.
[[nodiscard]] std::vector<Piece> wrap(std::string_view text, std::size_t columns);

}  // namespace agentbox::prompt
