#include "text.hpp"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"

#include "width.hpp"

namespace agentbox::prompt {

namespace {

constexpr int most_marks = 2;  // on one letter: what the scripts of the world need

std::size_t columns_of(std::uint32_t code) noexcept {
  return static_cast<std::size_t>(width_of(code));
}

std::string escaped(std::string_view text, Form form) {
  if (form == Form::raw) return base::escape(text);
  std::string out;
  for (;;) {
    const auto backslash = text.find('\\');
    out += base::escape(text.substr(0, backslash));
    if (backslash == std::string_view::npos) return out;
    out += '\\';
    text.remove_prefix(backslash + 1);
  }
}

bool is_ascii(std::string_view text) noexcept {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

// Of an escape at the beginning of the text; 0: it is none.
std::size_t escape_length(std::string_view text) noexcept {
  if (text.size() < 2 || text[0] != '\\') return 0;
  if (text[1] == 'x' && text.size() >= 4) return 4;
  if (text.starts_with("\\u{")) {
    const auto end = text.substr(0, 10).find('}');
    if (end != std::string_view::npos) return end + 1;
  }
  return static_cast<unsigned char>(text[1]) < 0x80 ? 2 : 0;
}

}  // namespace

CodePoint first_code_point(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i])); };
  const std::uint32_t first = byte(0);
  if (first < 0x80) return {first, 1};
  const std::size_t length = std::min<std::size_t>(first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2, text.size());
  std::uint32_t value = first & (0x7fU >> length);
  for (std::size_t i = 1; i < length; ++i) value = value << 6 | (byte(i) & 0x3f);
  return {value, length};
}

std::string shown(std::string_view untrusted, Form form, RightToLeft letters) {
  const std::string text = escaped(untrusted, form);
  if (is_ascii(text)) return text;
  std::string out;
  out.reserve(text.size());
  bool carries = false;  // the letter before can carry marks
  int marks = 0;
  for (std::string_view rest = text; !rest.empty();) {
    const CodePoint point = first_code_point(rest);
    const std::string_view bytes = rest.substr(0, point.bytes);
    rest.remove_prefix(point.bytes);
    bool exact = !joins_with_neighbours(point.value);
    if (letters == RightToLeft::escaped && is_right_to_left(point.value)) exact = false;
    if (width_of(point.value) == Width::zero) {
      exact = exact && carries && ++marks <= most_marks;
    } else {
      carries = exact && point.value >= 0x80;
      marks = 0;
    }
    if (exact) {
      out += bytes;
    } else {
      fmt::format_to(std::back_inserter(out), "\\u{{{:x}}}", point.value);
      carries = false;
    }
  }
  return out;
}

std::size_t width_of_text(std::string_view text) noexcept {
  std::size_t width = 0;
  while (!text.empty()) {
    const CodePoint point = first_code_point(text);
    width += columns_of(point.value);
    text.remove_prefix(point.bytes);
  }
  return width;
}

std::string cut_to(std::string_view text, std::size_t columns) {
  if (width_of_text(text) <= columns) return std::string(text);
  if (columns == 0) return {};
  std::size_t at = 0, width = 0;
  for (;;) {
    const Atom atom = first_atom(text.substr(at));
    if (width + atom.width > columns - 1) break;
    at += atom.bytes;
    width += atom.width;
  }
  return std::string(text.substr(0, at)) + "…";
}

std::string cut_front_to(std::string_view text, std::size_t columns) {
  std::size_t width = width_of_text(text);
  if (width <= columns) return std::string(text);
  if (columns == 0) return {};
  while (width > columns - 1) {
    const Atom atom = first_atom(text);
    width -= atom.width;
    text.remove_prefix(atom.bytes);
  }
  return "…" + std::string(text);
}

Atom first_atom(std::string_view text) noexcept {
  if (const auto length = escape_length(text); length != 0) return {length, length, Atom::Kind::escape};
  if (text[0] == ' ') return {1, 1, Atom::Kind::space};
  const CodePoint first = first_code_point(text);
  Atom atom{first.bytes, columns_of(first.value)};
  while (atom.bytes < text.size()) {
    const CodePoint next = first_code_point(text.substr(atom.bytes));
    if (next.value < 0x300 || width_of(next.value) != Width::zero) break;
    atom.bytes += next.bytes;
  }
  return atom;
}

std::vector<Piece> wrap(std::string_view text, std::size_t columns) {
  columns = std::max<std::size_t>(columns, 10);
  std::vector<Piece> rows;
  Piece row;
  Piece before_blanks;  // the row up to its last blanks; its end is its beginning if there are none
  bool blank = true;    // the last atom; blanks at a row's beginning are no place to break
  std::size_t at = 0;
  const auto take = [&](const Atom& atom) {
    at += atom.bytes;
    row.end = at;
    row.width += atom.width;
  };
  while (at < text.size()) {
    const Atom atom = first_atom(text.substr(at));
    const bool space = atom.kind == Atom::Kind::space;
    if (space && !blank) before_blanks = row;
    if (row.width + atom.width > columns) {
      // A row that is not full must not end in blanks: nobody could count them.
      const bool uncounted = blank && !space && row.width > 0 && row.width < columns;
      const bool breakable = before_blanks.end > row.begin;
      if (uncounted && !breakable && atom.kind == Atom::Kind::escape) {
        blank = false;
        take({1, 1});  // torn apart
        continue;
      }
      const bool at_blanks = breakable && (uncounted || before_blanks.width * 2 >= columns);
      rows.push_back(at_blanks ? before_blanks : row);
      at = rows.back().end;
      row = before_blanks = {at, at, 0};
      blank = true;
      continue;
    }
    blank = space;
    take(atom);
  }
  rows.push_back(row);
  return rows;
}

}  // namespace agentbox::prompt
