#include "line_editor.hpp"

#include "text.hpp"

namespace agentbox::prompt {

namespace {

bool continues(char c) {
  return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
}

}  // namespace

std::string printable(std::string_view text) {
  KeyReader reader;  // the strict decoder of what is typed
  std::string out;
  for (char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += ' ';
      continue;
    }
    for (const Press& press : reader.feed(std::string_view(&c, 1), {})) {
      if (press.key == Key::character) out += press.text;
    }
  }
  return out;
}

void LineEditor::append(std::string_view letters) {
  while (!letters.empty()) {
    const CodePoint point = first_code_point(letters);
    if (text_.size() + point.bytes > limit_) return;
    text_ += letters.substr(0, point.bytes);
    letters.remove_prefix(point.bytes);
  }
}

void LineEditor::erase_letter() {
  while (!text_.empty() && continues(text_.back())) text_.pop_back();
  if (!text_.empty()) text_.pop_back();
}

void LineEditor::press(const Press& press) {
  if (press.key == Key::character) {
    append(press.text);
  } else if (press.key == Key::paste) {
    append(printable(press.text));
  } else if (press.key == Key::backspace) {
    erase_letter();
  } else if (press.key == Key::control && press.text == "u") {
    text_.clear();
  } else if (press.key == Key::control && press.text == "w") {
    while (text_.ends_with(' ')) text_.pop_back();
    while (!text_.empty() && !text_.ends_with(' ')) text_.pop_back();
  }
}

Line LineEditor::draw(std::string_view prompt, std::size_t columns) const {
  Line line;
  line.put(1, prompt, Ink::strong);
  const std::size_t begin = line.end() + 1;
  const std::size_t room = columns > begin + 2 ? columns - begin - 2 : 1;
  line.put_shown(begin, cut_front_to(shown(text_), room));
  return line.put(std::max(begin, line.end()), " ", Ink::other);
}

}  // namespace agentbox::prompt
