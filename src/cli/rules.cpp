#include <algorithm>
#include <charconv>
#include <cstdio>
#include <optional>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"
#include "agentbox/store/store.hpp"

#include "budget_view.hpp"
#include "moment.hpp"
#include "options.hpp"
#include "record.hpp"
#include "record_json.hpp"
#include "record_table.hpp"
#include "report.hpp"
#include "streams.hpp"

namespace agentbox::cli {

namespace {

using store::Remembered;
using store::Store;

void print(const std::vector<Remembered>& answers, const RulesOptions& options, const Terminal& terminal) {
  const Shown shown = options.all ? Shown::all : Shown::holding;
  Table table(rule_heads(shown), terminal.out, terminal_width());
  std::vector<std::vector<Cell>> rows;
  for (const Remembered& answer : answers) rows.push_back(rule_cells(answer, now(), shown));
  fmt::print("{}", table.lines(rows));
}

void print(const std::vector<store::BudgetState>& budgets, const Terminal& terminal, const char* before) {
  if (budgets.empty()) return;
  Table table(budget_heads(), terminal.out, terminal_width());
  std::vector<std::vector<Cell>> rows;
  for (const store::BudgetState& state : budgets) rows.push_back(budget_cells(state));
  fmt::print("{}{}", before, table.lines(rows));
}

int list(const RulesOptions& options, const Terminal& terminal) {
  std::optional<Store> record = open_record(Store::Access::read);
  std::vector<Remembered> answers;
  if (record) answers = record->all_remembered();
  if (!options.all) std::erase_if(answers, [](const Remembered& answer) { return !store::holds_at(answer, now()); });
  if (options.json) {
    fmt::print("{}\n", json_of(answers, now()));
    return 0;
  }
  const std::vector<store::BudgetState> budgets = record ? record->budgets(now()) : std::vector<store::BudgetState>();
  if (answers.empty()) std::fputs("no answer is remembered\n", stderr);
  if (!answers.empty()) print(answers, options, terminal);
  print(budgets, terminal, answers.empty() ? "" : "\n");
  return 0;
}
store::Event revocation_of(const Remembered& answer) {
  return {.what = store::Event::What::rule_revoked,
          .at = now(),
          .session = answer.session,
          .profile = answer.profile,
          .question = {},
          .kind = answer.kind,
          .summary = answer.shown,
          .digest = {},
          .verdict = {},
          .by = "human",
          .detail = fmt::format(R"({{"id":{}}})", answer.id)};
}

base::Diagnostic no_such(const std::string& id) {
  return {.message = fmt::format("no answer {} is remembered", base::quote(id)),
          .hint = "`agentbox rules` lists them, with --all also those that ended"};
}

// Each for itself: an id that is wrong does not keep the others from being taken back.
int revoke(const RulesOptions& options, const Terminal& terminal) {
  std::optional<Store> record = open_record(Store::Access::write);
  std::vector<Remembered> answers;
  if (record) answers = record->all_remembered();
  base::Diagnostics problems;
  for (const std::string& text : options.ids) {
    std::int64_t id = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
    const bool number = error == std::errc{} && end == text.data() + text.size();
    auto found = std::ranges::find(answers, id, &Remembered::id);
    if (!number || found == answers.end()) {
      problems.push_back(no_such(text));
    } else if (!record->revoke(id, revocation_of(*found))) {
      problems.push_back({.message = fmt::format("the answer {} was revoked already", id), .hint = {}});
    } else {
      fmt::print("revoked {}: {}\n", id, harmless(found->shown));
    }
  }
  return problems.empty() ? 0 : refuse(problems, terminal, base::ExitCode::failed);
}

}  // namespace

int rules(const RulesOptions& options, const Terminal& terminal) {
  return options.action == "revoke" ? revoke(options, terminal) : list(options, terminal);
}

}  // namespace agentbox::cli
