#include "question.hpp"

#include <algorithm>
#include <cstdint>

#include <fmt/format.h>

#include "agentbox/policy/budget.hpp"

namespace agentbox::gates::spending {

namespace {

// Valid UTF-8, as problem_of has seen to.
std::string in_plain_ascii(const std::string& text) {
  std::string plain;
  for (std::size_t at = 0; at < text.size();) {
    const auto first = static_cast<unsigned char>(text[at]);
    if (first < 0x80) {
      plain += text[at++];
      continue;
    }
    const std::size_t length = std::min<std::size_t>(first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2, text.size() - at);
    std::uint32_t value = first & (0x7fU >> length);
    for (std::size_t i = 1; i < length; ++i) value = value << 6U | (static_cast<unsigned char>(text[at + i]) & 0x3fU);
    plain += fmt::format("<U+{:04X}>", value);
    at += length;
  }
  return plain;
}

}  // namespace

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
  if (const std::string plain = in_plain_ascii(payment.to); plain != payment.to) {
    fact("caution", "letters of the recipient are not plain ASCII, and may only look like others: " + plain,
         Weight::warning);
  }
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
