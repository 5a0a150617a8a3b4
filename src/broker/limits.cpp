#include "limits.hpp"

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"

#include "recorder.hpp"

namespace agentbox::broker {

using policy::Balance;
using policy::Limit;
using prompt::Fact;

namespace {

std::string place_of(const profile::Origin& origin) {
  if (origin.file.empty()) return "agentbox's own default";
  return origin.at.line == 0 ? origin.file : fmt::format("{}:{}", origin.file, origin.at.line);
}

// "limit", "recipient", "count": at most 11 columns.
std::string label_of(const Limit& limit) {
  const std::string key = limit.name.substr(limit.name.rfind('.') + 1);
  return key == "per_recipient" ? "recipient" : key;
}

std::string with_noun(const Balance& balance) {
  std::string text = policy::in_words(balance);
  const bool payments = balance.limit.counts == Limit::Counts::times && balance.limit.kind == "payment";
  if (payments || balance.limit.kind == "message") {
    const std::string_view noun = payments ? " payments" : " messages";
    if (std::size_t used = text.find(" used "); used != std::string::npos) text.insert(used, noun);
  }
  return text;
}

}  // namespace

std::string for_room(const Balance& balance) {
  return with_noun(balance) + (balance.limit.subject.empty() ? "" : " for " + base::escape(balance.limit.subject));
}

void add_facts(std::vector<Fact>& facts, const policy::Ruling& ruling, const std::vector<Balance>& balances) {
  if (ruling.decision == policy::Decision::ask) {
    std::string why = ruling.why;
    if (ruling.origin) why += fmt::format(" ({})", place_of(*ruling.origin));
    facts.push_back({.label = "asked since", .value = std::move(why), .weight = Fact::Weight::warning});
  }
  for (const Balance& balance : balances) {
    const bool over = balance.fits == Balance::Fits::no;
    std::string value = with_noun(balance);
    if (over && balance.opens) value += "; it fits again at " + store::local_text(*balance.opens);
    value +=
        fmt::format(" ({} = {}, {})", balance.limit.name, balance.limit.budget.text, place_of(balance.limit.origin));
    facts.push_back({.label = label_of(balance.limit),
                     .value = std::move(value),
                     .weight = over ? Fact::Weight::warning : Fact::Weight::normal});
  }
}

Fact first_time(const std::string& who) {
  const std::size_t blank = who.find(' ');
  return {.label = "first time",
          .value = fmt::format("nothing was ever sent to {} by {} from this profile", who.substr(blank + 1),
                               who.substr(0, blank)),
          .weight = Fact::Weight::warning};
}

Verdict verdict_on_known(const store::Payment& known, const policy::Payment& asked) {
  using Earlier = Verdict::Earlier;
  using State = store::Payment::State;
  Verdict verdict{.kind = Verdict::Kind::duplicate, .by = Verdict::By::limit};
  if (!store::is_same(known, entry_of(asked))) {
    verdict.kind = Verdict::Kind::deny;
    verdict.reason =
        "this key belongs to another payment, with another amount, recipient or memo; a new payment needs "
        "a key of its own";
    return verdict;
  }
  switch (known.state) {
    case State::paid:
      verdict.earlier = Earlier::paid;
      verdict.reason = fmt::format("a payment with this key was made at {}; nothing was paid now",
                                   store::local_text(known.ended.value_or(known.reserved)));
      break;
    case State::unknown:
      verdict.earlier = Earlier::unknown;
      verdict.reason =
          "a payment with this key was tried, and nobody knows whether it was made: don't use another key, "
          "tell the owner; `agentbox ledger` shows it to him";
      break;
    case State::reserved:
    case State::not_paid:
      verdict.earlier = Earlier::pending;
      verdict.reason =
          "a payment with this key is being made, or was interrupted: don't use another key; ask again "
          "with this one later, or tell the owner";
      break;
  }
  return verdict;
}

}  // namespace agentbox::broker
