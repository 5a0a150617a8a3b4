// What becomes of questions at the panels: shown, held back, answered, withdrawn.

#include <algorithm>
#include <utility>

#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include "broker_impl.hpp"

namespace agentbox::broker {

using Kind = Verdict::Kind;
using By = Verdict::By;

bool Broker::Impl::anybody() const {
  return std::ranges::any_of(panels_, [](const Panel* panel) { return panel->presence() != Panel::Presence::nobody; });
}

void Broker::Impl::add(Panel& panel) {
  panels_.push_back(&panel);
  for (const OpenQuestion& open : questions_) {
    if (open.shown) panel.show(open.question);
  }
  for (const OpenQuestion& open : delayed_) panel.show(open.question);
  if (flooded_) warn();
}

void Broker::Impl::remove(Panel& panel) {
  std::erase(panels_, &panel);
  presence_changed();
}

// Later: a panel may lose its last reader while it is told of one of the questions that would go.
void Broker::Impl::presence_changed() {
  asio::post(loop_, [weak = weak_from_this()] {
    auto self = weak.lock();
    if (!self || self->anybody() || self->settings_.absent == Settings::Absent::wait) return;
    while (!self->questions_.empty()) self->close(self->questions_.begin(), self->nobody(), "fault");
  });
}

Broker::Impl::Questions::iterator Broker::Impl::find(const std::string& id) {
  return std::ranges::find_if(questions_, [&](const OpenQuestion& open) { return open.question.id == id; });
}

Broker::Taken Broker::Impl::answer(const std::string& id, const prompt::Answer& answer, const std::string& by) {
  if (auto delayed = find_delayed(id); delayed != delayed_.end()) return answer_delayed(delayed, answer, by);
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
  // A phrase that isn't wanted any more, since the reviewer agreed meanwhile, does no harm.
  const std::string& phrase = at->question.phrase;
  if (yes && !phrase.empty() && answer.phrase != phrase) return Taken::not_offered;
  if (yes && Clock::now() < at->question.earliest) return Taken::too_early;
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
  if (reviewer_) reviewer_->forget(open.question.id);
  try {
    record(open, verdict);
  } catch (const store::StoreError& error) {
    if (verdict.kind == Kind::allow) {
      verdict = {.kind = Kind::unavailable,
                 .by = By::fault,
                 .reason = fmt::format("the owner's answer can't be recorded: {}", error.what()),
                 .question = open.question.id};
    }
  }
  ++(verdict.kind == Kind::allow ? summary_.allowed : summary_.denied);
  // Its rows are there; many of them are a reason to ask for no more.
  if (verdict.by != By::human && verdict.kind != Kind::allow) {
    refusals_.recorded(open.asked.action, verdict, Clock::now());
  }
  if (verdict.kind == Kind::allow && is_delayed(open.asked)) {
    delay(at, std::move(verdict));
  } else {
    tell_all(open, verdict);
    std::string id = open.question.id;
    bool shown = open.shown;
    questions_.erase(at);
    if (shown) {
      for (Panel* panel : panels_) panel->withdraw(id, verdict.kind, by);
    }
  }
  if (flooded_ && std::ranges::all_of(questions_, &OpenQuestion::shown)) {
    calm();
  } else {
    warn();  // with one less, if there is a warning
  }
  update_waiting();
}

void Broker::Impl::tell_all(OpenQuestion& open, const Verdict& verdict) {
  bool once = verdict.kind == Kind::allow && verdict.by == By::human && verdict.rule.empty() &&
              policy::nature_of(open.asked.action) == policy::Nature::deed;
  // Of what was delayed, whoever else asked meanwhile has no yes of his own, either.
  once = once || open.question.stage == prompt::Question::Stage::delayed;
  for (std::size_t i = 0; i < open.waiters.size(); ++i) {
    Verdict mine = verdict;
    if (once && i > 0 && verdict.kind == Kind::allow) {
      mine.kind = Kind::duplicate;
      mine.reason = "the same was asked for at the same time, allowed once, and is done once";
      mine.entry = 0;
      mine.earlier = Verdict::Earlier::pending;
    }
    tell(std::move(open.waiters[i]), std::move(mine), open.asked.action);
  }
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

Broker::Taken Broker::Impl::choose(prompt::Banner::Choice choice) {
  if (!flooded_) return Taken::gone;
  using Choice = prompt::Banner::Choice;
  if (choice == Choice::pause) {
    if (!self_.on_motion) return Taken::not_offered;
    if (!std::exchange(paused_, true)) self_.on_motion(Motion::pause);
    warn();
    return Taken::taken;
  }
  calm();
  if (choice == Choice::go_on) {
    put_at_.clear();
    show_held();
    return Taken::taken;
  }
  deny_rest_ = true;
  while (!questions_.empty()) {
    close(questions_.begin(),
          {.kind = Kind::deny, .by = By::limit, .reason = "the owner answers no more questions of this session"},
          "limit");
  }
  return Taken::taken;
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
  review(open);
  for (Panel* panel : panels_) panel->show(open.question);
}

std::optional<prompt::Flood> Broker::Impl::flood() const {
  if (!flooded_) return std::nullopt;
  using Agent = prompt::Flood::Agent;
  prompt::Flood flood{.session = settings_.session,
                      .profile = settings_.profile,
                      .questions = put_at_.size(),
                      .within = settings_.questions_in,
                      .more = settings_.questions,
                      .waiting = questions_.size(),
                      .latest = {},
                      .deadline = {},
                      .agent = paused_           ? Agent::paused
                               : self_.on_motion ? Agent::runs
                                                 : Agent::elsewhere};
  for (const OpenQuestion& open : questions_) {
    if (flood.deadline == Clock::time_point{}) flood.deadline = open.question.deadline;
    flood.latest.insert(flood.latest.begin(), policy::summary(open.asked.action));
  }
  return flood;
}

void Broker::Impl::warn() {
  if (auto now = flood()) {
    for (Panel* panel : panels_) panel->warn(*now);
  }
}

// Nothing is held back any more.
void Broker::Impl::calm() {
  flooded_ = false;
  for (Panel* panel : panels_) panel->withdraw_warning();
  if (std::exchange(paused_, false) && self_.on_motion) self_.on_motion(Motion::go_on);
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
  for (const OpenQuestion& open : delayed_) all.push_back(open.question);
  return all;
}

std::size_t Broker::Impl::asking() const {
  return static_cast<std::size_t>(std::ranges::count_if(questions_, &OpenQuestion::shown));
}

void Broker::Impl::finish() {
  if (std::exchange(finished_, true)) return;
  while (!questions_.empty()) {
    close(questions_.begin(), {.kind = Kind::cancelled, .by = By::requester, .reason = "the session is over"},
          "requester");
  }
  while (!delayed_.empty()) {
    cancel_delayed(delayed_.begin(), {.kind = Kind::cancelled, .by = By::requester, .reason = "the session is over"},
                   "requester");
  }
  refusals_due_.cancel();
  tell_refusals(Refusals::When::at_once);
  settle_unheard();
  try {
    recorder_.end(summary_);
  } catch (const store::StoreError&) {  // NOLINT(bugprone-empty-catch): the next session of this name forgets for us
  }
}

}  // namespace agentbox::broker
