#include "questions.hpp"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"
#include "agentbox/base/sha256.hpp"

namespace agentbox::broker {

namespace {

// Length before content: two lists of fields have the same bytes only when they are the same.
void add(base::Sha256& hash, std::string_view field) {
  hash.update(fmt::format("{}:", field.size())).update(field);
}

using std::chrono::milliseconds;

// Far enough for every question, near enough for every clock's arithmetic.
constexpr milliseconds most_distance = std::chrono::hours(24 * 365);

milliseconds distance(std::int64_t from, std::int64_t to) {
  return std::clamp(milliseconds(to) - milliseconds(from), -most_distance, most_distance);
}

std::int64_t wall_clock(prompt::Clock::time_point moment, const Moment& at) {
  return at.wall + std::chrono::round<milliseconds>(moment - at.here).count();
}

}  // namespace

std::string digest_of(const std::string& id, const Asked& asked, const Settings& settings) {
  base::Sha256 hash;
  add(hash, "agentbox question 1");
  add(hash, settings.session);
  add(hash, settings.profile);
  add(hash, id);
  add(hash, policy::kind_of(asked.action));
  add(hash, policy::canonical(asked.action));
  add(hash, asked.title);
  add(hash, asked.subject);
  for (const prompt::Fact& fact : asked.facts) {
    add(hash, fact.label);
    add(hash, fact.value);
  }
  add(hash, asked.content);
  add(hash, asked.said);
  for (const policy::Scope& scope : asked.session_scopes) add(hash, scope.rule);
  add(hash, "");
  for (const policy::Scope& scope : asked.lasting_scopes) add(hash, scope.rule);
  if (!asked.phrase.empty()) add(hash, asked.phrase);
  if (asked.delay.count() > 0) add(hash, fmt::format("delay {}", asked.delay.count()));
  return hash.digest();
}

prompt::Question question_of(const std::string& id, const Asked& asked, const Settings& settings) {
  prompt::Question question;
  question.id = id;
  question.kind = policy::kind_of(asked.action);
  question.session = settings.session;
  question.profile = settings.profile;
  question.digest = digest_of(id, asked, settings);
  question.title = asked.title;
  question.subject = asked.subject;
  question.facts = asked.facts;
  question.said = asked.said;
  question.content = asked.content;
  if (std::holds_alternative<policy::Command>(asked.action)) question.form = prompt::Question::Form::quoted;
  if (std::holds_alternative<policy::Change>(asked.action)) {
    question.content_form = prompt::Question::Content::diff;
    question.content_title = "what would change";
  }
  for (const policy::Scope& scope : asked.session_scopes) question.session_scopes.push_back(scope.shown);
  for (const policy::Scope& scope : asked.lasting_scopes) question.lasting_scopes.push_back(scope.shown);
  if (const auto* command = std::get_if<policy::Command>(&asked.action)) {
    std::string why = policy::knowledge_of(*command).why;
    if (why.empty() && command->remotes && command->remotes->certain == policy::Remotes::Certain::no) {
      why = "nobody can say which address git would talk to";
    }
    if (why.empty()) why = "agentbox doesn't know what this program does with its arguments";
    question.why_not_session = question.why_not_lasting = why;
  }
  if (std::holds_alternative<policy::Message>(asked.action)) {
    question.content_title = "what will be sent";
    question.why_not_session = question.why_not_lasting =
        "each message is a thing of its own; who may be written to is in the profile";
  }
  if (std::holds_alternative<policy::Payment>(asked.action)) {
    question.why_not_session = question.why_not_lasting =
        "each payment is a thing of its own; limits are in the profile";
  }
  question.phrase = asked.phrase;
  question.asked = prompt::Clock::now();
  question.deadline = question.asked + settings.timeout;
  return question;
}

Moment now() {
  auto wall = std::chrono::system_clock::now().time_since_epoch();
  return {.here = prompt::Clock::now(), .wall = std::chrono::duration_cast<milliseconds>(wall).count()};
}

wire::WireQuestion to_wire(const prompt::Question& question, const Moment& at) {
  using Wire = wire::WireQuestion;
  Wire wire;
  wire.id = question.id;
  wire.session = question.session;
  wire.profile = question.profile;
  wire.kind = question.kind;
  wire.digest = question.digest;
  wire.title = question.title;
  wire.form = question.form == prompt::Question::Form::quoted ? Wire::Form::quoted : Wire::Form::raw;
  wire.subject = question.subject;
  for (const prompt::Fact& fact : question.facts) {
    bool warning = fact.weight == prompt::Fact::Weight::warning;
    bool detail = fact.shown == prompt::Fact::Shown::details;
    wire.facts.push_back({.label = fact.label,
                          .value = fact.value,
                          .weight = warning ? Wire::Fact::Weight::warning : Wire::Fact::Weight::normal,
                          .shown = detail ? Wire::Fact::Shown::details : Wire::Fact::Shown::always});
  }
  wire.said = question.said;
  wire.content_title = question.content_title;
  bool diff = question.content_form == prompt::Question::Content::diff;
  wire.content_form = diff ? Wire::Content::diff : Wire::Content::text;
  wire.content = question.content;
  wire.session_scopes = question.session_scopes;
  wire.lasting_scopes = question.lasting_scopes;
  wire.why_not_session = question.why_not_session;
  wire.why_not_lasting = question.why_not_lasting;
  wire.phrase = question.phrase;
  wire.sent = at.wall;
  wire.asked = wall_clock(question.asked, at);
  // 0 says that there is none.
  if (question.deadline != prompt::Clock::time_point{}) wire.deadline = wall_clock(question.deadline, at);
  wire.waiting = question.waiting;
  if (question.opinion) {
    using From = prompt::Opinion::Says;
    using To = Wire::Opinion::Says;
    const From says = question.opinion->says;
    wire.opinion = {.says = says == From::agrees    ? To::agrees
                            : says == From::objects ? To::objects
                            : says == From::silent  ? To::silent
                                                    : To::nothing_yet,
                    .risk = static_cast<std::uint64_t>(std::clamp(question.opinion->risk, 0, 10)),
                    .reason = question.opinion->reason};
  }
  if (question.earliest != prompt::Clock::time_point{}) wire.earliest = wall_clock(question.earliest, at);
  const bool delayed = question.stage == prompt::Question::Stage::delayed;
  wire.stage = delayed ? Wire::Stage::delayed : Wire::Stage::asked;
  return wire;
}

prompt::Question from_wire(const wire::WireQuestion& wire, prompt::Clock::time_point at) {
  using Wire = wire::WireQuestion;
  prompt::Question question;
  question.id = wire.id;
  question.session = wire.session;
  question.profile = wire.profile;
  question.kind = wire.kind;
  question.digest = wire.digest;
  question.title = wire.title;
  question.form = wire.form == Wire::Form::quoted ? prompt::Question::Form::quoted : prompt::Question::Form::raw;
  question.subject = wire.subject;
  for (const Wire::Fact& fact : wire.facts) {
    bool warning = fact.weight == Wire::Fact::Weight::warning;
    bool detail = fact.shown == Wire::Fact::Shown::details;
    question.facts.push_back({.label = fact.label,
                              .value = fact.value,
                              .weight = warning ? prompt::Fact::Weight::warning : prompt::Fact::Weight::normal,
                              .shown = detail ? prompt::Fact::Shown::details : prompt::Fact::Shown::always});
  }
  question.said = wire.said;
  question.content_title = wire.content_title;
  bool diff = wire.content_form == Wire::Content::diff;
  question.content_form = diff ? prompt::Question::Content::diff : prompt::Question::Content::text;
  question.content = wire.content;
  question.session_scopes = wire.session_scopes;
  question.lasting_scopes = wire.lasting_scopes;
  question.why_not_session = wire.why_not_session;
  question.why_not_lasting = wire.why_not_lasting;
  question.phrase = wire.phrase;
  question.asked = at + distance(wire.sent, wire.asked);
  if (wire.deadline != 0) question.deadline = at + distance(wire.sent, wire.deadline);
  question.waiting = static_cast<std::size_t>(wire.waiting);
  if (wire.opinion) {
    using From = Wire::Opinion::Says;
    using To = prompt::Opinion::Says;
    const From says = wire.opinion->says;
    question.opinion = {.says = says == From::agrees    ? To::agrees
                                : says == From::objects ? To::objects
                                : says == From::silent  ? To::silent
                                                        : To::nothing_yet,
                        .risk = static_cast<int>(wire.opinion->risk),
                        .reason = wire.opinion->reason};
  }
  if (wire.earliest != 0) question.earliest = at + distance(wire.sent, wire.earliest);
  const bool delayed = wire.stage == Wire::Stage::delayed;
  question.stage = delayed ? prompt::Question::Stage::delayed : prompt::Question::Stage::asked;
  return question;
}

wire::WireFlood to_wire(const prompt::Flood& flood, const Moment& at) {
  using Agent = wire::WireFlood::Agent;
  wire::WireFlood wire{.session = flood.session,
                       .profile = flood.profile,
                       .questions = flood.questions,
                       .within = static_cast<std::uint64_t>(flood.within.count()),
                       .more = flood.more,
                       .waiting = flood.waiting,
                       .latest = flood.latest};
  switch (flood.agent) {
    case prompt::Flood::Agent::runs: wire.agent = Agent::runs; break;
    case prompt::Flood::Agent::paused: wire.agent = Agent::paused; break;
    case prompt::Flood::Agent::elsewhere: wire.agent = Agent::elsewhere; break;
  }
  constexpr std::size_t most_latest = 100;
  if (wire.latest.size() > most_latest) wire.latest.resize(most_latest);
  wire.sent = at.wall;
  if (flood.deadline != prompt::Clock::time_point{}) wire.deadline = wall_clock(flood.deadline, at);
  return wire;
}

prompt::Flood from_wire(const wire::WireFlood& wire, prompt::Clock::time_point at) {
  using Agent = prompt::Flood::Agent;
  constexpr std::uint64_t longest = 24 * 365 * 3600;
  prompt::Flood flood{.session = wire.session,
                      .profile = wire.profile,
                      .questions = static_cast<std::size_t>(wire.questions),
                      .within = std::chrono::seconds(std::min(wire.within, longest)),
                      .more = static_cast<std::size_t>(wire.more),
                      .waiting = static_cast<std::size_t>(wire.waiting),
                      .latest = wire.latest};
  switch (wire.agent) {
    case wire::WireFlood::Agent::runs: flood.agent = Agent::runs; break;
    case wire::WireFlood::Agent::paused: flood.agent = Agent::paused; break;
    case wire::WireFlood::Agent::elsewhere: flood.agent = Agent::elsewhere; break;
  }
  if (wire.deadline != 0) flood.deadline = at + distance(wire.sent, wire.deadline);
  return flood;
}

wire::SessionChoose to_wire(prompt::Banner::Choice choice) noexcept {
  using To = wire::SessionChoose::Choice;
  switch (choice) {
    case prompt::Banner::Choice::pause: return {To::pause};
    case prompt::Banner::Choice::deny_rest: return {To::deny_rest};
    case prompt::Banner::Choice::go_on: return {To::go_on};
  }
  return {To::pause};
}

prompt::Banner::Choice from_wire(const wire::SessionChoose& choose) noexcept {
  using To = prompt::Banner::Choice;
  switch (choose.choice) {
    case wire::SessionChoose::Choice::pause: return To::pause;
    case wire::SessionChoose::Choice::deny_rest: return To::deny_rest;
    case wire::SessionChoose::Choice::go_on: return To::go_on;
  }
  return To::pause;
}

wire::QuestionAnswer to_wire(const std::string& id, const prompt::Answer& answer) {
  using From = prompt::Answer::Kind;
  using To = wire::QuestionAnswer::Answer;
  wire::QuestionAnswer wire{
      .question = id, .digest = answer.digest, .answer = To::deny, .comment = answer.comment, .phrase = answer.phrase};
  switch (answer.kind) {
    case From::once: wire.answer = To::once; break;
    case From::session: wire.answer = To::session; break;
    case From::always: wire.answer = To::always; break;
    case From::deny: wire.answer = To::deny; break;
    case From::deny_session: wire.answer = To::deny_session; break;
  }
  if (answer.kind == From::session || answer.kind == From::always) wire.scope = answer.scope;
  return wire;
}

prompt::Answer from_wire(const wire::QuestionAnswer& wire) {
  using From = wire::QuestionAnswer::Answer;
  using To = prompt::Answer::Kind;
  prompt::Answer answer{.kind = To::deny,
                        .scope = static_cast<std::size_t>(wire.scope),
                        .comment = wire.comment,
                        .digest = wire.digest,
                        .phrase = wire.phrase};
  switch (wire.answer) {
    case From::once: answer.kind = To::once; break;
    case From::session: answer.kind = To::session; break;
    case From::always: answer.kind = To::always; break;
    case From::deny: answer.kind = To::deny; break;
    case From::deny_session: answer.kind = To::deny_session; break;
  }
  return answer;
}

wire::Verdict::Kind to_wire(Verdict::Kind kind) noexcept {
  switch (kind) {
    case Verdict::Kind::allow: return wire::Verdict::Kind::allow;
    case Verdict::Kind::deny: return wire::Verdict::Kind::deny;
    case Verdict::Kind::duplicate: return wire::Verdict::Kind::duplicate;
    case Verdict::Kind::expired: return wire::Verdict::Kind::expired;
    case Verdict::Kind::unavailable: return wire::Verdict::Kind::unavailable;
    case Verdict::Kind::cancelled: return wire::Verdict::Kind::cancelled;
  }
  return wire::Verdict::Kind::deny;
}

wire::Verdict to_wire(const Verdict& verdict) {
  return {.verdict = to_wire(verdict.kind), .reason = verdict.reason, .rule = verdict.rule, .comment = verdict.comment};
}

std::string in_words(std::chrono::seconds time) {
  if (time.count() == 1) return "a second";
  if (time.count() % 60 != 0) return fmt::format("{} seconds", time.count());
  return time.count() == 60 ? "a minute" : fmt::format("{} minutes", time.count() / 60);
}

std::string reason_denied_by_rule(const policy::Ruling& ruling) {
  return ruling.why + "; don't look for a way around it: tell the owner what you wanted and why";
}

}  // namespace agentbox::broker
