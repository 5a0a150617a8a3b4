#include "question.hpp"

#include <fmt/format.h>

#include "agentbox/policy/budget.hpp"

namespace agentbox::gates::spending {

broker::Asked question_about(const policy::Payment& payment, const commands::Measured& program, std::string said) {
  using Weight = prompt::Fact::Weight;
  using Shown = prompt::Fact::Shown;
  const std::string amount = policy::amount_in_words(payment.amount, payment.currency);
  broker::Asked asked;
  asked.action = payment;
  asked.title = "pay " + amount;
  asked.subject = fmt::format("{} to {}", amount, payment.to);
  auto fact = [&asked](std::string label, std::string value, Weight weight = Weight::normal,
                       Shown shown = Shown::always) {
    asked.facts.push_back({.label = std::move(label), .value = std::move(value), .weight = weight, .shown = shown});
  };
  fact("amount", amount);
  fact("to", payment.to);
  if (!payment.memo.empty()) fact("memo", payment.memo);
  fact("key", payment.key, Weight::normal, Shown::details);
  fact("program", program.program.path.str(), Weight::normal, Shown::details);
  fact("sha-256", program.program.sha256, Weight::normal, Shown::details);
  if (program.program.writable == policy::Program::Writable::yes) {
    fact("caution", "you can change this program, and so can all that runs as you", Weight::warning);
  }
  asked.said = std::move(said);
  asked.phrase = amount.substr(0, amount.find(' '));
  return asked;
}

}  // namespace agentbox::gates::spending
