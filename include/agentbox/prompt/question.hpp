#pragma once

// The question as a human sees it, and his answer. All text here is raw: the page escapes it. Pure values and a pure
// page: what keys do and which bytes are drawn depends on nothing but the calls.
//
// What allows, and what does not:
// - The byte `o` allows, and no other. On the question itself it allows once; after `s` or `a`, which show what would be
//   remembered, it allows that. So a held key, Enter, `y`, a digit or a space never allows.
// - An answer (`o`, `d`, `D`, Ctrl-C) counts only when it is one byte, alone in its read, and no other byte came within
//   100 ms before it. Typed-ahead lines, pasted text and keys that send several bytes never answer.
// - `o`, `s` and `a` work only when the end of everything that is asked has been on the screen, for `o` after `s` or `a`
//   the end of what would be remembered, and not within 300 ms after that was first shown.
// - Where the question has a phrase, `o` first asks for it; only after it was typed, and Enter, does `o` allow.
// - Within the quiet period, after the deadline, and before the first drawing nothing counts.
// - Where agentbox can't show the question (a tiny window) only `d`, `D` and Ctrl-C work.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agentbox/prompt/page.hpp"

namespace agentbox::prompt {

// One line of what agentbox measured itself.
struct Fact {
  std::string label;  // "program": ours, a word or two, at most 11 columns
  std::string
      value;  // raw: from the agent, the file system, ... 64 hexadecimal digits are shortened, but in the details
  enum class Weight { normal, warning } weight = Weight::normal;
  enum class Shown { always, details } shown = Shown::always;
};

// What a model says about a question: for the human, never in his place.
struct Opinion {
  enum class Says : std::uint8_t {
    nothing_yet,  // it was asked
    agrees,
    objects,
    silent  // it gave no answer, or none that counts
  } says = Says::nothing_yet;
  int risk = 0;        // 0 to 10, where it agrees or objects
  std::string reason;  // raw: the model's words, at most 200 characters; of one that is silent ours: why
  friend bool operator==(const Opinion&, const Opinion&) = default;
};

struct Question {
  std::string id;       // "7"; unique in its session
  std::string session;  // "pi-3fa2"
  std::string profile;
  std::string digest;  // the answer carries it back
  std::string title;   // ours: "run a command on your machine"
  std::string
      subject;  // raw, may be long: what exactly; with a command one word an element, already quoted by base::quote
  std::vector<Fact> facts;
  std::string said;  // raw: what the agent gives as its reason; empty: nothing
  // Raw, in lines: a message's body, a diff. Allow works only when its end has been on the screen.
  std::string content;
  // What a yes can be remembered for, shown in full; empty: not offered. The narrowest first.
  std::vector<std::string> session_scopes, lasting_scopes;
  Clock::time_point asked, deadline;  // a deadline of zero: none
  std::size_t waiting = 0;            // other questions behind this one

  // `quoted`: the subject and the scopes were made by base::quote, whose backslashes are not doubled again. A subject
  // that says so without having been quoted can look like another one.
  enum class Form { raw, quoted } form = Form::raw;
  // The heading over the content: ours, "what will be sent".
  std::string content_title = "content";
  // A diff has its added and removed lines coloured, and letters from right to left escaped.
  enum class Content { text, diff } content_form = Content::text;
  // Raw: why nothing is offered where the scopes are empty; shown on the key and in the details.
  std::string why_not_session, why_not_lasting;
  std::string kind;  // "command": for lists of questions
  // Ours, short, plain: what must be typed before a yes counts ("60.00"). Empty: nothing.
  std::string phrase;

  // From here on what may change while it is open, and is no part of the digest (as `phrase`, `deadline`, `waiting`).
  std::optional<Opinion> opinion;  // nothing: nobody else is asked
  Clock::time_point earliest;      // before it a yes doesn't count; zero: at once
  // delayed: it was allowed, and is done at the deadline; a no cancels it, and nothing else can be said.
  enum class Stage : std::uint8_t { asked, delayed } stage = Stage::asked;
};

struct Answer {
  enum class Kind : std::uint8_t { once, session, always, deny, deny_session };
  Kind kind = Kind::deny;
  std::size_t scope = 0;  // which of session_scopes or lasting_scopes
  std::string comment;    // raw, for the agent; at most 500 bytes of UTF-8
  std::string digest;
  std::string phrase;  // the question's, as it was typed; of a yes
};

// One question on a screen of `rows` × `columns`. Draws the whole screen, or only what changed since.
class QuestionPage final : public Page {
 public:
  using Colours = prompt::Colours;
  using Draw = prompt::Draw;

  // `quiet`: keys are ignored for so long after the first drawing, and all that was typed before it.
  explicit QuestionPage(Question question, std::chrono::milliseconds quiet = std::chrono::milliseconds(700));
  ~QuestionPage() override;
  QuestionPage(QuestionPage&&) noexcept;
  QuestionPage& operator=(QuestionPage&&) noexcept;

  // Below 10 × 30 a page that asks for a larger window, on which only denials work.
  void resize(std::uint16_t rows, std::uint16_t columns) override;
  void set_colours(prompt::Colours colours) noexcept override;
  [[nodiscard]] std::string draw(prompt::Draw what, Clock::time_point now) override;
  [[nodiscard]] Clock::time_point next_change(Clock::time_point now) const override;
  // What was typed, as the terminal sent it: one read, whatever is in it. An answer ends the page.
  [[nodiscard]] std::optional<Answer> type(std::string_view bytes, Clock::time_point now);
  void be_quiet(Clock::time_point now) override;
  [[nodiscard]] bool is_quiet(Clock::time_point at) const override;
  void set_waiting(std::size_t questions);
  // The same question with what may change of it; when more than `waiting` did, the keys are ignored for the quiet
  // period once more.
  void update(Question question, Clock::time_point now);
  // With a way back, where there is something behind the page (a list): `q` leaves the question open, and does nothing
  // else. `type` then says nothing, and `left` does.
  // It was answered elsewhere, has expired or was given up: from now on it takes no answer, and says why.
  void end(std::string why);
  enum class WayBack : std::uint8_t { none, offered };
  void set_way_back(WayBack way);
  [[nodiscard]] bool left() const noexcept;
  [[nodiscard]] const Question& question() const noexcept;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace agentbox::prompt
