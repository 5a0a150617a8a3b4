#pragma once

// The owner's side of control.sock: the open questions of every session that runs, as they come and go, and his answers.
//
// Trust: a socket lies in a folder of the owner's, or he has named it himself. Its other end must be his process too.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agentbox/base/path.hpp"
#include "agentbox/prompt/banner.hpp"
#include "agentbox/prompt/question.hpp"
#include "agentbox/wire/broker_message.hpp"

namespace boost::asio {
class io_context;
}

namespace agentbox::broker {

class Watch {
 public:
  enum class Mode : std::uint8_t {
    once,  // what is open now; does not count as somebody who watches
    live   // and what comes, also of sessions that begin later
  };

  // All from within `run`. `session` is what the session calls itself.
  class Listener {
   public:
    virtual ~Listener() = default;
    virtual void began(const wire::SessionStatus& session) = 0;
    virtual void added(const std::string& session, const wire::WireQuestion& question) = 0;
    virtual void changed(const std::string& session, const wire::WireQuestion& question) = 0;
    virtual void gone(const std::string& session, const wire::QuestionGone& gone) = 0;
    // It has used up its budget of questions; again with each change. `calm`: no more, also before `ended`.
    virtual void flooded(const std::string& session, const wire::WireFlood& flood) = 0;
    virtual void calm(const std::string& session) = 0;
    // Its questions are gone before: a session that ends without a word leaves them `unavailable`, by "fault".
    virtual void ended(const std::string& session) = 0;
    // A socket can't be used; said once for each. One that nobody listens at any more is no failure where it was found.
    virtual void failed(const base::AbsPath& socket, const std::string& why) = 0;
    // Once: each socket that was there at the beginning has told what is open, or has failed.
    virtual void settled() = 0;
  };

  struct Sockets {
    std::vector<base::AbsPath> all;
    enum class Named : std::uint8_t { found, by_owner } named = Named::found;
  };
  // `look` names the sockets that are there now; with `live` it is called each second.
  Watch(Mode mode, std::function<Sockets()> look, Listener& listener);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  // Until `stop`.
  void run();
  void stop();
  [[nodiscard]] boost::asio::io_context& loop() noexcept;

  using Answered = std::function<void(const wire::AnswerTaken&)>;
  // `done` is called once from within `run`, also when the session ends meanwhile: then it is `gone`.
  void answer(const std::string& session, const std::string& id, const prompt::Answer& answer, Answered done);
  // For a session that is flooded; `done` as above.
  void choose(const std::string& session, prompt::Banner::Choice choice, Answered done);

  // Of those that have told what they are.
  [[nodiscard]] std::size_t sessions() const noexcept;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

// A question as it was sent, for a page of ours; the time that is left counts from `at`.
[[nodiscard]] prompt::Question question_of(const wire::WireQuestion& question, prompt::Clock::time_point at);
[[nodiscard]] prompt::Flood flood_of(const wire::WireFlood& flood, prompt::Clock::time_point at);

// What a flood is about, in one line for lists: "10 questions in 10 minutes; 3 wait".
[[nodiscard]] std::string summary_of(const prompt::Flood& flood);

// What became of a question, for people: "expired", "denied at the session's own terminal".
[[nodiscard]] std::string words_for(const wire::QuestionGone& gone);

}  // namespace agentbox::broker
