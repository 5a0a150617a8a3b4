#pragma once

// What the agent has switched on the human's terminal, so that exactly this can be switched back: a program
// that switched nothing (`ls`) costs not one byte.

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace agentbox::prompt {

struct Csi;

class TerminalModes {
 public:
  // The height of the terminal, so that margins at its edges count as none (ncurses and vim set them). 0:
  // unknown.
  void set_rows(std::uint16_t rows) noexcept { rows_ = rows; }
  // Tells of what has passed to the terminal.
  void control(char c) noexcept;
  void escape(std::string_view shape) noexcept;
  void csi(const Csi& csi);
  void osc(std::string_view number, std::string_view text) noexcept;

  // Nothing is different from before.
  [[nodiscard]] bool untouched() const;
  // The bytes that put the terminal back as it was: the screen, the cursor, mouse, paste and keyboard modes,
  // colours, character sets, margins. Empty when untouched. Safe to send at any time: it changes nothing in
  // here.
  [[nodiscard]] std::string leave() const;
  // The bytes that switch the modes on again after `leave`. The picture itself the program must paint.
  [[nodiscard]] std::string enter() const;
  // `leave` was sent for good.
  void reset() noexcept;

  [[nodiscard]] bool alternate_screen() const noexcept;
  // The terminal types reports by itself: mouse, focus, colour scheme, size.
  [[nodiscard]] bool reports() const noexcept;

 private:
  void private_mode(std::uint16_t number, bool on) noexcept;
  void styles(const Csi& csi) noexcept;
  void keyboard(const Csi& csi);

  // One keyboard state for each screen: kitty keeps them apart.
  struct Keyboard {
    std::vector<std::uint16_t> pushed;  // at most 16: terminals keep no more
    std::uint16_t flags = 0;            // by `=`
    bool set = false;
  };
  static constexpr std::size_t most_modes = 64;

  std::bitset<most_modes> changed_;   // by index in the table of private modes: not normal now
  std::array<Keyboard, 2> keyboard_;  // main screen, alternate screen
  std::uint16_t styles_ = 0;          // a bit for each attribute that is on
  std::uint16_t rows_ = 0;
  std::uint16_t cursor_shape_ = 0;
  std::uint16_t modified_keys_ = 0;
  bool insert_ = false;
  bool keypad_ = false;
  bool margins_ = false;
  bool shifted_ = false;
  std::array<bool, 2> character_set_{};  // G0, G1 are not ASCII
  bool link_ = false;
  bool cursor_colour_ = false;
};

}  // namespace agentbox::prompt
