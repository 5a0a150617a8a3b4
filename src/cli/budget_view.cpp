#include "budget_view.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "agentbox/base/escape.hpp"

#include "moment.hpp"

namespace agentbox::cli {

namespace {

using Json = nlohmann::ordered_json;
using store::Payment;

std::string place_of(const profile::Origin& origin) {
  if (origin.file.empty()) return "default";
  return origin.at.line == 0 ? base::escape(origin.file)
                             : fmt::format("{}:{}", base::escape(origin.file), origin.at.line);
}

Json text(const std::string& raw) {
  return base::escape(raw);
}

std::string dump(const Json& json, const std::string& indent) {
  std::string lines = json.dump(2, ' ', true), out;
  for (char c : lines) {
    out += c;
    if (c == '\n') out += indent;
  }
  return out;
}

std::string amount_of(const Payment& payment) {
  return policy::amount_in_words(payment.amount, payment.currency);
}

}  // namespace

std::vector<std::string> budget_heads() {
  return {"PROFILE", "BUDGET", "FOR", "FROM", "HOW IT STANDS"};
}

std::vector<Cell> budget_cells(const store::BudgetState& state) {
  const policy::Balance& balance = state.balance;
  std::string whom = !balance.limit.subject.empty() ? harmless(base::escape(balance.limit.subject))
                     : state.session.empty()        ? "all"
                                                    : harmless(base::escape(state.session));
  return {{harmless(base::escape(state.profile)), Tint::strong},
          {fmt::format("{} {}", balance.limit.name, balance.limit.budget.text)},
          {std::move(whom)},
          {place_of(balance.limit.origin), Tint::faint},
          {policy::in_words(balance), balance.left() == 0 ? Tint::warn : Tint::none}};
}

std::string json_of(const std::vector<store::BudgetState>& states, const std::string& indent) {
  Json list = Json::array();
  for (const store::BudgetState& state : states) {
    const policy::Balance& balance = state.balance;
    list.push_back({{"profile", text(state.profile)},
                    {"name", balance.limit.name},
                    {"budget", balance.limit.budget.text},
                    {"kind", balance.limit.kind},
                    {"session", state.session.empty() ? Json(nullptr) : text(state.session)},
                    {"subject", balance.limit.subject.empty() ? Json(nullptr) : text(balance.limit.subject)},
                    {"unit", balance.limit.budget.unit},
                    {"limit", balance.limit.budget.amount},
                    {"used", balance.used},
                    {"reserved", balance.reserved},
                    {"left", balance.left()},
                    {"file", text(balance.limit.origin.file)},
                    {"line", balance.limit.origin.at.line}});
  }
  return dump(list, indent);
}

bool needs_owner(const Payment& payment, const std::vector<std::string>& running) {
  if (payment.state == Payment::State::unknown) return true;
  return payment.state == Payment::State::reserved && std::ranges::find(running, payment.session) == running.end();
}

std::vector<std::string> payment_heads() {
  return {"ID", "WHEN", "PROFILE", "SESSION", "STATE", "AMOUNT", "KEY", "TO"};
}

std::vector<Cell> payment_cells(const Payment& payment, const std::vector<std::string>& running) {
  Cell state{"paid", Tint::good};
  if (payment.state == Payment::State::not_paid) state = {"not paid", Tint::faint};
  if (payment.state == Payment::State::reserved) state = {"being paid", Tint::warn};
  if (needs_owner(payment, running)) {
    state = {payment.state == Payment::State::unknown ? "unknown" : "interrupted", Tint::bad};
  }
  std::string rest = base::escape(payment.to);
  if (!payment.memo.empty()) rest += "; " + base::escape(payment.memo);
  if (!payment.note.empty() && payment.state != Payment::State::paid) rest += " (" + harmless(payment.note) + ")";
  return {{std::to_string(payment.id), Tint::strong},
          {local_second(payment.reserved), Tint::faint},
          {harmless(base::escape(payment.profile))},
          {harmless(base::escape(payment.session))},
          std::move(state),
          {amount_of(payment)},
          {base::escape(payment.key), Tint::faint},
          {std::move(rest)}};
}

std::string json_of(const std::vector<Payment>& payments, const std::string& indent) {
  Json list = Json::array();
  for (const Payment& payment : payments) {
    list.push_back({{"id", payment.id},
                    {"profile", text(payment.profile)},
                    {"session", text(payment.session)},
                    {"question", text(payment.question)},
                    {"key", text(payment.key)},
                    {"state", store::name_of(payment.state)},
                    {"amount", payment.amount},
                    {"currency", text(payment.currency)},
                    {"shown", amount_of(payment)},
                    {"to", text(payment.to)},
                    {"memo", text(payment.memo)},
                    {"reserved", rfc3339(payment.reserved)},
                    {"ended", payment.ended ? Json(rfc3339(*payment.ended)) : Json(nullptr)},
                    {"note", payment.note}});
  }
  return dump(list, indent);
}

}  // namespace agentbox::cli
