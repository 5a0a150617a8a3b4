// What is free of a budget: taken and recorded in one step, before anybody is asked.

#include <utility>

#include <fmt/format.h>

#include "agentbox/policy/messages.hpp"

#include "broker_impl.hpp"
#include "limits.hpp"

namespace agentbox::broker {

using Kind = Verdict::Kind;
using By = Verdict::By;

std::optional<Verdict> Broker::Impl::within_limits(const std::string& id, Asked& asked, const policy::Ruling& ruling) {
  Verdict verdict{.kind = Kind::allow, .by = By::rule, .rule = ruling.rule, .question = id};
  store::Took took;
  const std::vector<std::string> strangers = recorder_.strangers(asked.action);
  if (ruling.decision == policy::Decision::allow && strangers.empty()) {
    const std::string digest = digest_of(id, asked, settings_);
    took = recorder_.take(id, asked.action, store::Taking::Beyond::refused,
                          {recorder_.request(id, asked, digest), recorder_.verdict(id, asked.action, digest, verdict)});
  } else {
    took = recorder_.look(asked.action);
  }
  switch (took.how) {
    case store::Took::How::taken: verdict.entry = took.id; return verdict;
    case store::Took::How::known: return verdict_on_known(*took.known, std::get<policy::Payment>(asked.action));
    case store::Took::How::beyond: break;
  }
  for (const std::string& who : strangers) asked.facts.push_back(first_time(who));
  add_facts(asked.facts, ruling, took.balances);
  return std::nullopt;
}

void Broker::Impl::record(const OpenQuestion& open, Verdict& verdict) {
  const policy::Action& action = open.asked.action;
  auto row = [&] {
    return recorder_.verdict(open.question.id, action, open.question.digest, verdict,
                             open.waiters.size() > 1 ? open.waiters.size() : 0);
  };
  if (verdict.kind == Kind::allow && !policy::limits_on(settings_.rules, action).empty()) {
    const store::Took took = recorder_.take(open.question.id, action, store::Taking::Beyond::allowed, {row()});
    verdict.entry = took.id;
    if (took.how == store::Took::How::taken) return;
    // While it was asked, another session has paid with this key.
    verdict = verdict_on_known(*took.known, std::get<policy::Payment>(action));
    verdict.question = open.question.id;
  }
  recorder_.append({row()});
}

void Broker::Impl::settle(const Verdict& verdict, const policy::Action& action, Decider::Paid paid,
                          const std::string& what) {
  using Paid = Decider::Paid;
  store::Ending ending = store::Ending::unknown;
  switch (paid) {
    case Paid::paid: ending = store::Ending::paid; break;
    case Paid::not_paid: ending = store::Ending::not_paid; break;
    case Paid::not_started: ending = store::Ending::not_started; break;
    case Paid::unknown: break;
  }
  try {
    recorder_.settle(verdict.entry, ending, what, {recorder_.outcome(verdict.question, action, what)});
  } catch (const store::StoreError&) {  // NOLINT(bugprone-empty-catch): it stays reserved, and the owner settles it
  }
}

std::vector<std::string> Broker::Impl::messages() {
  std::vector<std::string> lines = policy::messages_in_words(settings_.rules.messages);
  if (lines.empty()) return lines;
  try {
    for (const policy::Balance& balance : recorder_.balances(policy::Message{})) lines.push_back(for_room(balance));
  } catch (const store::StoreError&) {
    lines.emplace_back("the record can't be read now, so nothing can be sent");
  }
  return lines;
}

std::vector<std::string> Broker::Impl::spending() {
  const policy::Rules::Spending& rules = settings_.rules.spending;
  if (rules.pay.empty() || !rules.limit) return {};
  std::vector<std::string> lines;
  try {
    for (const policy::Balance& balance : recorder_.balances(policy::Payment{.currency = rules.limit->value.unit})) {
      if (balance.limit.name != "spending.per_recipient") lines.push_back(for_room(balance));
    }
  } catch (const store::StoreError&) {
    lines.emplace_back("the ledger can't be read now, so nothing can be paid");
  }
  if (rules.single) lines.push_back(fmt::format("one payment: {} at most", rules.single->value.text));
  if (rules.per_recipient) lines.push_back(fmt::format("one recipient: {} at most", rules.per_recipient->value.text));
  return lines;
}

}  // namespace agentbox::broker
