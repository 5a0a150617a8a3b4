#include "canvas.hpp"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "text.hpp"

namespace agentbox::prompt {

namespace {

// SGR parameters. Colours only of the sixteen that every theme defines, none of them black or white, and no background
// but by inversion: so it is readable on light and on dark.
std::string_view style_of(Ink ink, Colours colours) {
  const bool coloured = colours == Colours::sixteen;
  switch (ink) {
    case Ink::plain: return "";
    case Ink::faint: return "2";
    case Ink::strong: return "1";
    case Ink::name: return coloured ? "1;7;34" : "1;7";
    case Ink::bar: return "";
    case Ink::frame: return coloured ? "34" : "";
    case Ink::checked: return coloured ? "1;34" : "1";
    case Ink::unchecked: return coloured ? "35" : "2";
    case Ink::escape: return coloured ? "35" : "4";
    case Ink::warning: return coloured ? "1;33" : "1";
    case Ink::alarm: return coloured ? "1;31" : "1;7";
    case Ink::allow: return coloured ? "1;7;32" : "1;7";
    case Ink::deny: return coloured ? "1;7;31" : "1;7";
    case Ink::other: return "1;7";
    case Ink::off: return "2;7";
    case Ink::added: return coloured ? "32" : "";
    case Ink::removed: return coloured ? "31" : "";
    case Ink::hunk: return coloured ? "36" : "2";
  }
  return "";
}

bool is_ascii(std::string_view text) noexcept {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

void append_style(std::string& out, std::string_view style) {
  out += style.empty() ? "\033[m" : fmt::format("\033[0;{}m", style);
}

}  // namespace

void Line::add(std::size_t column, std::string_view text, Ink ink, Span::Measure measure) {
  if (text.empty() || column < end_) return;
  const std::size_t width = width_of_text(text);
  spans_.push_back({column, width, std::string(text), ink, measure});
  end_ = column + width;
}

Line& Line::put(std::size_t column, std::string_view text, Ink ink) {
  add(column, text, ink, Span::Measure::sure);
  return *this;
}

Line& Line::fill(std::size_t from, std::size_t to, std::string_view glyph, Ink ink) {
  std::string text;
  for (std::size_t column = from; column < to; ++column) text += glyph;
  return put(from, text, ink);
}

Line& Line::put_shown(std::size_t column, std::string_view text, Ink ink, Escapes escapes) {
  const auto measure = is_ascii(text) ? Span::Measure::sure : Span::Measure::unsure;
  if (escapes == Escapes::plain || text.find('\\') == std::string_view::npos) {
    add(column, text, ink, measure);
    return *this;
  }
  std::size_t begin = 0;
  const auto flush = [&](std::size_t to, Ink with) {
    add(begin == 0 ? column : end_, text.substr(begin, to - begin), with, measure);
    begin = to;
  };
  for (std::size_t at = 0; at < text.size();) {
    const Atom atom = first_atom(text.substr(at));
    const bool marked = atom.kind == Atom::Kind::escape && text.substr(at, 2) != "\\\\";
    if (marked && at > begin) flush(at, ink);
    at += atom.bytes;
    if (marked) flush(at, Ink::escape);
  }
  if (begin < text.size()) flush(text.size(), ink);
  return *this;
}

void Canvas::resize(std::size_t rows, std::size_t columns) {
  rows_ = rows;
  columns_ = columns;
  shown_.clear();
}

std::string Canvas::row(const Line& line) const {
  std::string out;
  std::size_t at = 0;
  bool sure =
      std::ranges::all_of(line.spans(), [](const auto& span) { return span.measure == Line::Span::Measure::sure; });
  std::string_view style;
  // Where a terminal's count may differ from ours, what stood there before is wiped first.
  const bool wiped = !sure;
  if (wiped) out += "\033[K";
  const auto go_to = [&](std::size_t column) {
    if (!sure) {
      fmt::format_to(std::back_inserter(out), "\033[{}G", column + 1);
    } else if (column > at) {
      if (!style.empty()) append_style(out, style = "");
      out.append(column - at, ' ');
    }
    at = column;
    sure = true;
  };
  sure = true;
  for (const auto& span : line.spans()) {
    if (span.column >= columns_) break;
    go_to(span.column);
    if (const auto next = style_of(span.ink, colours_); next != style) append_style(out, style = next);
    const std::size_t room = columns_ - span.column;
    out += span.width <= room ? span.text : cut_to(span.text, room);
    at = span.column + std::min(span.width, room);
    sure = span.measure == Line::Span::Measure::sure;
  }
  if (!style.empty()) append_style(out, "");
  if (!wiped && at < columns_) out += "\033[K";
  return out;
}

std::string Canvas::draw(const std::vector<Line>& lines, Draw what) {
  std::string out;
  const bool all = what == Draw::whole || shown_.size() != rows_;
  if (all) {
    out += "\033[m";
    shown_.assign(rows_, {});
  }
  static const Line nothing;
  for (std::size_t i = 0; i < rows_; ++i) {
    std::string bytes = row(i < lines.size() ? lines[i] : nothing);
    if (!all && bytes == shown_[i]) continue;
    fmt::format_to(std::back_inserter(out), "\033[{};1H", i + 1);
    out += bytes;
    shown_[i] = std::move(bytes);
  }
  return out;
}

}  // namespace agentbox::prompt
