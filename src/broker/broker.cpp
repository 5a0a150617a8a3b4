#include "agentbox/broker/broker.hpp"

#include <algorithm>
#include <chrono>
#include <span>
#include <utility>
#include <vector>

#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include "broker_impl.hpp"

namespace agentbox::broker {

using Kind = Verdict::Kind;
using By = Verdict::By;

namespace {

// So many denials of the same thing by a person, and it is denied for the session without asking.
constexpr int patience = 3;

policy::Scope scope_of(const store::Remembered& answer) {
  bool exact = answer.breadth == store::Remembered::Breadth::exact;
  return {.breadth = exact ? policy::Scope::Breadth::exact : policy::Scope::Breadth::pattern,
          .rule = answer.rule,
          .shown = answer.shown};
}

// The first answer that covers the action and says this, or nullptr.
const store::Remembered* covering(std::span<const store::Remembered> answers, const policy::Action& action,
                                  store::Remembered::Verdict says) {
  auto covers = [&](const store::Remembered& answer) {
    return answer.verdict == says && policy::covers(scope_of(answer), action);
  };
  const auto found = std::ranges::find_if(answers, covers);
  return found == answers.end() ? nullptr : &*found;
}

}  // namespace

Broker::Impl::Impl(Broker& self, asio::io_context& loop, Settings settings)
    : self_(self), loop_(loop), settings_(std::move(settings)), recorder_(settings_), refusals_due_(loop) {}

Decider::Ticket Broker::Impl::ask(Asked asked, std::function<void(const Verdict&)> done) {
  Waiter waiter{++last_ticket_, std::move(done), std::move(asked.waits)};
  say_that_it_waits(asked);
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
    if (std::optional<Verdict> known = without_asking(id, asked, ruling, used)) {
      if (known->entry == 0) return settle(*std::move(known));
      ++summary_.allowed;
      give(id, asked, *std::move(known), std::move(waiter));
      return last_ticket_;
    }
  } catch (const store::StoreError& error) {
    return settle({.kind = Kind::unavailable,
                   .by = By::fault,
                   .reason = fmt::format("what was said and used before can't be read: {}", error.what())});
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
  if (refusals_.is_full(asked.action, Clock::now())) {
    return settle({.kind = Kind::deny,
                   .by = By::limit,
                   .reason = "too many of its kind were refused or given up within a minute; wait that long"});
  }
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

std::optional<Verdict> Broker::Impl::without_asking(const std::string& id, Asked& asked, const policy::Ruling& ruling,
                                                    std::optional<std::int64_t>& used) {
  const std::vector<store::Remembered> answers = recorder_.remembered(policy::kind_of(asked.action));
  // A no of the owner's beats every grant.
  if (const auto* no = covering(answers, asked.action, store::Remembered::Verdict::deny)) {
    used = no->id;
    return Verdict{.kind = Kind::deny,
                   .by = By::remembered,
                   .reason = "the owner has said no to this before; don't ask again, tell him what you wanted and why",
                   .rule = no->shown};
  }
  // What is counted is never remembered: each yes is for one.
  if (!policy::limits_on(settings_.rules, asked.action).empty()) return within_limits(id, asked, ruling);
  if (ruling.decision == policy::Decision::allow) {
    return Verdict{.kind = Kind::allow, .by = By::rule, .rule = ruling.rule};
  }
  if (const auto* yes = covering(answers, asked.action, store::Remembered::Verdict::allow)) {
    used = yes->id;
    return Verdict{.kind = Kind::allow, .by = By::remembered, .rule = yes->shown};
  }
  return std::nullopt;
}

Verdict Broker::Impl::nobody() const {
  return {
      .kind = Kind::unavailable,
      .by = By::fault,
      .reason = "the owner must be asked, and can't be: nobody watches this session; tell him what you wanted and why"};
}

void Broker::Impl::settle_at_once(const std::string& id, const Asked& asked, Verdict verdict, Waiter waiter,
                                  std::optional<std::int64_t> used) {
  verdict.question = id;
  if (verdict.kind != Kind::allow && !is_recorded(asked.action, verdict)) {
    ++summary_.denied;
    return tell(std::move(waiter), std::move(verdict), asked.action);
  }
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
  give(id, asked, std::move(verdict), std::move(waiter));
}

bool Broker::Impl::is_recorded(const policy::Action& action, const Verdict& verdict) {
  if (refusals_.is_recorded(action, verdict, Clock::now())) return true;
  tell_refusals_when_due();
  return false;
}

void Broker::Impl::tell_refusals_when_due() {
  const std::optional<Clock::time_point> due = refusals_.due();
  if (!due || std::exchange(tells_refusals_, true)) return;
  refusals_due_.expires_at(*due);
  refusals_due_.async_wait([weak = weak_from_this()](boost::system::error_code error) {
    auto self = weak.lock();
    if (!self || error) return;
    self->tells_refusals_ = false;
    self->tell_refusals(Refusals::When::due);
    self->tell_refusals_when_due();
  });
}

void Broker::Impl::tell_refusals(Refusals::When when) {
  std::vector<store::Event> rows;
  for (const Refusals::Told& told : refusals_.tell(when, Clock::now())) {
    rows.push_back(recorder_.outcome(told.verdict.question, told.action, told.what));
  }
  try {
    if (!rows.empty()) recorder_.append(std::move(rows));
  } catch (const store::StoreError&) {  // NOLINT(bugprone-empty-catch): the first ones are on record
  }
}

void Broker::Impl::give(const std::string& id, const Asked& asked, Verdict verdict, Waiter waiter) {
  if (verdict.kind == Kind::allow && is_delayed(asked)) return delay(id, asked, std::move(verdict), std::move(waiter));
  tell(std::move(waiter), std::move(verdict), asked.action);
}

bool Broker::Impl::join_twin(const Asked& asked, Waiter& waiter) {
  std::string canonical = policy::canonical(asked.action);
  for (Questions* questions : {&questions_, &delayed_}) {
    auto twin = std::ranges::find(*questions, canonical, &OpenQuestion::canonical);
    if (twin == questions->end()) continue;
    if (twin->waiters.size() >= settings_.most_waiting) return false;
    twin->waiters.push_back(std::move(waiter));
    if (questions == &delayed_) tell_delay(*twin, twin->waiters.back());
    return true;
  }
  return false;
}

void Broker::Impl::put(const std::string& id, Asked asked, Waiter waiter) {
  prompt::Question question = question_of(id, asked, settings_);
  try {
    recorder_.append({recorder_.request(id, asked, question.digest)});
  } catch (const store::StoreError& error) {
    ++summary_.denied;
    tell(std::move(waiter),
         {.kind = Kind::unavailable,
          .by = By::fault,
          .reason = fmt::format("it can't be recorded, so it can't be asked: {}", error.what()),
          .question = id},
         asked.action);
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

void Broker::Impl::tell(Waiter waiter, Verdict verdict, const policy::Action& action) {
  const bool reserved = verdict.kind == Kind::allow && verdict.entry != 0;
  if (reserved && std::holds_alternative<policy::Payment>(action)) unheard_[verdict.entry] = {verdict, action};
  asio::post(loop_, [weak = weak_from_this(), done = std::move(waiter.done), verdict = std::move(verdict)] {
    auto self = weak.lock();
    if (!self) return;
    self->unheard_.erase(verdict.entry);
    done(verdict);
  });
}

void Broker::Impl::settle_unheard() {
  for (const auto& [entry, one] : std::exchange(unheard_, {})) {
    settle(one.verdict, one.action, Decider::Paid::not_started, "not started: the session has ended");
  }
}

void Broker::Impl::tell_delay(const OpenQuestion& open, const Waiter& waiter) {
  if (!waiter.waits) return;
  const auto left = std::chrono::ceil<std::chrono::seconds>(open.question.deadline - Clock::now());
  asio::post(loop_, [weak = weak_from_this(), waits = waiter.waits, left] {
    if (weak.lock()) waits(std::max(left, std::chrono::seconds(1)));
  });
}

void Broker::Impl::cancel(Ticket ticket) {
  if (!give_up(questions_, ticket)) give_up(delayed_, ticket);
}

bool Broker::Impl::give_up(Questions& questions, Ticket ticket) {
  for (auto at = questions.begin(); at != questions.end(); ++at) {
    auto waiter = std::ranges::find(at->waiters, ticket, &Waiter::ticket);
    if (waiter == at->waiters.end()) continue;
    Verdict verdict{.kind = Kind::cancelled, .by = By::requester, .reason = "the request was given up"};
    if (at->waiters.size() == 1) {
      &questions == &delayed_ ? cancel_delayed(at, std::move(verdict), "requester")
                              : close(at, std::move(verdict), "requester");
    } else {
      verdict.question = at->question.id;
      Waiter gone = std::move(*waiter);
      at->waiters.erase(waiter);
      tell(std::move(gone), std::move(verdict), at->asked.action);
    }
    return true;
  }
  return false;
}

void Broker::Impl::outcome(const Verdict& verdict, const policy::Action& action, const std::string& what) {
  try {
    recorder_.append({recorder_.outcome(verdict.question, action, what)});
  } catch (const store::StoreError&) {  // NOLINT(bugprone-empty-catch): done already; what allowed it is on record
  }
}

void Broker::Impl::outcomes(std::vector<Decider::Done> done) {
  recorder_.outcomes(std::move(done));
}

void Broker::Impl::refused(const policy::Action& action, const std::string& why) {
  const std::string id = std::to_string(++last_id_);
  const Asked asked{.action = action};
  const Verdict verdict{.kind = Kind::deny, .by = By::fault, .reason = why, .question = id};
  ++summary_.denied;
  if (!is_recorded(action, verdict)) return;
  const std::string digest = digest_of(id, asked, settings_);
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
void Broker::outcomes(std::vector<Done> done) {
  impl_->outcomes(std::move(done));
}
void Broker::settle(const Verdict& verdict, const policy::Action& action, Paid paid, const std::string& what) {
  impl_->settle(verdict, action, paid, what);
}
std::vector<policy::Balance> Broker::standing(std::span<const policy::Limit> limits) {
  return impl_->standing(limits);
}
bool Broker::counted(std::span<const policy::Use> uses, std::span<const policy::Limit> limits) {
  return impl_->counted(uses, limits);
}
std::vector<std::string> Broker::traffic() const {
  return impl_->traffic();
}
std::vector<std::string> Broker::spending() const {
  return impl_->spending();
}
std::vector<std::string> Broker::messages() const {
  return impl_->messages();
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
Broker::Taken Broker::choose(prompt::Banner::Choice choice) {
  return impl_->choose(choice);
}
std::optional<prompt::Flood> Broker::flood() const {
  return impl_->flood();
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
std::size_t Broker::asking() const {
  return impl_->asking();
}
void Broker::finish() {
  impl_->finish();
}

}  // namespace agentbox::broker
