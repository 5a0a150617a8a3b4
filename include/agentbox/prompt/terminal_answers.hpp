#pragma once

// What the terminal still has to answer. A program may ask the terminal where the cursor is or which keyboard
// protocol it speaks, and the answer arrives as if it had been typed. While the program lives, that is its
// own affair. After its end the same bytes would be typed into the owner's shell, and while a question of
// ours is on the screen they would be typed into that. So every question that passes is counted, and who
// takes the keyboard away from the room asks one more of his own (`fence`) and throws everything away until
// it is answered: terminals answer in order.

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>

namespace agentbox::prompt {

// The questions that a program may ask: their answers have a fixed form, and none holds bytes that the
// program chose, except numbers.
enum class Query : std::uint8_t {
  attributes,       // DA1, answered by every terminal: CSI ? ... c
  more_attributes,  // DA2: CSI > ... c
  status,           // DSR 5: CSI 0 n
  cursor,           // CPR: CSI row ; column R
  extended_cursor,  // DECXCPR: CSI ? row ; column R
  colour_scheme,    // CSI ? 997 ; 1 n
  mode,             // DECRPM: CSI ? mode ; state $ y
  keyboard,         // kitty's protocol: CSI ? flags u
  modified_keys,    // XTQMODKEYS: CSI > 4 ; value m
  size,             // CSI 4|6|8 ; height ; width t
  colour,           // OSC 4|10|11|12 ; ... rgb:... ST
};
inline constexpr std::size_t query_kinds = 11;

class TerminalAnswers {
 public:
  // So many questions of one kind may be without an answer. An agent that asks without end can neither flood
  // its owner's terminal with answers nor make the fence wait for them.
  static constexpr std::uint16_t limit = 64;

  // Whether somebody reads the answers. Without it they would stay behind in the keyboard's queue.
  enum class Listener : std::uint8_t { none, room };
  void set_listener(Listener listener) noexcept { listener_ = listener; }

  // The question is on its way to the terminal; false when it must not go.
  [[nodiscard]] bool ask(Query query);
  // What the terminal sent, keys and answers mixed, in order. The agent can't forge it; the human can, to no
  // end.
  void observe(std::span<const char> typed);
  // Questions without an answer. A terminal that doesn't know a question never answers it: what was asked
  // before a DA1 or a status report that is answered is taken as settled.
  [[nodiscard]] std::size_t outstanding() const noexcept { return asked_.size(); }
  // Asks for DA1 whatever the limit says. The caller sends the bytes; outstanding() is 0 when all is in.
  [[nodiscard]] std::string_view fence();
  // The terminal will not answer any more (it is gone, or the time is over).
  void forget() noexcept;

 private:
  enum class State : std::uint8_t { ground, escape, csi, string, string_escape };
  void begin(State state) noexcept;
  void end_csi(char final);
  void end_string();
  void answered(Query query);

  std::deque<Query> asked_;
  std::array<std::uint16_t, query_kinds> count_{};
  State state_ = State::ground;
  Listener listener_ = Listener::room;
  char introducer_ = 0;  // of a string: ']', 'P', ...
  std::string body_;     // between introducer and final byte, at most 32 bytes of it
};

}  // namespace agentbox::prompt
