#pragma once

// The broker's own parts: what is open, who waits for it, who watches. broker.cpp is what the gates call, panels.cpp what
// becomes of a question at the panels, budgets.cpp what is free without one, reviews.cpp the second opinion, delays.cpp
// what waits after its yes.

#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "agentbox/broker/broker.hpp"

#include "questions.hpp"
#include "recorder.hpp"
#include "refusals.hpp"
#include "reviewer.hpp"

namespace agentbox::broker {

namespace asio = boost::asio;
using prompt::Clock;

struct Waiter {
  Decider::Ticket ticket = 0;
  std::function<void(const Verdict&)> done;
  std::function<void(std::chrono::seconds)> waits;
};

struct OpenQuestion {
  OpenQuestion(asio::io_context& loop, prompt::Question of, Asked what)
      : question(std::move(of)), asked(std::move(what)), canonical(policy::canonical(asked.action)), timer(loop) {}
  prompt::Question question;
  Asked asked;
  std::string canonical;
  std::vector<Waiter> waiters;  // the first is the one who asked first
  bool shown = false;           // false: held back, the budget is used up
  Verdict allowed;              // while it is delayed
  asio::steady_timer timer;
};

class Broker::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(Broker& self, asio::io_context& loop, Settings settings);

  Ticket ask(Asked asked, std::function<void(const Verdict&)> done);
  void cancel(Ticket ticket);
  void outcome(const Verdict& verdict, const policy::Action& action, const std::string& what);
  void outcomes(std::vector<Decider::Done> done);
  void settle(const Verdict& verdict, const policy::Action& action, Decider::Paid paid, const std::string& what);
  [[nodiscard]] std::vector<std::string> spending();
  [[nodiscard]] std::vector<policy::Balance> standing(std::span<const policy::Limit> limits);
  [[nodiscard]] bool counted(std::span<const policy::Use> uses, std::span<const policy::Limit> limits);
  [[nodiscard]] std::vector<std::string> traffic();
  [[nodiscard]] std::vector<std::string> messages();
  void refused(const policy::Action& action, const std::string& why);
  bool decided(const policy::Action& action, Verdict& verdict);
  void add(Panel& panel);
  void remove(Panel& panel);
  void presence_changed();
  Taken answer(const std::string& id, const prompt::Answer& answer, const std::string& by);
  Taken choose(prompt::Banner::Choice choice);
  [[nodiscard]] std::vector<prompt::Question> open() const;
  [[nodiscard]] std::size_t asking() const;
  [[nodiscard]] std::optional<prompt::Flood> flood() const;
  void finish();

  [[nodiscard]] const Settings& settings() const { return settings_; }
  [[nodiscard]] const Summary& summary() const { return summary_; }

 private:
  using Questions = std::list<OpenQuestion>;

  // What is known before anybody is asked; throws store::StoreError. `used`: the remembered answer that says so. One that
  // has an entry is recorded already.
  [[nodiscard]] std::optional<Verdict> without_asking(const std::string& id, Asked& asked, const policy::Ruling& ruling,
                                                      std::optional<std::int64_t>& used);
  // Of an action that limits hold for, and that is not denied: what they say. Nothing: it must be asked, and `asked` has
  // what the owner must know of it.
  [[nodiscard]] std::optional<Verdict> within_limits(const std::string& id, Asked& asked, const policy::Ruling& ruling);
  // Records the verdict on a question; of a yes to what limits hold for, takes it.
  void record(const OpenQuestion& open, Verdict& verdict);
  void settle_at_once(const std::string& id, const Asked& asked, Verdict verdict, Waiter waiter,
                      std::optional<std::int64_t> used);
  // False: only that there was one more is on record, in a while.
  [[nodiscard]] bool is_recorded(const policy::Action& action, const Verdict& verdict);
  void tell_refusals(Refusals::When when);
  void tell_refusals_when_due();
  [[nodiscard]] bool join_twin(const Asked& asked, Waiter& waiter);
  void put(const std::string& id, Asked asked, Waiter waiter);
  void show_or_hold(OpenQuestion& open);
  void warn();
  void calm();
  void show_held();
  void close(Questions::iterator at, Verdict verdict, const std::string& by);
  void tell(Waiter waiter, Verdict verdict, const policy::Action& action);
  void settle_unheard();
  // All who wait for it. Of a deed that was allowed once, the first requester's is done; its twins are told so.
  void tell_all(OpenQuestion& open, const Verdict& verdict);
  // Tells him, or delays what was allowed without a question.
  void give(const std::string& id, const Asked& asked, Verdict verdict, Waiter waiter);
  // Of one that is shown, for the first time.
  void review(OpenQuestion& open);
  void reviewed(const std::string& id, const prompt::Opinion& opinion);
  [[nodiscard]] static bool is_delayed(const Asked& asked);
  static void say_that_it_waits(Asked& asked);
  void delay(Questions::iterator at, Verdict verdict);
  void delay(const std::string& id, const Asked& asked, Verdict verdict, Waiter waiter);
  void begin_delay(OpenQuestion& open, Verdict verdict);
  // That it waits.
  void tell_delay(const OpenQuestion& open, const Waiter& waiter);
  void end_delay(Questions::iterator at);
  void cancel_delayed(Questions::iterator at, Verdict verdict, const std::string& by);
  void leave_delay(Questions::iterator at, const Verdict& verdict, const std::string& by);
  Taken answer_delayed(Questions::iterator at, const prompt::Answer& answer, const std::string& by);
  [[nodiscard]] Questions::iterator find_delayed(const std::string& id);
  // True: it was a waiter of one of these.
  bool give_up(Questions& questions, Ticket ticket);
  void remember(const OpenQuestion& open, const prompt::Answer& answer);
  [[nodiscard]] bool anybody() const;
  [[nodiscard]] Questions::iterator find(const std::string& id);
  void update_waiting();
  void forget_old_questions();
  [[nodiscard]] Verdict nobody() const;

  Broker& self_;
  asio::io_context& loop_;
  Settings settings_;
  Recorder recorder_;
  Summary summary_;
  Questions questions_;
  Questions delayed_;
  std::unique_ptr<Reviewer> reviewer_;  // once there is something to ask it
  std::vector<Panel*> panels_;
  Refusals refusals_;
  asio::steady_timer refusals_due_;
  bool tells_refusals_ = false;
  std::map<std::string, int> denials_;    // by a person, of each exact thing
  std::deque<Clock::time_point> put_at_;  // of the questions that were shown lately
  bool flooded_ = false, paused_ = false, deny_rest_ = false, finished_ = false;
  Ticket last_ticket_ = 0;
  std::uint64_t last_id_ = 0;
  // Payments that were allowed, and reserved, of which nobody has heard yet: by their entry in the ledger.
  struct Unheard {
    Verdict verdict;
    policy::Action action;
  };
  std::map<std::int64_t, Unheard> unheard_;
};

}  // namespace agentbox::broker
