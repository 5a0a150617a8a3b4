#pragma once

// The question as a human sees it, and his answer. All text here is raw: the page escapes it. Pure values and a pure
// page: what keys do and which bytes are drawn depends on nothing but the calls.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace agentbox::prompt {

using Clock = std::chrono::steady_clock;

// One line of what agentbox measured itself.
struct Fact {
  std::string label;  // "program": ours, a word or two
  std::string value;  // raw: from the agent, the file system, ...
  enum class Weight { normal, warning } weight = Weight::normal;
};

struct Question {
  std::string id;       // "7"; unique in its session
  std::string session;  // "pi-3fa2"
  std::string profile;
  std::string digest;   // the answer carries it back
  std::string title;    // ours: "run a command on your machine"
  std::string subject;  // raw, may be long: what exactly; with a command one word an element, already quoted by base::quote
  std::vector<Fact> facts;
  std::string said;     // raw: what the agent gives as its reason; empty: nothing
  // Raw, in lines: a message's body, a diff. Allow works only when its end has been on the screen.
  std::string content;
  // What a yes can be remembered for, shown in full; empty: not offered. The narrowest first.
  std::vector<std::string> session_scopes, lasting_scopes;
  Clock::time_point asked{}, deadline{};
  std::size_t waiting = 0;  // other questions behind this one
};

struct Answer {
  enum class Kind : std::uint8_t { once, session, always, deny, deny_session };
  Kind kind = Kind::deny;
  std::size_t scope = 0;  // which of session_scopes or lasting_scopes
  std::string comment;    // raw, for the agent; at most 500 bytes
  std::string digest;
};

// One question on a screen of `rows` × `columns`. Draws the whole screen, or only what changed since.
class QuestionPage {
 public:
  // `quiet`: keys are ignored for so long after the first drawing, and all that was typed before it.
  explicit QuestionPage(Question question, std::chrono::milliseconds quiet = std::chrono::milliseconds(700));
  ~QuestionPage();
  QuestionPage(QuestionPage&&) noexcept;
  QuestionPage& operator=(QuestionPage&&) noexcept;

  // From now on. Below 10 × 30 a page that asks for a larger window, on which only deny works.
  void resize(std::uint16_t rows, std::uint16_t columns);
  enum class Colours : std::uint8_t { none, sixteen };
  void set_colours(Colours colours) noexcept;
  // The bytes that show it as of `now` (deadline, countdown of the quiet period), beginning with what clears the screen
  // when `from` is nothing. Only printable text and sequences of our own.
  enum class Draw : std::uint8_t { whole, changes };
  [[nodiscard]] std::string draw(Draw what, Clock::time_point now);
  // When something changes by itself: the next second of the countdown.
  [[nodiscard]] Clock::time_point next_change(Clock::time_point now) const;
  // What was typed, as the terminal sent it: keys, arrow sequences, pasted text (which never answers), in any pieces.
  // An answer ends the page.
  [[nodiscard]] std::optional<Answer> type(std::string_view bytes, Clock::time_point now);
  void set_waiting(std::size_t questions);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace agentbox::prompt
