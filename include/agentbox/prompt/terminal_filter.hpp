#pragma once

// What the agent prints, on its way to the human's real terminal. Full-screen programs pass unharmed; what
// would write the clipboard, change the title, print, or make the terminal answer with bytes that the agent
// chose, does not. The agent is hostile; its bytes may stop at any place.
//
// What is promised of the output, whatever the input is:
// - it is UTF-8, without C1 controls; a byte that is not UTF-8 becomes U+FFFD, as the terminal would show it;
// - every sequence in it is complete and has a row in the table (src/prompt/sequences.cpp), so that after
// each `feed`
//   the terminal is ready for text of our own;
// - it depends on the bytes only, not on how they were cut; and what has passed once passes again.
// The terminal must be a UTF-8 one; `ESC % @`, which would end that, does not pass.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "agentbox/prompt/terminal_answers.hpp"
#include "agentbox/prompt/terminal_modes.hpp"

namespace agentbox::prompt {

class TerminalFilter {
 public:
  // Bytes of one sequence, from ESC to its end; a longer one is dropped whole.
  static constexpr std::size_t sequence_limit = 4096;

  // Appends to `out` what may pass. Keeps what is unfinished for the next call.
  void feed(std::span<const char> in, std::string& out);
  // What is unfinished at the end is dropped.
  void finish() noexcept;
  // Sequences and control characters that did not pass, since the beginning.
  [[nodiscard]] std::uint64_t dropped() const noexcept { return dropped_; }

  // What the agent has switched on the terminal, and what the terminal still has to answer. The relay tells
  // the answers what came in.
  [[nodiscard]] TerminalModes& modes() noexcept { return modes_; }
  [[nodiscard]] TerminalAnswers& answers() noexcept { return answers_; }

 private:
  enum class State : std::uint8_t {
    ground,
    utf8,    // within a letter
    escape,  // after ESC and intermediates
    csi,
    osc,
    osc_escape,     // ESC within an OSC
    drop_csi,       // to the final byte
    drop_osc,       // to BEL or ESC
    drop_string,    // to ESC
    linux_palette,  // the seven digits of ESC ] P
  };

  const char* text(const char* at, const char* end, std::string& out);
  void within_letter(char c, std::string& out);
  void step(char c, std::string& out);
  void control(char c, std::string& out);
  void escape(char c, std::string& out);
  void csi(char c, std::string& out);
  void osc(char c, std::string& out);
  void finish_escape(std::string& out);
  void finish_csi(std::string& out);
  void finish_osc(std::string_view terminator, std::string& out);
  void full_reset(std::string& out);
  void begin(State state) noexcept;
  void drop(State next) noexcept;

  State state_ = State::ground;
  std::uint8_t palette_digits_ = 0;
  std::string pending_;  // the sequence without ESC and introducer, or the letter
  std::uint64_t dropped_ = 0;
  TerminalModes modes_;
  TerminalAnswers answers_;
};

}  // namespace agentbox::prompt
