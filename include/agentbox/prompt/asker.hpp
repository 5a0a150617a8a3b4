#pragma once

// Puts questions to the human on his terminal, one after the other, while the agent's output waits (with a relay), or
// on a terminal that nothing else uses (without one: `agentbox approve`, or a room that has no terminal).
//
// All on the thread of the loop. Put it after the terminal and the relay, so that it goes before them; call `stop` before
// Relay::drain.

#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "agentbox/prompt/banner.hpp"
#include "agentbox/prompt/human_terminal.hpp"
#include "agentbox/prompt/question.hpp"

namespace boost::asio {
class io_context;
}

namespace agentbox::prompt {

class Relay;

class Asker {
 public:
  using Answered = std::function<void(std::optional<Answer>)>;
  using Chosen = std::function<void(std::optional<Banner::Choice>)>;

  Asker(boost::asio::io_context& loop, HumanTerminal& terminal, Relay* relay = nullptr);
  // Gives the terminal back at once; nobody is called back.
  ~Asker();
  Asker(const Asker&) = delete;
  Asker& operator=(const Asker&) = delete;

  void set_colours(Colours colours) noexcept;
  // `done` is called once: with the answer, or with nothing when the terminal is lost or `stop` was called. Never from
  // within this call. When the deadline has passed the page takes no answer any more; the caller withdraws it.
  void ask(Question question, Answered done);
  // In place of questions, and before those that wait. `done` as above. A second one takes the place of the first, whose
  // `done` is called with nothing; one that is on the screen stays, and says what is new.
  void warn(Flood flood, Chosen done);
  // The same question, with what may change of it. Unknown ids are no error.
  void change(const Question& question);
  // Answered elsewhere, expired or cancelled: it goes from the screen, and its `done` is not called. Unknown ids are no
  // error. `why`, if it is not empty, stays on the screen with it for a moment, or until a key is pressed.
  void withdraw(std::string_view id, std::string why = {});
  void withdraw_warning();
  // Nothing is on the screen and nothing waits.
  [[nodiscard]] bool idle() const noexcept;
  // The terminal's size has changed; SIGWINCH is noticed anyway.
  void resized();
  // Gives the terminal back at once. Questions asked from now on are called back with nothing.
  void stop();

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace agentbox::prompt
