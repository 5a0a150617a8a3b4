#pragma once

// The text of one file: where its lines are, and diagnostics that point into it.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agentbox/base/diagnostic.hpp"
#include "agentbox/profile/parse.hpp"

namespace agentbox::profile {

class Text {
 public:
  // Borrows `source`, which must outlive it.
  explicit Text(const Source& source);

  [[nodiscard]] const std::string& file() const { return *file_; }
  [[nodiscard]] std::string_view bytes() const { return bytes_; }
  // Line 1 is the first; without its newline. Empty beyond the end.
  [[nodiscard]] std::string_view line(std::uint32_t number) const;
  [[nodiscard]] base::Position at(std::size_t offset, std::size_t length) const;
  // The TOML library counts columns in code points, and may name a place just beyond the end of a line or of
  // the text.
  [[nodiscard]] std::size_t offset_of(std::uint32_t line, std::uint32_t code_point_column) const;

  [[nodiscard]] Origin origin(const base::Position& position) const;
  [[nodiscard]] base::Diagnostic error(const base::Position& position, std::string message,
                                       std::string hint = {}) const;

 private:
  const std::string* file_;
  std::string_view bytes_;
  std::vector<std::size_t> starts_;  // of each line
};

// What no TOML parser should be shown: more than `size_limit` bytes, a NUL, bytes that are not UTF-8. Empty
// if sound.
[[nodiscard]] base::Diagnostics check_bytes(const Source& source);

// Where a thing of a merged profile came from, as an error's place.
[[nodiscard]] base::Diagnostic error_at(const Origin& origin, std::string message, std::string hint = {});
// "line 3" in the same file, "base.toml:3" in another.
[[nodiscard]] std::string place_of(const Origin& origin, const std::string& seen_from);

}  // namespace agentbox::profile
