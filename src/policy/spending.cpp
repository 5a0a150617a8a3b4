// Payments: what the profile's [spending] says about one, before anybody looks at what was spent.

#include "spending.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"
#include "agentbox/policy/budget.hpp"
#include "agentbox/profile/parse.hpp"

#include "messages.hpp"

namespace agentbox::policy {

namespace {

using Located = profile::Located<profile::Budget>;

// One spelling of what can be seen, and nothing that a program would take for an option.
std::string problem_of_text(std::string_view what, const std::string& text, std::size_t most) {
  if (text.size() > most) return fmt::format("{} is longer than {} bytes", what, most);
  if (text.starts_with('-')) return fmt::format("{} begins with '-', like an option", what);
  if (base::escape(text) != text) {
    return fmt::format("{} is not plain text: no control, invisible or broken characters, no backslash", what);
  }
  if (text.starts_with(' ') || text.ends_with(' ')) return fmt::format("{} begins or ends with a blank", what);
  return {};
}

Ruling denied(std::string why, const std::optional<profile::Origin>& origin = {}) {
  return {.decision = Decision::deny, .origin = origin, .why = std::move(why)};
}

std::optional<profile::Origin> origin_of(const Located& limit) {
  return limit.origin.file.empty() ? std::nullopt : std::optional(limit.origin);
}

Ruling by(Decision decision, const Located& limit, std::string why) {
  return {.decision = decision, .rule = limit.value.text, .origin = origin_of(limit), .why = std::move(why)};
}

Limit limit_of(std::string name, const Located& from) {
  return {.name = std::move(name), .kind = "payment", .budget = from.value, .origin = from.origin};
}

}  // namespace

std::expected<std::int64_t, std::string> parse_amount(std::string_view text, std::string_view currency) {
  base::Result<std::int64_t> amount = profile::parse_amount(text, currency);
  if (amount) return *amount;
  const base::Diagnostic& problem = amount.error().front();
  return std::unexpected(problem.hint.empty() ? problem.message : problem.message + ": " + problem.hint);
}

std::string problem_of(const Payment& payment) {
  if (payment.amount <= 0) return "an amount is more than 0";
  if (payment.to.empty()) return "the recipient is missing";
  if (payment.key.empty())
    return "the key is missing: it keeps a payment that is asked for twice from being made twice";
  std::string problem = problem_of_text("the recipient", payment.to, most_recipient);
  if (problem.empty()) problem = problem_of_text("the memo", payment.memo, most_memo);
  if (!problem.empty()) return problem;
  auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_-.:/").find(c) != std::string_view::npos;
  };
  if (payment.key.size() > most_key || payment.key.starts_with('-') || !std::ranges::all_of(payment.key, plain)) {
    return fmt::format("a key is 1 to {} letters, digits and _ - . : /, and begins with no '-'", most_key);
  }
  return {};
}

std::vector<std::string> payment_argv(const std::vector<std::string>& command, const Payment& payment) {
  std::vector<std::string> argv;
  for (const std::string& word : command) {
    if (word == "{amount}") {
      argv.push_back(profile::amount_text(payment.amount, payment.currency));
    } else if (word == "{minor}") {
      argv.push_back(std::to_string(payment.amount));
    } else if (word == "{currency}") {
      argv.push_back(payment.currency);
    } else if (word == "{to}") {
      argv.push_back(payment.to);
    } else if (word == "{memo}") {
      argv.push_back(payment.memo);
    } else {
      argv.push_back(word == "{key}" ? payment.key : word);
    }
  }
  return argv;
}

Ruling rule_on_payment(const Rules::Spending& spending, const Payment& payment) {
  if (spending.pay.empty()) return denied("the profile has no way to pay");
  if (!spending.limit) return denied("the profile sets no limit for spending, so every payment is denied");
  const Located& limit = *spending.limit;
  if (payment.currency != limit.value.unit) {
    return denied(fmt::format("this profile pays in {} only", base::escape(limit.value.unit)), origin_of(limit));
  }
  if (std::string problem = problem_of(payment); !problem.empty()) return denied(std::move(problem));
  if (spending.single && payment.amount > spending.single->value.amount) {
    return by(Decision::ask, *spending.single,
              fmt::format("one payment may be {} at most without a question", spending.single->value.text));
  }
  if (payment.amount > limit.value.amount) {
    return by(Decision::ask, limit, fmt::format("it is more than the whole limit '{}'", limit.value.text));
  }
  return by(Decision::allow, limit, fmt::format("the limit '{}' allows it for as long as it lasts", limit.value.text));
}

std::optional<Use> use_of(const Action& action) {
  // Each recipient counts: one message to many is many.
  if (const auto* message = std::get_if<Message>(&action)) {
    return Use{.kind = "message", .subject = {}, .unit = {}, .amount = static_cast<std::int64_t>(message->to.size())};
  }
  const auto* payment = std::get_if<Payment>(&action);
  if (payment == nullptr) return std::nullopt;
  return Use{.kind = "payment", .subject = payment->to, .unit = payment->currency, .amount = payment->amount};
}

std::vector<Limit> limits_on(const Rules& rules, const Action& action) {
  if (std::holds_alternative<Message>(action)) return limits_on_message(rules.messages);
  const auto* payment = std::get_if<Payment>(&action);
  if (payment == nullptr) return {};
  std::vector<Limit> limits;
  const Rules::Spending& spending = rules.spending;
  if (spending.limit) limits.push_back(limit_of("spending.limit", *spending.limit));
  if (spending.per_recipient) {
    limits.push_back(limit_of("spending.per_recipient", *spending.per_recipient));
    limits.back().subject = payment->to;
  }
  if (spending.count) {
    limits.push_back(limit_of("spending.count", *spending.count));
    limits.back().counts = Limit::Counts::times;
  }
  return limits;
}

Rules::Spending spending_of(const profile::Profile& profile) {
  const auto& said = profile.spending;
  Rules::Spending spending{
      .limit = said.limit, .single = said.single, .per_recipient = said.per_recipient, .count = said.count, .pay = {}};
  if (spending.limit && !spending.count) {
    spending.count = profile::defaults().spending.count;
    spending.count->origin = {};
  }
  if (said.pay_command) spending.pay = said.pay_command->value;
  return spending;
}

}  // namespace agentbox::policy
