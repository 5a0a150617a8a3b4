#pragma once

// What a page puts on the screen: rows of inked text, and the bytes that bring the terminal there. This is the only
// place of the pages that writes control sequences, and they are all ours.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agentbox/prompt/page.hpp"

namespace agentbox::prompt {

enum class Ink : std::uint8_t {
  plain,
  faint,
  strong,
  name,       // agentbox's own, at the top
  bar,        // what stands beside it
  frame,      // around what is asked
  checked,    // over what agentbox measured
  unchecked,  // around what the agent says
  escape,     // an escape within untrusted text
  warning,
  alarm,
  allow,  // key caps
  deny,
  other,
  off,  // a key that does not work now
  added,
  removed,
  hunk,
};

// One row, filled from the left to the right.
class Line {
 public:
  // Our own text. Does nothing where something stands already.
  Line& put(std::size_t column, std::string_view text, Ink ink = Ink::plain);
  Line& fill(std::size_t from, std::size_t to, std::string_view glyph, Ink ink);
  // Shown text (see text.hpp). Terminals may disagree with us about its width when it is not ASCII, so what follows is
  // positioned anew. `escapes`: in an ink of their own.
  enum class Escapes : std::uint8_t { plain, marked };
  Line& put_shown(std::size_t column, std::string_view text, Ink ink = Ink::plain, Escapes escapes = Escapes::plain);
  // The column after the last.
  [[nodiscard]] std::size_t end() const noexcept { return end_; }

  struct Span {
    std::size_t column, width;
    std::string text;
    Ink ink;
    enum class Measure : std::uint8_t { sure, unsure } measure;
  };
  [[nodiscard]] const std::vector<Span>& spans() const noexcept { return spans_; }

 private:
  void add(std::size_t column, std::string_view text, Ink ink, Span::Measure measure);

  std::vector<Span> spans_;
  std::size_t end_ = 0;
};

class Canvas {
 public:
  void resize(std::size_t rows, std::size_t columns);
  void set_colours(Colours colours) noexcept { colours_ = colours; }
  [[nodiscard]] std::size_t rows() const noexcept { return rows_; }
  [[nodiscard]] std::size_t columns() const noexcept { return columns_; }
  // The bytes that show these lines from the top; `changes`: of rows that differ from the last time only. What is wider
  // or longer than the screen is left out.
  [[nodiscard]] std::string draw(const std::vector<Line>& lines, Draw what);

 private:
  [[nodiscard]] std::string row(const Line& line) const;

  std::size_t rows_ = 24, columns_ = 80;
  Colours colours_ = Colours::sixteen;
  std::vector<std::string> shown_;
};

}  // namespace agentbox::prompt
