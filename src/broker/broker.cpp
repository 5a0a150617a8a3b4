#include "agentbox/broker/broker.hpp"

#include <algorithm>
#include <deque>
#include <list>
#include <map>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>

#include "questions.hpp"
#include "recorder.hpp"

namespace agentbox::broker {

namespace asio = boost::asio;
using Kind = Verdict::Kind;
using By = Verdict::By;
using prompt::Clock;

namespace {

// So many denials of the same thing by a person, and it is denied for the session without asking.
constexpr int patience = 3;

struct Waiter {
  Decider::Ticket ticket = 0;
  std::function<void(const Verdict&)> done;
};

struct OpenQuestion {
  OpenQuestion(asio::io_context& loop, prompt::Question of, Asked what)
      : question(std::move(of)), asked(std::move(what)), canonical(policy::canonical(asked.action)), timer(loop) {}
  prompt::Question question;
  Asked asked;
  std::string canonical;
  std::vector<Waiter> waiters;  // the first is the one who asked first
  bool shown = false;           // false: held back, the budget is used up
  asio::steady_timer timer;
};

std::string in_words(std::chrono::seconds time) {
  if (time.count() % 60 != 0) return fmt::format("{} seconds", time.count());
  return time.count() == 60 ? "a minute" : fmt::format("{} minutes", time.count() / 60);
}

policy::Scope scope_of(const store::Remembered& answer) {
  bool exact = answer.breadth == store::Remembered::Breadth::exact;
  return {.breadth = exact ? policy::Scope::Breadth::exact : policy::Scope::Breadth::pattern,
          .rule = answer.rule,
          .shown = answer.shown};
}

}  // namespace

class Broker::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(Broker& self, asio::io_context& loop, Settings settings)
      : self_(self), loop_(loop), settings_(std::move(settings)), recorder_(settings_) {}

  Ticket ask(Asked asked, std::function<void(const Verdict&)> done);
  void cancel(Ticket ticket);
  void outcome(const Verdict& verdict, const policy::Action& action, const std::string& what);
  void refused(const policy::Action& action, const std::string& why);
  bool decided(const policy::Action& action, Verdict& verdict);
  void add(Panel& panel);
  void remove(Panel& panel);
  void presence_changed();
  Taken answer(const std::string& id, const prompt::Answer& answer, const std::string& by);
  void choose(prompt::Banner::Choice choice);
  [[nodiscard]] std::vector<prompt::Question> open() const;
  void finish();

  const Settings& settings() const { return settings_; }
  const Summary& summary() const { return summary_; }

 private:
  using Questions = std::list<OpenQuestion>;

  [[nodiscard]] std::optional<store::Remembered> remembered(const policy::Action& action,
                                                            store::Remembered::Verdict which);
  void settle_at_once(const std::string& id, const Asked& asked, Verdict verdict, Waiter waiter,
                      std::optional<std::int64_t> used);
  [[nodiscard]] bool join_twin(const Asked& asked, Waiter& waiter);
  void put(const std::string& id, Asked asked, Waiter waiter);
  void show_or_hold(OpenQuestion& open);
  void warn();
  void show_held();
  void close(Questions::iterator at, Verdict verdict, const std::string& by);
  void tell(Waiter waiter, Verdict verdict);
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
  std::vector<Panel*> panels_;
  std::map<std::string, int> denials_;    // by a person, of each exact thing
  std::deque<Clock::time_point> put_at_;  // of the questions that were shown lately
  bool flooded_ = false, paused_ = false, deny_rest_ = false, finished_ = false;
  Ticket last_ticket_ = 0;
  std::uint64_t last_id_ = 0;
};

// ---- from the gates ------------------------------------------------------------------------------------------------

Decider::Ticket Broker::Impl::ask(Asked asked, std::function<void(const Verdict&)> done) {
  Waiter waiter{++last_ticket_, std::move(done)};
  std::string id = std::to_string(++last_id_);
  policy::Ruling ruling = policy::rule(settings_.rules, asked.action);
  std::optional<std::int64_t> used;
  auto settle = [&](Verdict verdict) {
    settle_at_once(id, asked, std::move(verdict), std::move(waiter), used);
    return last_ticket_;
  };
  if (ruling.decision == policy::Decision::deny) {
    return settle({.kind = Kind::deny, .by = By::rule, .reason = reason_denied_by_rule(ruling), .rule = ruling.rule});
  }
  try {
    // A no of the owner's beats every grant.
    if (auto no = remembered(asked.action, store::Remembered::Verdict::deny)) {
      used = no->id;
      return settle(
          {.kind = Kind::deny,
           .by = By::remembered,
           .reason = "the owner has said no to this before; don't ask again, tell him what you wanted and why",
           .rule = no->shown});
    }
    if (ruling.decision == policy::Decision::allow) {
      return settle({.kind = Kind::allow, .by = By::rule, .rule = ruling.rule});
    }
    if (auto yes = remembered(asked.action, store::Remembered::Verdict::allow)) {
      used = yes->id;
      return settle({.kind = Kind::allow, .by = By::remembered, .rule = yes->shown});
    }
  } catch (const store::StoreError& error) {
    return settle({.kind = Kind::unavailable,
                   .by = By::fault,
                   .reason = fmt::format("what the owner has said before can't be read: {}", error.what())});
  }
  if (deny_rest_) {
    return settle(
        {.kind = Kind::deny, .by = By::limit, .reason = "the owner answers no more questions of this session"});
  }
  auto denied = denials_.find(policy::exact_scope(asked.action).rule);
  if (denied != denials_.end() && denied->second >= patience) {
    return settle({.kind = Kind::deny,
                   .by = By::limit,
                   .reason = fmt::format(
                       "the owner has denied this {} times; it is denied for the rest of this session", patience)});
  }
  if (join_twin(asked, waiter)) return last_ticket_;
  if (!anybody() && settings_.absent == Settings::Absent::deny) return settle(nobody());
  if (questions_.size() >= settings_.most_open) {
    return settle(
        {.kind = Kind::deny,
         .by = By::limit,
         .reason = fmt::format("{} questions of this session are open already; wait for them", questions_.size())});
  }
  put(id, std::move(asked), std::move(waiter));
  return last_ticket_;
}

Verdict Broker::Impl::nobody() const {
  return {
      .kind = Kind::unavailable,
      .by = By::fault,
      .reason = "the owner must be asked, and can't be: nobody watches this session; tell him what you wanted and why"};
}

std::optional<store::Remembered> Broker::Impl::remembered(const policy::Action& action,
                                                          store::Remembered::Verdict which) {
  for (store::Remembered& answer : recorder_.remembered(policy::kind_of(action))) {
    if (answer.verdict == which && policy::covers(scope_of(answer), action)) return std::move(answer);
  }
  return std::nullopt;
}

void Broker::Impl::settle_at_once(const std::string& id, const Asked& asked, Verdict verdict, Waiter waiter,
                                  std::optional<std::int64_t> used) {
  verdict.question = id;
  std::string digest = digest_of(id, asked, settings_);
  try {
    std::vector<store::Event> rows{recorder_.request(id, asked, digest),
                                   recorder_.verdict(id, asked.action, digest, verdict)};
    if (!used) {
      recorder_.append(std::move(rows));
    } else if (!recorder_.append_and_count(std::move(rows), *used)) {
      // Revoked in this very moment. The requester may ask again.
      verdict.kind = Kind::unavailable, verdict.by = By::fault;
      verdict.reason = "the answer that was remembered for this was just taken back; ask again";
    }
  } catch (const store::StoreError& error) {
    if (verdict.kind == Kind::allow) verdict.kind = Kind::unavailable, verdict.by = By::fault;
    verdict.reason += fmt::format("{}it can't be recorded: {}", verdict.reason.empty() ? "" : "; ", error.what());
  }
  ++(verdict.kind == Kind::allow ? summary_.allowed : summary_.denied);
  tell(std::move(waiter), std::move(verdict));
}

bool Broker::Impl::join_twin(const Asked& asked, Waiter& waiter) {
  std::string canonical = policy::canonical(asked.action);
  auto twin = std::ranges::find(questions_, canonical, &OpenQuestion::canonical);
  if (twin == questions_.end()) return false;
  if (twin->waiters.size() >= settings_.most_waiting) return false;
  twin->waiters.push_back(std::move(waiter));
  return true;
}

void Broker::Impl::put(const std::string& id, Asked asked, Waiter waiter) {
  prompt::Question question = question_of(id, asked, settings_);
  try {
    recorder_.append({recorder_.request(id, asked, question.digest)});
  } catch (const store::StoreError& error) {
    ++summary_.denied;
    tell(std::move(waiter), {.kind = Kind::unavailable,
                             .by = By::fault,
                             .reason = fmt::format("it can't be recorded, so it can't be asked: {}", error.what()),
                             .question = id});
    return;
  }
  OpenQuestion& open = questions_.emplace_back(loop_, std::move(question), std::move(asked));
  open.waiters.push_back(std::move(waiter));
  open.timer.expires_at(open.question.deadline);
  open.timer.async_wait([weak = weak_from_this(), id](boost::system::error_code error) {
    auto self = weak.lock();
    if (!self || error) return;
    auto at = self->find(id);
    if (at == self->questions_.end()) return;
    self->close(at,
                {.kind = Kind::expired,
                 .by = By::clock,
                 .reason = fmt::format("nobody answered within {}; ask again only when the owner is there",
                                       in_words(self->settings_.timeout))},
                "clock");
  });
  show_or_hold(open);
  update_waiting();
}

void Broker::Impl::forget_old_questions() {
  Clock::time_point oldest = Clock::now() - settings_.questions_in;
  while (!put_at_.empty() && put_at_.front() < oldest) put_at_.pop_front();
}

void Broker::Impl::show_or_hold(OpenQuestion& open) {
  forget_old_questions();
  if (flooded_ || put_at_.size() >= settings_.questions) {
    flooded_ = true;
    warn();
    return;
  }
  open.shown = true;
  ++summary_.asked;
  put_at_.push_back(Clock::now());
  for (Panel* panel : panels_) panel->show(open.question);
}

void Broker::Impl::warn() {
  prompt::Flood flood{.session = settings_.session,
                      .profile = settings_.profile,
                      .questions = put_at_.size(),
                      .within = settings_.questions_in,
                      .more = settings_.questions,
                      .waiting = questions_.size(),
                      .latest = {},
                      .deadline = {}};
  for (const OpenQuestion& open : questions_) {
    if (flood.deadline == Clock::time_point{}) flood.deadline = open.question.deadline;
    flood.latest.insert(flood.latest.begin(), policy::summary(open.asked.action));
  }
  for (Panel* panel : panels_) panel->warn(flood);
}

void Broker::Impl::tell(Waiter waiter, Verdict verdict) {
  asio::post(loop_, [weak = weak_from_this(), done = std::move(waiter.done), verdict = std::move(verdict)] {
    if (weak.lock()) done(verdict);
  });
}

void Broker::Impl::cancel(Ticket ticket) {
  for (auto at = questions_.begin(); at != questions_.end(); ++at) {
    auto waiter = std::ranges::find(at->waiters, ticket, &Waiter::ticket);
    if (waiter == at->waiters.end()) continue;
    Verdict verdict{.kind = Kind::cancelled, .by = By::requester, .reason = "the request was given up"};
    if (at->waiters.size() == 1) {
      close(at, std::move(verdict), "requester");
    } else {
      verdict.question = at->question.id;
      Waiter gone = std::move(*waiter);
      at->waiters.erase(waiter);
      tell(std::move(gone), std::move(verdict));
    }
    return;
  }
}

void Broker::Impl::outcome(const Verdict& verdict, const policy::Action& action, const std::string& what) {
  try {
    recorder_.append({recorder_.outcome(verdict.question, action, what)});
  } catch (const store::StoreError&) {  // NOLINT(bugprone-empty-catch): done already; what allowed it is on record
  }
}

void Broker::Impl::refused(const policy::Action& action, const std::string& why) {
  const std::string id = std::to_string(++last_id_);
  const Asked asked{.action = action};
  const Verdict verdict{.kind = Kind::deny, .by = By::fault, .reason = why, .question = id};
  const std::string digest = digest_of(id, asked, settings_);
  ++summary_.denied;
  try {
    recorder_.append({recorder_.request(id, asked, digest), recorder_.verdict(id, action, digest, verdict)});
  } catch (const store::StoreError&) {  // NOLINT(bugprone-empty-catch): it is refused, recorded or not
  }
}

bool Broker::Impl::decided(const policy::Action& action, Verdict& verdict) {
  verdict.question = std::to_string(++last_id_);
  const Asked asked{.action = action};
  const std::string digest = digest_of(verdict.question, asked, settings_);
  ++summary_.asked;
  ++(verdict.kind == Kind::allow ? summary_.allowed : summary_.denied);
  try {
    recorder_.append({recorder_.request(verdict.question, asked, digest),
                      recorder_.verdict(verdict.question, action, digest, verdict)});
    return true;
  } catch (const store::StoreError&) {
    return false;
  }
}

// ---- from the panels -----------------------------------------------------------------------------------------------

bool Broker::Impl::anybody() const {
  return std::ranges::any_of(panels_, [](const Panel* panel) { return panel->presence() != Panel::Presence::nobody; });
}

void Broker::Impl::add(Panel& panel) {
  panels_.push_back(&panel);
  for (const OpenQuestion& open : questions_) {
    if (open.shown) panel.show(open.question);
  }
  if (flooded_) warn();
}

void Broker::Impl::remove(Panel& panel) {
  std::erase(panels_, &panel);
  presence_changed();
}

void Broker::Impl::presence_changed() {
  if (anybody() || settings_.absent == Settings::Absent::wait) return;
  while (!questions_.empty()) close(questions_.begin(), nobody(), "fault");
}

Broker::Impl::Questions::iterator Broker::Impl::find(const std::string& id) {
  return std::ranges::find_if(questions_, [&](const OpenQuestion& open) { return open.question.id == id; });
}

Broker::Taken Broker::Impl::answer(const std::string& id, const prompt::Answer& answer, const std::string& by) {
  auto at = find(id);
  // One that is held back was shown to nobody.
  if (at == questions_.end() || !at->shown || Clock::now() >= at->question.deadline) return Taken::gone;
  if (answer.digest != at->question.digest) return Taken::changed;
  using Kinds = prompt::Answer::Kind;
  if ((answer.kind == Kinds::session && answer.scope >= at->asked.session_scopes.size()) ||
      (answer.kind == Kinds::always && answer.scope >= at->asked.lasting_scopes.size())) {
    return Taken::not_offered;
  }
  bool yes = answer.kind == Kinds::once || answer.kind == Kinds::session || answer.kind == Kinds::always;
  Verdict verdict{.kind = yes ? Kind::allow : Kind::deny, .by = By::human, .comment = answer.comment};
  try {
    remember(*at, answer);
  } catch (const store::StoreError& error) {
    verdict = {.kind = Kind::unavailable,
               .by = By::fault,
               .reason = fmt::format("the owner's answer can't be recorded: {}", error.what())};
  }
  if (verdict.kind == Kind::deny) {
    verdict.reason = "the owner said no; don't try it another way";
    ++denials_[policy::exact_scope(at->asked.action).rule];
  } else if (verdict.kind == Kind::allow && answer.kind != Kinds::once) {
    const auto& scopes = answer.kind == Kinds::session ? at->asked.session_scopes : at->asked.lasting_scopes;
    verdict.rule = scopes[answer.scope].shown;
  }
  // Of a deed that was allowed once, the first requester's is done; its twins are told so.
  close(at, std::move(verdict), by);
  return Taken::taken;
}

void Broker::Impl::remember(const OpenQuestion& open, const prompt::Answer& answer) {
  using Kinds = prompt::Answer::Kind;
  const policy::Action& action = open.asked.action;
  switch (answer.kind) {
    case Kinds::session:
      return recorder_.remember(action, open.asked.session_scopes[answer.scope], store::Remembered::Verdict::allow,
                                Recorder::For::session);
    case Kinds::always:
      return recorder_.remember(action, open.asked.lasting_scopes[answer.scope], store::Remembered::Verdict::allow,
                                Recorder::For::always);
    case Kinds::deny_session:
      return recorder_.remember(action, policy::exact_scope(action), store::Remembered::Verdict::deny,
                                Recorder::For::session);
    case Kinds::once:
    case Kinds::deny: return;
  }
}

void Broker::Impl::close(Questions::iterator at, Verdict verdict, const std::string& by) {
  OpenQuestion& open = *at;
  verdict.question = open.question.id;
  bool once = verdict.kind == Kind::allow && verdict.by == By::human && verdict.rule.empty() &&
              policy::nature_of(open.asked.action) == policy::Nature::deed;
  try {
    recorder_.append({recorder_.verdict(open.question.id, open.asked.action, open.question.digest, verdict,
                                        open.waiters.size() > 1 ? open.waiters.size() : 0)});
  } catch (const store::StoreError& error) {
    if (verdict.kind == Kind::allow) {
      verdict = {.kind = Kind::unavailable,
                 .by = By::fault,
                 .reason = fmt::format("the owner's answer can't be recorded: {}", error.what()),
                 .question = open.question.id};
    }
  }
  ++(verdict.kind == Kind::allow ? summary_.allowed : summary_.denied);
  for (std::size_t i = 0; i < open.waiters.size(); ++i) {
    Verdict mine = verdict;
    if (once && i > 0 && verdict.kind == Kind::allow) {
      mine.kind = Kind::duplicate;
      mine.reason = "the same was asked for at the same time, allowed once, and is done once";
    }
    tell(std::move(open.waiters[i]), std::move(mine));
  }
  std::string id = open.question.id;
  bool shown = open.shown;
  questions_.erase(at);
  if (shown) {
    for (Panel* panel : panels_) panel->withdraw(id, verdict.kind, by);
  }
  if (flooded_ && std::ranges::all_of(questions_, &OpenQuestion::shown)) {
    flooded_ = false;
    for (Panel* panel : panels_) panel->withdraw_warning();
    if (std::exchange(paused_, false) && self_.on_motion) self_.on_motion(Motion::go_on);
  }
  update_waiting();
}

void Broker::Impl::update_waiting() {
  for (OpenQuestion& open : questions_) {
    std::size_t behind = questions_.size() - 1;
    if (open.question.waiting == behind) continue;
    open.question.waiting = behind;
    if (!open.shown) continue;
    for (Panel* panel : panels_) panel->change(open.question);
  }
}

void Broker::Impl::choose(prompt::Banner::Choice choice) {
  if (!flooded_) return;
  using Choice = prompt::Banner::Choice;
  if (choice == Choice::pause) {
    if (!std::exchange(paused_, true) && self_.on_motion) self_.on_motion(Motion::pause);
    warn();
    return;
  }
  flooded_ = false;
  for (Panel* panel : panels_) panel->withdraw_warning();
  if (std::exchange(paused_, false) && self_.on_motion) self_.on_motion(Motion::go_on);
  if (choice == Choice::go_on) {
    put_at_.clear();
    show_held();
    return;
  }
  deny_rest_ = true;
  while (!questions_.empty()) {
    close(questions_.begin(),
          {.kind = Kind::deny, .by = By::limit, .reason = "the owner answers no more questions of this session"},
          "limit");
  }
}

void Broker::Impl::show_held() {
  for (OpenQuestion& open : questions_) {
    if (open.shown) continue;
    show_or_hold(open);
    if (flooded_) return;
  }
}

std::vector<prompt::Question> Broker::Impl::open() const {
  std::vector<prompt::Question> all;
  for (const OpenQuestion& open : questions_) {
    if (open.shown) all.push_back(open.question);
  }
  return all;
}

void Broker::Impl::finish() {
  if (std::exchange(finished_, true)) return;
  while (!questions_.empty()) {
    close(questions_.begin(), {.kind = Kind::cancelled, .by = By::requester, .reason = "the session is over"},
          "requester");
  }
  try {
    recorder_.end(summary_);
  } catch (const store::StoreError&) {  // NOLINT(bugprone-empty-catch): the next session of this name forgets for us
  }
}

// ---- the face ------------------------------------------------------------------------------------------------------

Broker::Broker(asio::io_context& loop, Settings settings)
    : impl_(std::make_shared<Impl>(*this, loop, std::move(settings))) {}
Broker::~Broker() = default;

Decider::Ticket Broker::ask(Asked asked, std::function<void(const Verdict&)> done) {
  return impl_->ask(std::move(asked), std::move(done));
}
void Broker::cancel(Ticket ticket) {
  impl_->cancel(ticket);
}
void Broker::outcome(const Verdict& verdict, const policy::Action& action, const std::string& what) {
  impl_->outcome(verdict, action, what);
}
void Broker::refused(const policy::Action& action, const std::string& why) {
  impl_->refused(action, why);
}
bool Broker::decided(const policy::Action& action, Verdict& verdict) {
  return impl_->decided(action, verdict);
}
void Broker::add(Panel& panel) {
  impl_->add(panel);
}
void Broker::remove(Panel& panel) {
  impl_->remove(panel);
}
void Broker::presence_changed() {
  impl_->presence_changed();
}
Broker::Taken Broker::answer(const std::string& id, const prompt::Answer& answer, const std::string& by) {
  return impl_->answer(id, answer, by);
}
void Broker::choose(prompt::Banner::Choice choice) {
  impl_->choose(choice);
}
std::vector<prompt::Question> Broker::open() const {
  return impl_->open();
}
const Settings& Broker::settings() const noexcept {
  return impl_->settings();
}
const Summary& Broker::summary() const noexcept {
  return impl_->summary();
}
void Broker::finish() {
  impl_->finish();
}

}  // namespace agentbox::broker
