// `agentbox ledger`: what was paid, what is reserved, what is left; and what became of the payments that nobody knows.

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <optional>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"
#include "agentbox/launch/sessions.hpp"
#include "agentbox/store/store.hpp"

#include "budget_view.hpp"
#include "moment.hpp"
#include "options.hpp"
#include "record.hpp"
#include "report.hpp"
#include "streams.hpp"

namespace agentbox::cli {

namespace {

using store::Payment;
using store::Store;
using store::Time;

std::vector<std::string> running_sessions() {
  std::vector<std::string> ids;
  for (const launch::SessionInfo& session : launch::list_sessions()) ids.push_back(session.id);
  return ids;
}

base::Diagnostic no_time(const char* option, const std::string& text) {
  return {.message = fmt::format("{} takes a time, not '{}'", option, base::escape(text)),
          .hint = "for example today, yesterday, 7d, 2026-11-22 or 2026-11-22T14:30:05Z"};
}

struct Range {
  std::optional<Time> since, until;
};

// Today, by the ledger's own time, unless something else is said.
base::Result<Range> range_of(const LedgerOptions& options, Time moment) {
  Range range;
  base::Diagnostics problems;
  auto read = [&](const std::string& text, const char* option, std::optional<Time>& to) {
    if (text.empty()) return;
    to = parse_moment(text, now());
    if (!to) problems.push_back(no_time(option, text));
  };
  read(options.since, "--since", range.since);
  read(options.until, "--until", range.until);
  if (!problems.empty()) return std::unexpected(std::move(problems));
  if (options.since.empty() && options.until.empty() && !options.all) range.since = store::day_of(moment).begins;
  return range;
}

void print_json(const std::vector<store::BudgetState>& budgets, const std::vector<Payment>& payments,
                const policy::Day& day, Time moment) {
  fmt::print("{{\n  \"now\": \"{}\",\n  \"day\": {{\"begins\": \"{}\", \"ends\": \"{}\", \"zone\": \"{}\"}},\n",
             rfc3339(moment), rfc3339(day.begins), rfc3339(day.ends), base::escape(zone_of(moment)));
  fmt::print("  \"budgets\": {},\n  \"payments\": {}\n}}\n", json_of(budgets, "  "), json_of(payments, "  "));
}

void print_text(const std::vector<store::BudgetState>& budgets, const std::vector<Payment>& payments,
                const policy::Day& day, Time moment, const Terminal& terminal) {
  const std::vector<std::string> running = running_sessions();
  std::string out = fmt::format("today is {} to {}\n", store::local_text(day.begins), store::local_text(day.ends));
  if (moment > now() + std::chrono::minutes(1)) {
    out += fmt::format(
        "the clock says {}, and the ledger has seen {}: no new day begins before that; if that was wrong, `agentbox "
        "ledger clock`\n",
        store::local_text(now()), store::local_text(moment));
  }
  if (!budgets.empty()) {
    Table table(budget_heads(), terminal.out, terminal_width());
    std::vector<std::vector<Cell>> rows;
    for (const store::BudgetState& state : budgets) {
      if (state.balance.limit.kind == "payment") rows.push_back(budget_cells(state));
    }
    out += "\n" + table.lines(rows);
  }
  if (!payments.empty()) {
    Table table(payment_heads(), terminal.out, terminal_width());
    std::vector<std::vector<Cell>> rows;
    for (const Payment& payment : payments) rows.push_back(payment_cells(payment, running));
    out += "\n" + table.lines(rows);
  }
  fmt::print("{}", out);
  const auto open = std::ranges::count_if(payments, [&](const Payment& one) { return needs_owner(one, running); });
  if (open == 0) return;
  fmt::print(
      "\n{} {} reserved until you say what became of {}: look at your account, then `agentbox ledger settle ID "
      "--paid` or `--not-paid`\n",
      open, open == 1 ? "payment stays" : "payments stay", open == 1 ? "it" : "them");
}

int list(const LedgerOptions& options, const Terminal& terminal) {
  std::optional<Store> record = open_record(Store::Access::read);
  const Time moment = record ? std::max(now(), record->ledger_time()) : now();
  base::Result<Range> range = range_of(options, moment);
  if (!range) return refuse(range.error(), terminal, base::ExitCode::usage);
  const policy::Day day = store::day_of(moment);
  std::vector<store::BudgetState> budgets;
  std::vector<Payment> payments;
  if (record) {
    budgets = record->budgets(now());
    payments = record->payments(range->since, range->until);
  }
  if (options.json) {
    print_json(budgets, payments, day, moment);
    return 0;
  }
  if (budgets.empty() && payments.empty()) {
    std::fputs("nothing was paid yet\n", stderr);
    return 0;
  }
  print_text(budgets, payments, day, moment, terminal);
  if (payments.empty()) std::fputs("no payment in that time\n", stderr);
  return 0;
}

store::Event event_of(const Payment& payment, bool paid) {
  return {.what = store::Event::What::outcome,
          .at = now(),
          .session = payment.session,
          .profile = payment.profile,
          .question = payment.question,
          .kind = "payment",
          .summary = fmt::format("{} to {}", policy::amount_in_words(payment.amount, payment.currency),
                                 base::escape(payment.to)),
          .digest = {},
          .verdict = {},
          .by = "human",
          .detail = fmt::format(R"({{"outcome":"{}: the owner says so","payment":{}}})", paid ? "paid" : "not paid",
                                payment.id)};
}

int settle(const LedgerOptions& options, const Terminal& terminal) {
  std::optional<Store> record = open_record(Store::Access::write);
  std::int64_t id = 0;
  const std::string& text = options.id;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  const bool number = error == std::errc{} && end == text.data() + text.size();
  std::optional<Payment> payment;
  if (record && number) payment = record->payment(id);
  auto fail = [&](std::string message, std::string hint) {
    return refuse({{.message = std::move(message), .hint = std::move(hint)}}, terminal, base::ExitCode::failed);
  };
  if (!payment) return fail(fmt::format("there is no payment {}", base::quote(text)), "`agentbox ledger` lists them");
  if (payment->state == Payment::State::reserved && !needs_owner(*payment, running_sessions())) {
    return fail(fmt::format("payment {} is being made by the session {}", id, base::escape(payment->session)),
                "wait until it has ended, or end the session: `agentbox stop`");
  }
  const store::Ending ending = options.paid ? store::Ending::paid : store::Ending::not_paid;
  const store::Event event = event_of(*payment, options.paid);
  if (!record->end_payment(id, ending, "the owner says so", std::span(&event, 1), now())) {
    return fail(fmt::format("payment {} is settled already: {}", id, store::name_of(record->payment(id)->state)), {});
  }
  fmt::print("payment {} is settled: {}, {}\n", id, options.paid ? "paid" : "not paid", event.summary);
  return 0;
}

int take_back_clock(const Terminal& terminal) {
  std::optional<Store> record = open_record(Store::Access::write);
  const Time before = record ? record->ledger_time() : Time();
  if (before <= now()) {
    return refuse({{.message = "the ledger's time is not ahead of the clock", .hint = {}}}, terminal,
                  base::ExitCode::failed);
  }
  store::Event event{.what = store::Event::What::outcome, .at = now()};
  event.kind = "payment";
  event.by = "human";
  event.summary = fmt::format("the ledger's time goes back from {}", store::local_text(before));
  record->set_ledger_time(event);
  fmt::print("{}; what was used after now counts as used now\n", event.summary);
  return 0;
}

}  // namespace

int ledger(const LedgerOptions& options, const Terminal& terminal) {
  if (options.action == "settle") return settle(options, terminal);
  if (options.action == "clock") return take_back_clock(terminal);
  return list(options, terminal);
}

}  // namespace agentbox::cli
