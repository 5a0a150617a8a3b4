#pragma once

// The part of a page that scrolls: blocks of text, wrapped once for a width, drawn a row at a time.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "canvas.hpp"
#include "text.hpp"

namespace agentbox::prompt {

enum class Look : std::uint8_t {
  blank,
  gap,      // a blank row that goes where rows are scarce
  text,     // ours
  faint,    // ours
  heading,  // ours
  section,  // ours: over what agentbox measured
  fact,     // label and value
  warning,  // the same, to be seen
  box_top,  // a frame around what is asked; the label in it
  box,      // text in it
  box_bottom,
  unchecked_top,  // a line down the left of the agent's words, as beside a quotation
  unchecked,
  unchecked_bottom,
  numbered,  // in the first frame, with the number of the line
  added,
  removed,
  hunk,
  choice,  // its number in front
  chosen_choice,
  row,  // of a list: a label in front
  chosen_row,
};

// Tight: without gaps.
enum class Spacing : std::uint8_t { roomy, tight };

class Document {
 public:
  // `text` is shown text (text.hpp) where the look is one of untrusted text.
  void add(Look look, std::string label = {}, std::string text = {});
  void clear();
  // Wraps for so many columns.
  void layout(std::size_t columns, Spacing spacing);
  void set_look(std::size_t block, Look look) { blocks_[block].look = look; }
  [[nodiscard]] std::size_t blocks() const noexcept { return blocks_.size(); }

  [[nodiscard]] std::size_t rows() const noexcept { return rows_.size(); }
  [[nodiscard]] Line draw(std::size_t row) const;
  // The rows of a block.
  [[nodiscard]] std::size_t first_row_of(std::size_t block) const noexcept;
  [[nodiscard]] std::size_t last_row_of(std::size_t block) const noexcept;

  // A place in the text that a new layout doesn't move.
  struct Place {
    std::size_t block = 0, byte = 0;
  };
  [[nodiscard]] Place place_of(std::size_t row) const noexcept;
  [[nodiscard]] std::size_t row_of(Place place) const noexcept;

 private:
  struct Block {
    Look look;
    std::string label, text;
  };
  struct Row {
    std::size_t block;
    Piece piece;
  };
  [[nodiscard]] std::size_t room(const Block& block) const noexcept;
  [[nodiscard]] std::size_t text_column(const Block& block) const noexcept;
  [[nodiscard]] bool first(std::size_t row) const noexcept;
  void draw_frame(Line& line, Look look, std::string_view label) const;
  void draw_framed(Line& line, const Block& block, std::size_t row) const;
  void draw_labelled(Line& line, const Block& block, std::size_t row) const;

  std::vector<Block> blocks_;
  std::vector<Row> rows_;
  std::size_t columns_ = 0;
  std::size_t digits_ = 1;
};

// A document with a window on it.
class View {
 public:
  Document document;

  void resize(std::size_t rows, std::size_t columns, Spacing spacing = Spacing::roomy);
  [[nodiscard]] Spacing spacing() const noexcept { return spacing_; }
  [[nodiscard]] std::size_t height() const noexcept { return height_; }
  void scroll_by(std::ptrdiff_t rows) noexcept;
  void scroll_to(std::size_t row) noexcept;
  // As little as shows this row.
  void show(std::size_t row) noexcept;
  [[nodiscard]] std::size_t top() const noexcept { return top_; }
  // The row after the last that is visible.
  [[nodiscard]] std::size_t bottom() const noexcept;
  [[nodiscard]] bool fits() const noexcept { return document.rows() <= height_; }
  void draw(std::vector<Line>& lines) const;

 private:
  std::size_t top_ = 0, height_ = 1, columns_ = 0;
  Spacing spacing_ = Spacing::roomy;
};

}  // namespace agentbox::prompt
