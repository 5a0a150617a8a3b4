#pragma once

// What a terminal sends → keys. Whoever is at the keyboard is trusted; what he pastes, and what a program typed for
// him, is not: so each key says whether it came alone.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agentbox/prompt/page.hpp"

namespace agentbox::prompt {

enum class Key : std::uint8_t {
  character,  // text: one code point
  enter,
  escape,
  control,  // text: the letter, 'c' for Ctrl-C
  backspace,
  up,
  down,
  left,
  right,
  page_up,
  page_down,
  home,
  end,
  paste,  // text: all of it, to a limit
  unknown,
};

struct Press {
  Key key = Key::unknown;
  std::string text;
  // One byte, alone in its read, and nothing came within 100 ms before it. A pasted text, a key that types several
  // characters, and keys that were typed ahead, are not.
  enum class Company : std::uint8_t { others, alone } company = Company::others;

  // The byte `key`, alone.
  [[nodiscard]] bool is_alone(char key_byte) const noexcept {
    return key == Key::character && company == Company::alone && text.size() == 1 && text[0] == key_byte;
  }
};

class KeyReader {
 public:
  static constexpr std::chrono::milliseconds burst{100};
  // After ESC nothing: it was the key, not the beginning of a sequence.
  static constexpr std::chrono::milliseconds escape_limit{50};
  // So long nothing more came of a sequence that has begun: it never will. Alt+] begins one, too.
  static constexpr std::chrono::milliseconds sequence_limit{1000};
  static constexpr std::chrono::milliseconds paste_pause{2000};  // of a paste, likewise; see feed
  static constexpr std::size_t paste_limit = 4096;               // bytes kept of a pasted text

  // One read. A paste that stops in the middle is waited for without end, for its rest must not become keys. Only a
  // single byte after a pause is somebody's key: it ends the paste, which is dropped together with it, and is said to
  // be unknown.
  [[nodiscard]] std::vector<Press> feed(std::string_view bytes, Clock::time_point now);
  // The Escape key, if it was pressed that long ago; an unknown one in place of a sequence that has no end.
  [[nodiscard]] std::vector<Press> settle(Clock::time_point now);
  // Should `settle` be called, and when?
  [[nodiscard]] bool pending() const noexcept { return state_ != State::ground && state_ != State::paste; }
  [[nodiscard]] Clock::time_point settles_at() const noexcept {
    return last_ + (state_ == State::escape ? escape_limit : sequence_limit);
  }

 private:
  enum class State : std::uint8_t { ground, letter, escape, csi, ss3, string, string_escape, paste };
  void give_up(std::vector<Press>& out);
  void step(char c, std::vector<Press>& out);
  void ground(char c, std::vector<Press>& out);
  void letter(char c, std::vector<Press>& out);
  void after_escape(char c, std::vector<Press>& out);
  void end_csi(char final, std::vector<Press>& out);
  void paste(char c, std::vector<Press>& out);

  State state_ = State::ground;
  std::string text_;        // of what is unfinished
  std::size_t wanted_ = 0;  // bytes of a letter
  Clock::time_point last_;
  bool any_ = false;  // `last_` is of a read
};

}  // namespace agentbox::prompt
