#pragma once

// The record as a table for people: every byte of it may be the agent's, so every byte is made harmless here.

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agentbox/base/diagnostic.hpp"
#include "agentbox/store/store.hpp"

namespace agentbox::cli {

// For a text that should be escaped already: what is dangerous nevertheless is escaped, backslashes stay single.
[[nodiscard]] std::string harmless(std::string_view text);

enum class Tint { none, good, bad, warn, faint, strong };
struct Cell {
  std::string text;  // harmless
  Tint tint = Tint::none;
};

// Aligned columns; the last one is wrapped below itself. Widths only grow, so that lines that come later stay in line.
class Table {
 public:
  // `width`: of the terminal; 0: nothing is wrapped.
  Table(std::vector<std::string> heads, base::Colour colour, std::size_t width);
  // The heads, and these rows. The heads come once.
  [[nodiscard]] std::string lines(std::span<const std::vector<Cell>> rows);

 private:
  [[nodiscard]] std::string line(const std::vector<Cell>& cells) const;
  std::vector<std::string> heads_;
  std::vector<std::size_t> widths_;
  base::Colour colour_;
  std::size_t width_;
  enum class Heads { due, shown } state_ = Heads::due;
};

[[nodiscard]] std::vector<std::string> log_heads();
[[nodiscard]] std::vector<Cell> log_cells(const store::Row& row);

// `ended` too: with a column that says when and how.
enum class Shown { holding, all };
[[nodiscard]] std::vector<std::string> rule_heads(Shown shown);
[[nodiscard]] std::vector<Cell> rule_cells(const store::Remembered& answer, store::Time now, Shown shown);

}  // namespace agentbox::cli
