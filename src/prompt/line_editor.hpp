#pragma once

// A line that the human types: UTF-8, the cursor at its end.

#include <cstddef>
#include <string>

#include "canvas.hpp"
#include "keys.hpp"

namespace agentbox::prompt {

class LineEditor {
 public:
  explicit LineEditor(std::size_t limit) noexcept : limit_(limit) {}  // bytes

  void set(std::string text) { text_ = std::move(text); }
  [[nodiscard]] const std::string& text() const noexcept { return text_; }
  // Letters, pasted text (its control characters as blanks), Backspace, Ctrl-W, Ctrl-U. Others do nothing.
  void press(const Press& press);
  // "prompt text█", the end of the text where it is too long.
  [[nodiscard]] Line draw(std::string_view prompt, std::size_t columns) const;

 private:
  void append(std::string_view letters);
  void erase_letter();

  std::string text_;
  std::size_t limit_;
};

// `text` with every control character as a blank and without what is not UTF-8.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace agentbox::prompt
