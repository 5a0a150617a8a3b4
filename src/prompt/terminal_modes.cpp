#include "agentbox/prompt/terminal_modes.hpp"

#include <algorithm>
#include <iterator>

#include "sequences.hpp"

namespace agentbox::prompt {

namespace {

constexpr std::size_t most_pushed = 16;

// Index in the table of private modes; its size if it has no such row.
std::size_t index_of(std::uint16_t number) noexcept {
  auto table = private_modes();
  return static_cast<std::size_t>(std::distance(table.begin(), std::ranges::find(table, number, &ModeRule::number)));
}

bool is_screen(std::uint16_t number) noexcept {
  return number == 47 || number == 1047 || number == 1049;
}

std::string mode_sequence(std::uint16_t number, bool on) {
  return "\033[?" + std::to_string(number) + (on ? 'h' : 'l');
}

// The attributes of SGR, by what ends them.
enum Style : std::uint16_t {
  intensity = 1,
  italic = 2,
  underline = 4,
  blink = 8,
  reverse = 16,
  conceal = 32,
  strike = 64,
  font = 128,
  foreground = 256,
  background = 512,
  overline = 1024,
  underline_colour = 2048,
  other = 4096,
};

struct StyleCodes {
  std::uint16_t first, last;
  std::uint16_t style;
  bool on;
};
constexpr StyleCodes style_codes[] = {
    {1, 2, intensity, true},
    {3, 3, italic, true},
    {4, 4, underline, true},
    {5, 6, blink, true},
    {7, 7, reverse, true},
    {8, 8, conceal, true},
    {9, 9, strike, true},
    {10, 10, font, false},
    {11, 19, font, true},
    {20, 20, italic, true},
    {21, 21, underline, true},
    {22, 22, intensity, false},
    {23, 23, italic, false},
    {24, 24, underline, false},
    {25, 25, blink, false},
    {27, 27, reverse, false},
    {28, 28, conceal, false},
    {29, 29, strike, false},
    {30, 38, foreground, true},
    {39, 39, foreground, false},
    {40, 48, background, true},
    {49, 49, background, false},
    {53, 53, overline, true},
    {55, 55, overline, false},
    {58, 58, underline_colour, true},
    {59, 59, underline_colour, false},
    {90, 97, foreground, true},
    {100, 107, background, true},
};

}  // namespace

void TerminalModes::control(char c) noexcept {
  if (c == '\x0e') shifted_ = true;
  if (c == '\x0f') shifted_ = false;
}

void TerminalModes::escape(std::string_view shape) noexcept {
  if (shape == "=" || shape == ">") keypad_ = shape == "=";
  if (shape.size() == 2) character_set_.at(shape[0] == '(' ? 0 : 1) = shape[1] != 'B';
}

void TerminalModes::osc(std::string_view number, std::string_view text) noexcept {
  if (number == "8") link_ = text.find(';') + 1 != text.size();  // "parameters;address"
  if (number == "12") cursor_colour_ = true;
  if (number == "112") cursor_colour_ = false;
}

void TerminalModes::csi(const Csi& csi) {
  const auto shape = csi.shape();
  if (shape == "m") {
    styles(csi);
  } else if (shape == "?h" || shape == "?l") {
    for (std::size_t i = 0; i < csi.count; ++i) private_mode(csi.value(i), shape == "?h");
  } else if (shape == "h" || shape == "l") {
    for (std::size_t i = 0; i < csi.count; ++i) insert_ = csi.value(i) == 4 ? shape == "h" : insert_;
  } else if (shape == "r") {
    margins_ = csi.value(0) > 1 || (csi.value(1) != 0 && csi.value(1) != rows_);
  } else if (shape == " q") {
    cursor_shape_ = csi.value(0);
  } else if (shape == ">m") {
    modified_keys_ = csi.value(1);
  } else if (csi.final == 'u' && csi.prefix != 0) {
    keyboard(csi);
  }
}

void TerminalModes::private_mode(std::uint16_t number, bool on) noexcept {
  const std::size_t index = index_of(number);
  if (index >= private_modes().size()) return;
  const Normal normal = private_modes()[index].normal;
  if (normal != Normal::unknown) changed_.set(index, on != (normal == Normal::on));
  // The three ways to the alternate screen lead to the same one: leaving by any leaves it.
  if (is_screen(number) && !on) {
    for (const ModeRule& rule : private_modes()) {
      if (is_screen(rule.number)) changed_.reset(index_of(rule.number));
    }
  }
}

void TerminalModes::styles(const Csi& csi) noexcept {
  if (csi.count == 0) styles_ = 0;
  for (std::size_t i = 0; i < csi.count; ++i) {
    if (csi.is_part.at(i)) continue;  // of 4:3 or 38:2:...
    const std::uint16_t value = csi.value(i);
    if (value == 0) {
      styles_ = 0;
      continue;
    }
    auto found = std::ranges::find_if(
        style_codes, [value](const StyleCodes& codes) { return value >= codes.first && value <= codes.last; });
    const std::uint16_t style = found == std::end(style_codes) ? std::uint16_t{other} : found->style;
    const bool on = found == std::end(style_codes) || found->on;
    styles_ = static_cast<std::uint16_t>(on ? styles_ | style : styles_ & ~style);
    // 4:0 is the end of an underline.
    if (value == 4 && i + 1 < csi.count && csi.is_part.at(i + 1) && csi.value(i + 1) == 0) {
      styles_ = static_cast<std::uint16_t>(styles_ & ~underline);
    }
    const bool colour = value == 38 || value == 48 || value == 58;
    if (colour && i + 1 < csi.count && !csi.is_part.at(i + 1)) i += csi.value(i + 1) == 2 ? 4 : 2;
  }
}

void TerminalModes::keyboard(const Csi& csi) {
  Keyboard& keys = keyboard_.at(alternate_screen() ? 1 : 0);
  if (csi.prefix == '>') {
    if (keys.pushed.size() == most_pushed) keys.pushed.erase(keys.pushed.begin());
    keys.pushed.push_back(csi.value(0));
  } else if (csi.prefix == '<') {
    const std::size_t count = std::max<std::size_t>(csi.value(0), 1);
    keys.pushed.resize(keys.pushed.size() - std::min(count, keys.pushed.size()));
  } else if (csi.prefix == '=') {
    if (!keys.pushed.empty()) return;  // popping brings back what was before
    keys.flags = csi.value(0);
    keys.set = keys.flags != 0;
  }
}

bool TerminalModes::alternate_screen() const noexcept {
  return changed_.test(index_of(47)) || changed_.test(index_of(1047)) || changed_.test(index_of(1049));
}

bool TerminalModes::reports() const noexcept {
  return std::ranges::any_of(std::array<std::uint16_t, 7>{9, 1000, 1002, 1003, 1004, 2031, 2048},
                             [this](std::uint16_t number) { return changed_.test(index_of(number)); });
}

bool TerminalModes::untouched() const {
  return leave().empty();
}

void TerminalModes::reset() noexcept {
  *this = TerminalModes{};
}

std::string TerminalModes::leave() const {
  std::string out;
  auto keys = [&out](const Keyboard& keyboard) {
    if (!keyboard.pushed.empty()) out += "\033[<" + std::to_string(keyboard.pushed.size()) + 'u';
    if (keyboard.set) out += "\033[=0u";
  };
  const bool alternate = alternate_screen();
  if (changed_.test(index_of(2026))) out += mode_sequence(2026, false);  // else the terminal shows nothing for a while
  if (alternate) keys(keyboard_[1]);
  // Margins and origin move the cursor when they change. On the alternate screen that is of no consequence;
  // on the main screen the cursor stays where the output ended.
  const bool origin = changed_.test(index_of(6));
  if (origin) out += mode_sequence(6, false);
  if (margins_) out += alternate || origin ? "\033[r" : "\0337\033[r\0338";
  auto table = private_modes();
  for (std::size_t i = 0; i < table.size(); ++i) {
    if (changed_.test(i) && is_screen(table[i].number)) out += mode_sequence(table[i].number, false);
  }
  keys(keyboard_[0]);
  for (std::size_t i = 0; i < table.size(); ++i) {
    const auto number = table[i].number;
    if (!changed_.test(i) || is_screen(number) || number == 6 || number == 2026) continue;
    out += mode_sequence(number, table[i].normal == Normal::on);
  }
  if (modified_keys_ != 0) out += "\033[>4m";
  if (insert_) out += "\033[4l";
  if (keypad_) out += "\033>";
  if (shifted_) out += '\x0f';
  if (character_set_[0]) out += "\033(B";
  if (character_set_[1]) out += "\033)B";
  if (styles_ != 0) out += "\033[m";
  if (cursor_shape_ != 0) out += "\033[0 q";
  if (link_) out += "\033]8;;\033\\";
  if (cursor_colour_) out += "\033]112\033\\";
  return out;
}

std::string TerminalModes::enter() const {
  std::string out;
  auto keys = [&out](const Keyboard& keyboard) {
    if (keyboard.set) out += "\033[=" + std::to_string(keyboard.flags) + 'u';
    for (auto flags : keyboard.pushed) out += "\033[>" + std::to_string(flags) + 'u';
  };
  keys(keyboard_[0]);
  auto table = private_modes();
  for (std::size_t i = 0; i < table.size(); ++i) {
    if (changed_.test(i) && is_screen(table[i].number)) out += mode_sequence(table[i].number, true);
  }
  if (alternate_screen()) keys(keyboard_[1]);
  for (std::size_t i = 0; i < table.size(); ++i) {
    const auto number = table[i].number;
    // Origin and synchronized output belong to a picture that is half painted.
    if (!changed_.test(i) || is_screen(number) || number == 6 || number == 2026) continue;
    out += mode_sequence(number, table[i].normal == Normal::off);
  }
  if (modified_keys_ != 0) out += "\033[>4;" + std::to_string(modified_keys_) + 'm';
  if (keypad_) out += "\033=";
  if (cursor_shape_ != 0) out += "\033[" + std::to_string(cursor_shape_) + " q";
  return out;
}

}  // namespace agentbox::prompt
