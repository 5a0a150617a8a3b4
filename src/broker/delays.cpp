// What was allowed and waits before it is done, in sight of the owner: he can still cancel it, and it gives back what it
// has taken of the limits. Nothing of it is on disk but the verdict: an agentbox that dies meanwhile has done nothing, and
// what it had reserved stays reserved.

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "broker_impl.hpp"

namespace agentbox::broker {

using Kind = Verdict::Kind;
using By = Verdict::By;

bool Broker::Impl::is_delayed(const Asked& asked) {
  return asked.delay.count() > 0 && policy::nature_of(asked.action) == policy::Nature::deed;
}

void Broker::Impl::say_that_it_waits(Asked& asked) {
  if (!is_delayed(asked)) {
    asked.delay = {};
    return;
  }
  asked.facts.push_back(
      {.label = "after a yes",
       .value = fmt::format("it waits {}; until then `agentbox approve` can cancel it", in_words(asked.delay))});
}

// Its verdict is on record.
void Broker::Impl::delay(Questions::iterator at, Verdict verdict) {
  const bool known = at->shown;  // to the panels
  delayed_.splice(delayed_.end(), questions_, at);
  begin_delay(*at, std::move(verdict));
  for (Panel* panel : panels_) known ? panel->change(at->question) : panel->show(at->question);
}

void Broker::Impl::delay(const std::string& id, const Asked& asked, Verdict verdict, Waiter waiter) {
  OpenQuestion& open = delayed_.emplace_back(loop_, question_of(id, asked, settings_), asked);
  open.waiters.push_back(std::move(waiter));
  begin_delay(open, std::move(verdict));
  for (Panel* panel : panels_) panel->show(open.question);
}

void Broker::Impl::begin_delay(OpenQuestion& open, Verdict verdict) {
  open.allowed = std::move(verdict);
  open.shown = true;
  prompt::Question& question = open.question;
  question.stage = prompt::Question::Stage::delayed;
  question.deadline = Clock::now() + open.asked.delay;
  question.earliest = {};
  question.phrase.clear();
  question.waiting = 0;
  open.timer.expires_at(question.deadline);
  open.timer.async_wait([weak = weak_from_this(), id = question.id](boost::system::error_code error) {
    auto self = weak.lock();
    if (!self || error) return;
    if (auto at = self->find_delayed(id); at != self->delayed_.end()) self->end_delay(at);
  });
  for (const Waiter& waiter : open.waiters) tell_delay(open, waiter);
}

Broker::Impl::Questions::iterator Broker::Impl::find_delayed(const std::string& id) {
  return std::ranges::find_if(delayed_, [&](const OpenQuestion& open) { return open.question.id == id; });
}

// Now it is done, if the record still takes it: the second verdict on it says that its time was over.
void Broker::Impl::end_delay(Questions::iterator at) {
  Verdict verdict = std::move(at->allowed);
  const Verdict over{.kind = Kind::allow, .by = By::clock, .reason = "nobody cancelled it within its delay"};
  try {
    recorder_.append({recorder_.verdict(at->question.id, at->asked.action, at->question.digest, over)});
  } catch (const store::StoreError& error) {
    return cancel_delayed(at,
                          {.kind = Kind::unavailable,
                           .by = By::fault,
                           .reason = fmt::format("that it is done now can't be recorded: {}", error.what())},
                          "fault");
  }
  leave_delay(at, verdict, "clock");
}

void Broker::Impl::cancel_delayed(Questions::iterator at, Verdict verdict, const std::string& by) {
  const policy::Action& action = at->asked.action;
  verdict.question = at->question.id;
  const std::int64_t entry = std::exchange(at->allowed.entry, 0);
  try {
    std::vector<store::Event> rows{recorder_.verdict(verdict.question, action, at->question.digest, verdict)};
    if (entry != 0 && std::holds_alternative<policy::Payment>(action)) {
      recorder_.settle(entry, store::Ending::not_started, "cancelled before it was made", std::move(rows));
    } else if (entry != 0) {
      recorder_.give_back(entry, action, std::move(rows));
    } else {
      recorder_.append(std::move(rows));
    }
  } catch (const store::StoreError&) {  // NOLINT(bugprone-empty-catch): it isn't done; what was reserved stays so
  }
  --summary_.allowed;
  ++summary_.denied;
  leave_delay(at, verdict, by);
}

void Broker::Impl::leave_delay(Questions::iterator at, const Verdict& verdict, const std::string& by) {
  const std::string id = at->question.id;
  const Kind kind = verdict.kind;
  tell_all(*at, verdict);
  delayed_.erase(at);
  for (Panel* panel : panels_) panel->withdraw(id, kind, by);
}

Broker::Taken Broker::Impl::answer_delayed(Questions::iterator at, const prompt::Answer& answer,
                                           const std::string& by) {
  if (answer.digest != at->question.digest) return Taken::changed;
  using Kinds = prompt::Answer::Kind;
  if (answer.kind != Kinds::deny && answer.kind != Kinds::deny_session) return Taken::not_offered;
  Verdict verdict{.kind = Kind::deny,
                  .by = By::human,
                  .reason = "the owner cancelled it before it was done; don't try it another way",
                  .comment = answer.comment};
  try {
    remember(*at, answer);
  } catch (const store::StoreError&) {  // NOLINT(bugprone-empty-catch): it is cancelled, remembered or not
  }
  ++denials_[policy::exact_scope(at->asked.action).rule];
  cancel_delayed(at, std::move(verdict), by);
  return Taken::taken;
}

}  // namespace agentbox::broker
