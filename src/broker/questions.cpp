#include "questions.hpp"

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

std::int64_t wall_clock(prompt::Clock::time_point at) {
  auto distance = std::chrono::duration_cast<std::chrono::milliseconds>(at - prompt::Clock::now());
  auto now = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch());
  return (now + distance).count();
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
  return hash.digest();
}

prompt::Question question_of(const std::string& id, const Asked& asked, const Settings& settings) {
  prompt::Question question;
  question.id = id;
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
    if (!why.empty()) question.why_not_session = question.why_not_lasting = why;
  }
  question.asked = prompt::Clock::now();
  question.deadline = question.asked + settings.timeout;
  return question;
}

wire::WireQuestion to_wire(const prompt::Question& question) {
  wire::WireQuestion wire;
  wire.id = question.id;
  wire.session = question.session;
  wire.profile = question.profile;
  wire.digest = question.digest;
  wire.title = question.title;
  wire.subject = question.subject;
  for (const prompt::Fact& fact : question.facts) {
    bool warning = fact.weight == prompt::Fact::Weight::warning;
    wire.facts.push_back(
        {.label = fact.label,
         .value = fact.value,
         .weight = warning ? wire::WireQuestion::Fact::Weight::warning : wire::WireQuestion::Fact::Weight::normal});
  }
  wire.said = question.said;
  wire.content = question.content;
  wire.session_scopes = question.session_scopes;
  wire.lasting_scopes = question.lasting_scopes;
  wire.asked = wall_clock(question.asked);
  wire.deadline = wall_clock(question.deadline);
  wire.waiting = question.waiting;
  return wire;
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

std::string reason_denied_by_rule(const policy::Ruling& ruling) {
  return ruling.why + "; don't look for a way around it: tell the owner what you wanted and why";
}

}  // namespace agentbox::broker
