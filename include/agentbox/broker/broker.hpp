#pragma once

// The broker of one session (DESIGN §6): rules on each action, looks for a remembered answer, asks the human, records
// everything, and gives one verdict. An error on the way to a yes is a no.
//
// Trust: what gates hand in holds text of the agent's; panels are the owner's. All on the thread of the loop.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agentbox/base/path.hpp"
#include "agentbox/broker/decider.hpp"
#include "agentbox/broker/panel.hpp"
#include "agentbox/policy/reviewer.hpp"
#include "agentbox/policy/ruling.hpp"

namespace boost::asio {
class io_context;
}

namespace agentbox::broker {

struct Settings {
  std::string session;  // "pi-3fa2"
  std::string profile;
  policy::Rules rules;
  base::AbsPath record;                    // the store's file; opened when the first action comes
  std::chrono::seconds timeout{120};       // then a question is denied
  std::size_t questions = 10;              // so many may be put
  std::chrono::seconds questions_in{600};  // within this time; beyond it the banner
  std::size_t most_open = 64;              // questions at once
  std::size_t most_waiting = 1024;         // requests that wait for a verdict
  // What becomes of a question when nobody can see it.
  enum class Absent : std::uint8_t {
    deny,  // unavailable, at once
    wait   // until its deadline: somebody may come with `agentbox approve`
  } absent = Absent::deny;
  std::optional<policy::Reviewer> reviewer;
  policy::Consent consent = policy::Consent::human;
  policy::Friction friction;
};

// What a session did, for its last words.
struct Summary {
  std::uint64_t asked = 0;                // questions that a person was shown
  std::uint64_t allowed = 0, denied = 0;  // verdicts, whoever gave them
};

class Broker final : public Decider {
 public:
  Broker(boost::asio::io_context& loop, Settings settings);
  // Nobody is called back any more.
  ~Broker() override;
  Broker(const Broker&) = delete;
  Broker& operator=(const Broker&) = delete;

  Ticket ask(Asked asked, std::function<void(const Verdict&)> done) override;
  void cancel(Ticket ticket) override;
  void outcome(const Verdict& verdict, const policy::Action& action, const std::string& what) override;
  void outcomes(std::vector<Done> done) override;
  void settle(const Verdict& verdict, const policy::Action& action, Paid paid, const std::string& what) override;
  std::vector<policy::Balance> standing(std::span<const policy::Limit> limits) override;
  [[nodiscard]] bool counted(std::span<const policy::Use> uses, std::span<const policy::Limit> limits) override;
  // What may still go out without a question, a line each, for the room.
  [[nodiscard]] std::vector<std::string> traffic() const;
  // What may still be spent without a question, a line each, for the room; empty: nothing is paid at all.
  [[nodiscard]] std::vector<std::string> spending() const;

  // How and to whom messages may be sent, as above.
  [[nodiscard]] std::vector<std::string> messages() const;

  // What a gate refused by itself, because it can't be carried out safely: for the record. `why`: one clause.
  void refused(const policy::Action& action, const std::string& why);

  // What a person, or the time that he had, decided without a question of ours: about what a run left. For the record; the
  // verdict's question is filled in, and `outcome` follows. False: it can't be recorded, so a yes must not count.
  [[nodiscard]] bool decided(const policy::Action& action, Verdict& verdict);

  // A panel is told of all open questions at once. It must be removed before it goes.
  void add(Panel& panel);
  void remove(Panel& panel);
  // Somebody left: what nobody can see any more is decided as `Absent` says.
  void presence_changed();

  enum class Taken : std::uint8_t {
    taken,
    gone,         // answered elsewhere, expired or cancelled
    changed,      // the digest is another question's
    not_offered,  // this kind of answer, or this scope, was not offered, or the phrase is missing
    too_early     // a yes is not possible yet
  };
  // `by` as Panel has it: "terminal", "control".
  Taken answer(const std::string& id, const prompt::Answer& answer, const std::string& by);
  // `gone` when there is nothing to choose, `not_offered` when the agent can't be paused.
  Taken choose(prompt::Banner::Choice choice);
  // The owner wants the agent to stand still, and to go on again. Empty: it can't be done.
  enum class Motion : std::uint8_t { pause, go_on };
  std::function<void(Motion)> on_motion;

  // The oldest first; what was allowed and waits for its delay comes behind.
  [[nodiscard]] std::vector<prompt::Question> open() const;
  // Of these, how many wait for an answer.
  [[nodiscard]] std::size_t asking() const;
  // While the budget of questions is used up and no choice was made.
  [[nodiscard]] std::optional<prompt::Flood> flood() const;
  [[nodiscard]] const Settings& settings() const noexcept;
  [[nodiscard]] const Summary& summary() const noexcept;
  // The session is over: what is open is cancelled, what was remembered for it is forgotten, its end is recorded.
  void finish();

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace agentbox::broker
