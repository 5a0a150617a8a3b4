#include "document.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace agentbox::prompt {

namespace {

constexpr std::size_t label_width = 12;  // of facts, with the gap: a hash fits beside it into 80 columns
constexpr std::string_view wrap_mark = "↪";

bool is_framed(Look look) {
  return look == Look::box || look == Look::unchecked || (look >= Look::numbered && look <= Look::hunk);
}
bool is_numbered(Look look) {
  return look >= Look::numbered && look <= Look::hunk;
}
bool is_frame(Look look) {
  return look == Look::box_top || look == Look::box_bottom || look == Look::unchecked_top ||
         look == Look::unchecked_bottom;
}
bool is_choice(Look look) {
  return look == Look::choice || look == Look::chosen_choice;
}
bool is_row(Look look) {
  return look == Look::row || look == Look::chosen_row;
}

Ink ink_of(Look look) {
  switch (look) {
    case Look::faint: return Ink::faint;
    case Look::section: return Ink::checked;
    case Look::heading:
    case Look::chosen_choice:
    case Look::box:
    case Look::chosen_row: return Ink::strong;
    case Look::warning: return Ink::warning;
    case Look::added: return Ink::added;
    case Look::removed: return Ink::removed;
    case Look::hunk: return Ink::hunk;
    default: return Ink::plain;
  }
}

}  // namespace

void Document::add(Look look, std::string label, std::string text) {
  if (is_numbered(look)) digits_ = std::max(digits_, label.size());
  blocks_.push_back({look, std::move(label), std::move(text)});
}

void Document::clear() {
  blocks_.clear();
  rows_.clear();
  digits_ = 1;
}

// The margin is one column on each side; a frame and its margin take two on each side, and within it the wrap mark
// stands where no text can. The agent's words have a line on their left only.
std::size_t Document::text_column(const Block& block) const noexcept {
  if (is_numbered(block.look)) return 3 + digits_ + 3;
  if (is_framed(block.look)) return 5;
  if (is_choice(block.look)) return 7;
  if (block.look == Look::fact || block.look == Look::warning) return 3 + label_width;
  if (is_row(block.look)) return 3 + label_width;
  return 3;
}

std::size_t Document::room(const Block& block) const noexcept {
  const std::size_t right = is_framed(block.look) && block.look != Look::unchecked ? 3 : 1;
  const std::size_t left = text_column(block);
  return columns_ > left + right ? columns_ - left - right : 1;
}

void Document::layout(std::size_t columns, Spacing spacing) {
  columns_ = columns;
  rows_.clear();
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    const Block& block = blocks_[i];
    if (block.look == Look::gap && spacing == Spacing::tight) continue;
    if (is_frame(block.look) || block.look == Look::blank || block.look == Look::gap) {
      rows_.push_back({i, {}});
      continue;
    }
    for (const Piece& piece : wrap(block.text, room(block))) rows_.push_back({i, piece});
  }
}

bool Document::first(std::size_t row) const noexcept {
  return row == 0 || rows_[row - 1].block != rows_[row].block;
}

Line Document::draw(std::size_t row) const {
  Line line;
  const Block& block = blocks_[rows_[row].block];
  if (block.look == Look::blank || block.look == Look::gap) return line;
  if (is_frame(block.look)) {
    draw_frame(line, block.look, block.label);
  } else if (is_framed(block.look)) {
    draw_framed(line, block, row);
  } else {
    draw_labelled(line, block, row);
  }
  return line;
}

void Document::draw_frame(Line& line, Look look, std::string_view label) const {
  const std::string words = cut_to(label, columns_ > 8 ? columns_ - 8 : 1);
  if (look == Look::unchecked_top || look == Look::unchecked_bottom) {
    line.put(1, "┆", Ink::unchecked).put(3, words, look == Look::unchecked_top ? Ink::unchecked : Ink::faint);
    return;
  }
  const bool top = look == Look::box_top;
  line.put(1, top ? "┌" : "└", Ink::frame).put(2, "─", Ink::frame);
  if (!label.empty()) line.put(4, words, top ? Ink::checked : Ink::faint);
  line.fill(label.empty() ? line.end() : line.end() + 1, columns_ - 2, "─", Ink::frame);
  line.put(columns_ - 2, top ? "┐" : "┘", Ink::frame);
}

void Document::draw_framed(Line& line, const Block& block, std::size_t row) const {
  const bool checked = block.look != Look::unchecked;
  const Ink frame = checked ? Ink::frame : Ink::unchecked;
  const std::string_view bar = checked ? "│" : "┆";
  const Piece& piece = rows_[row].piece;
  const std::size_t column = text_column(block);
  line.put(1, bar, frame);
  if (is_numbered(block.look)) {
    if (first(row)) line.put(3 + digits_ - block.label.size(), block.label, Ink::faint);
    line.put(3 + digits_ + 1, first(row) ? " " : wrap_mark, Ink::frame);
  } else if (checked && !first(row)) {
    line.put(3, wrap_mark, frame);
  }
  auto text = std::string_view(block.text).substr(piece.begin, piece.end - piece.begin);
  // Prose, not compared exactly: the blank at which it was broken may go.
  if (!checked && !first(row) && text.starts_with(' ')) text.remove_prefix(1);
  line.put_shown(column, text, ink_of(block.look), Line::Escapes::marked);
  if (checked) line.put(columns_ - 2, bar, frame);
}

void Document::draw_labelled(Line& line, const Block& block, std::size_t row) const {
  const Piece& piece = rows_[row].piece;
  const std::size_t column = text_column(block);
  auto text = std::string_view(block.text).substr(piece.begin, piece.end - piece.begin);
  const Ink ink = ink_of(block.look);
  const bool choice = is_choice(block.look);
  const bool chosen = block.look == Look::chosen_choice || block.look == Look::chosen_row;
  const bool fact = block.look == Look::fact || block.look == Look::warning;
  const bool labelled = choice || fact || is_row(block.look);
  const bool at_blank = !first(row) && text.starts_with(' ') && !text.starts_with("  ");
  // Of a fact: without the mark it goes on behind exactly one blank, which was taken for the end of the row.
  if (at_blank && (fact || !labelled)) text.remove_prefix(1);
  if (first(row) && chosen) line.put(1, ">", Ink::allow);
  if (first(row) && block.look == Look::warning) line.put(1, "!", Ink::warning);
  if (first(row) && labelled) {
    line.put(3, cut_to(block.label, column - 4),
             block.look == Look::fact || block.look == Look::row ? Ink::faint : ink);
  }
  if (labelled && !first(row) && !(fact && at_blank)) line.put(column - 2, wrap_mark, Ink::faint);
  line.put_shown(column, text, ink, labelled ? Line::Escapes::marked : Line::Escapes::plain);
}

std::size_t Document::first_row_of(std::size_t block) const noexcept {
  return row_of({block, 0});
}

std::size_t Document::last_row_of(std::size_t block) const noexcept {
  const auto after =
      std::ranges::upper_bound(rows_, block, {}, [](const Row& row) { return row.block; }) - rows_.begin();
  return after == 0 ? 0 : static_cast<std::size_t>(after) - 1;
}

Document::Place Document::place_of(std::size_t row) const noexcept {
  if (row >= rows_.size()) return {};
  return {rows_[row].block, rows_[row].piece.begin};
}

std::size_t Document::row_of(Place place) const noexcept {
  const auto after = std::ranges::upper_bound(rows_, std::pair(place.block, place.byte), {},
                                              [](const Row& row) { return std::pair(row.block, row.piece.begin); });
  return after == rows_.begin() ? 0 : static_cast<std::size_t>(after - rows_.begin()) - 1;
}

// ---- View ----

void View::resize(std::size_t rows, std::size_t columns, Spacing spacing) {
  const auto place = document.place_of(top_);
  height_ = std::max<std::size_t>(rows, 1);
  if (columns != columns_ || spacing != spacing_ || document.rows() == 0) {
    columns_ = columns;
    spacing_ = spacing;
    document.layout(columns, spacing);
    top_ = document.row_of(place);
  }
  scroll_by(0);
}

void View::scroll_by(std::ptrdiff_t rows) noexcept {
  const auto most = static_cast<std::ptrdiff_t>(document.rows()) - static_cast<std::ptrdiff_t>(height_);
  const auto wanted = static_cast<std::ptrdiff_t>(top_) + rows;
  top_ = static_cast<std::size_t>(std::max<std::ptrdiff_t>(0, std::min(wanted, most)));
}

void View::scroll_to(std::size_t row) noexcept {
  top_ = std::min(row, document.rows());
  scroll_by(0);
}

void View::show(std::size_t row) noexcept {
  if (row < top_) {
    scroll_to(row);
  } else if (row >= bottom()) {
    scroll_to(row + 1 - height_);
  }
}

std::size_t View::bottom() const noexcept {
  return std::min(top_ + height_, document.rows());
}

void View::draw(std::vector<Line>& lines) const {
  for (std::size_t row = top_; row < bottom(); ++row) lines.push_back(document.draw(row));
}

}  // namespace agentbox::prompt
