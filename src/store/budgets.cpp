// What was used of each budget.

#include "budgets.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include <fmt/format.h>

#include "agentbox/policy/traffic.hpp"

namespace agentbox::store {

using policy::Balance;
using policy::Limit;
using policy::Taken;
using profile::Period;

namespace {

constexpr std::array<std::string_view, 4> periods{"session", "minute", "hour", "day"};

std::string_view name_of(Period period) {
  return periods.at(static_cast<std::size_t>(period));
}

// A word that no agentbox writes is read as what never ends by itself.
Period period_of(std::string_view name) {
  auto found = std::ranges::find(periods, name);
  return found == periods.end() ? Period::session : static_cast<Period>(found - periods.begin());
}

// What was there when this was last taken from is what `agentbox rules` shows; what the profile has dropped goes.
void keep_limits(Store::Impl& impl, const std::string& profile, const std::string& kind,
                 std::span<const Limit> limits) {
  impl.statement("DELETE FROM budget WHERE profile = ? AND kind = ?").bind(1, profile).bind(2, kind).run();
  for (const Limit& limit : limits) {
    Statement& insert = impl.statement("INSERT OR REPLACE INTO budget VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    insert.bind(1, profile).bind(2, limit.name).bind(3, limit.kind);
    insert.bind(4, limit.counts == Limit::Counts::times ? "times" : "amount");
    insert.bind(5, std::int64_t{limit.subject.empty() ? 0 : 1}).bind(6, limit.budget.text).bind(7, limit.budget.unit);
    insert.bind(8, limit.budget.amount).bind(9, name_of(limit.budget.period));
    insert.bind(10, std::int64_t{limit.budget.every.count()}).bind(11, limit.origin.file);
    insert.bind(12, std::int64_t{limit.origin.at.line}).bind(13, std::int64_t{limit.origin.at.column}).run();
  }
}

struct Kept {
  std::string profile;
  Limit limit;
  enum class For { all, each_subject } subjects = For::all;
};

std::vector<Kept> kept_limits(Store::Impl& impl) {
  Statement& query = impl.statement(
      "SELECT profile, name, kind, counts, per_subject, text, unit, amount, period, every, origin_file, origin_line, "
      "origin_column FROM budget ORDER BY profile, name = 'spending.limit' DESC, name");
  Rewind rewind(query);
  std::vector<Kept> kept;
  while (query.step()) {
    auto text = [&](int column) { return std::string(query.text(column)); };
    Kept one{.profile = text(0), .limit = {.name = text(1), .kind = text(2)}};
    one.limit.counts = query.text(3) == "times" ? Limit::Counts::times : Limit::Counts::amount;
    if (query.number(4) != 0) one.subjects = Kept::For::each_subject;
    one.limit.budget = {.text = text(5),
                        .amount = query.number(7),
                        .unit = text(6),
                        .period = period_of(query.text(8)),
                        .every = std::chrono::seconds(query.number(9))};
    one.limit.origin.file = text(10);
    one.limit.origin.at.line = static_cast<decltype(one.limit.origin.at.line)>(query.number(11));
    one.limit.origin.at.column = static_cast<decltype(one.limit.origin.at.column)>(query.number(12));
    kept.push_back(std::move(one));
  }
  return kept;
}

// Whom something counts for now, of `column`: the sessions that live, or those who got something.
std::vector<std::string> values_of(Store::Impl& impl, const Kept& kept, std::string_view column, Time since) {
  Statement& query = impl.statement(fmt::format(
      "SELECT DISTINCT {0} FROM used WHERE profile = ? AND kind = ? AND at >= ? AND {0} <> '' ORDER BY {0}", column));
  Rewind rewind(query);
  query.bind(1, kept.profile).bind(2, kept.limit.kind).bind(3, number_of(since));
  std::vector<std::string> values;
  while (query.step()) values.emplace_back(query.text(0));
  return values;
}

}  // namespace

Time latest(Store::Impl& impl, Time now) {
  Statement& query = impl.statement("SELECT latest FROM clock");
  Rewind rewind(query);
  if (!query.step()) throw corrupt(impl.database().file(), "its ledger has no time");
  return std::max(now, time_of(query.number(0)));
}

void keep_latest(Store::Impl& impl, Time time) {
  impl.statement("UPDATE clock SET latest = ?").bind(1, number_of(time)).run();
}

Balance balance_of(Store::Impl& impl, const std::string& profile, const std::string& session, const Limit& limit,
                   std::int64_t charge, Time now, const policy::Day& today) {
  const bool sum = limit.counts == Limit::Counts::amount;
  const std::optional<Time> since = policy::window_of(limit.budget, now, today);
  // Of bytes there is a row for each host and slot of time; no sum of them comes near the end of the numbers.
  const bool many = limit.kind == policy::traffic_kind;
  std::string sql = fmt::format("SELECT at, {}, state FROM used WHERE profile = ? AND kind = ? AND {}",
                                many ? (sum ? "sum(amount)" : "count(*)") : (sum ? "amount" : "1"),
                                since ? "at >= ?" : "session = ?");
  if (sum) sql += " AND unit = ?";
  if (!limit.subject.empty()) sql += " AND subject = ?";
  if (many) sql += " GROUP BY at, state";
  Statement& query = impl.statement(sql);
  Rewind rewind(query);
  query.bind(1, profile).bind(2, limit.kind);
  since ? query.bind(3, number_of(*since)) : query.bind(3, session);
  int index = 3;
  if (sum) query.bind(++index, limit.budget.unit);
  if (!limit.subject.empty()) query.bind(++index, limit.subject);
  std::vector<Taken> taken;
  while (query.step()) {
    taken.push_back({.at = time_of(query.number(0)),
                     .amount = query.number(1),
                     .state = query.text(2) == "done" ? Taken::State::done : Taken::State::reserved});
  }
  return policy::weigh(limit, charge, taken, today);
}

std::vector<Balance> balances_of(Store::Impl& impl, const Taking& taking, Time now) {
  const policy::Day today = day_of(now);
  std::vector<Balance> balances;
  for (const Limit& limit : taking.limits) {
    balances.push_back(
        balance_of(impl, taking.profile, taking.session, limit, policy::charge_of(limit, taking.use), now, today));
  }
  return balances;
}

bool all_fit(const std::vector<Balance>& balances) noexcept {
  return std::ranges::all_of(balances, [](const Balance& one) { return one.fits == Balance::Fits::yes; });
}

std::int64_t count(Store::Impl& impl, const Taking& taking, Time now, Taken::State state) {
  keep_latest(impl, now);
  keep_limits(impl, taking.profile, taking.use.kind, taking.limits);
  const policy::Use& use = taking.use;
  Statement& insert = impl.statement(
      "INSERT INTO used (profile, session, kind, subject, unit, at, amount, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
  insert.bind(1, taking.profile).bind(2, taking.session).bind(3, use.kind).bind(4, use.subject).bind(5, use.unit);
  insert.bind(6, number_of(now)).bind(7, use.amount);
  insert.bind(8, state == Taken::State::done ? "done" : "reserved").run();
  const std::int64_t id = impl.database().number("SELECT last_insert_rowid()");
  for (const std::string& name : taking.reaches) {
    Statement& reach = impl.statement("INSERT OR IGNORE INTO reached (profile, kind, name, at) VALUES (?, ?, ?, ?)");
    reach.bind(1, taking.profile).bind(2, use.kind).bind(3, name).bind(4, number_of(now)).run();
  }
  return id;
}

std::vector<std::string> Store::strangers(const Taking& taking) const {
  std::vector<std::string> strangers;
  for (const std::string& name : taking.reaches) {
    Statement& query = impl_->statement("SELECT 1 FROM reached WHERE profile = ? AND kind = ? AND name = ?");
    Rewind rewind(query);
    query.bind(1, taking.profile).bind(2, taking.use.kind).bind(3, name);
    if (!query.step()) strangers.push_back(name);
  }
  return strangers;
}

bool Store::give_back(std::int64_t use, const std::vector<std::string>& reached, std::span<const Event> events) {
  impl_->check_in_place();
  Transaction transaction(impl_->database());
  for (const std::string& name : reached) {
    impl_
        ->statement(
            "DELETE FROM reached WHERE name = ? AND (profile, kind, at) IN "
            "(SELECT profile, kind, at FROM used WHERE id = ?)")
        .bind(1, name)
        .bind(2, use)
        .run();
  }
  impl_->statement("DELETE FROM used WHERE id = ?").bind(1, use).run();
  if (!events.empty()) impl_->add(events);
  transaction.commit();
  return true;
}

Took Store::take(const Taking& taking, std::span<const Event> events) {
  impl_->check_in_place();
  Transaction transaction(impl_->database());
  const Time now = latest(*impl_, taking.now);
  Took took{.balances = balances_of(*impl_, taking, now)};
  if (taking.beyond == Taking::Beyond::refused && !all_fit(took.balances)) {
    took.how = Took::How::beyond;
    return took;
  }
  took.id = count(*impl_, taking, now, Taken::State::done);
  if (!events.empty()) impl_->add(events);
  transaction.commit();
  return took;
}

namespace {

// What ended sessions sent so long ago that no limit counts it. A week is kept for a limit that is written tomorrow.
void forget_old_uses(Store::Impl& impl, const std::string& profile, const std::string& kind,
                     std::span<const Limit> limits, Time now) {
  Time since = now - std::chrono::days(7);
  const policy::Day today = day_of(now);
  for (const Limit& limit : limits) {
    if (const auto window = policy::window_of(limit.budget, now, today)) since = std::min(since, *window);
  }
  impl.statement("DELETE FROM used WHERE profile = ? AND kind = ? AND at < ? AND session = ''")
      .bind(1, profile)
      .bind(2, kind)
      .bind(3, number_of(since))
      .run();
}

}  // namespace

void Store::add_uses(const std::string& profile, const std::string& session, std::span<const policy::Use> uses,
                     std::span<const Limit> limits, Time now) {
  if (uses.empty()) return;
  impl_->check_in_place();
  Transaction transaction(impl_->database());
  now = latest(*impl_, now);
  keep_latest(*impl_, now);
  keep_limits(*impl_, profile, uses.front().kind, limits);
  forget_old_uses(*impl_, profile, uses.front().kind, limits, now);
  constexpr std::int64_t slot = 10'000;  // milliseconds
  const std::int64_t at = (number_of(now) / slot + 1) * slot;
  for (const policy::Use& use : uses) {
    Statement& update = impl_->statement(
        "UPDATE used SET amount = amount + ? WHERE profile = ? AND session = ? AND kind = ? AND subject = ? AND "
        "unit = ? AND at = ? AND state = 'done'");
    update.bind(1, use.amount).bind(2, profile).bind(3, session).bind(4, use.kind).bind(5, use.subject);
    update.bind(6, use.unit).bind(7, at).run();
    if (impl_->database().number("SELECT changes()") != 0) continue;
    Statement& insert = impl_->statement(
        "INSERT INTO used (profile, session, kind, subject, unit, at, amount, state) VALUES (?, ?, ?, ?, ?, ?, ?, "
        "'done')");
    insert.bind(1, profile).bind(2, session).bind(3, use.kind).bind(4, use.subject).bind(5, use.unit);
    insert.bind(6, at).bind(7, use.amount).run();
  }
  transaction.commit();
}

std::vector<Balance> Store::balances(const Taking& taking) const {
  return balances_of(*impl_, taking, latest(*impl_, taking.now));
}

std::vector<BudgetState> Store::budgets(Time now) const {
  now = latest(*impl_, now);
  const policy::Day today = day_of(now);
  std::vector<BudgetState> states;
  for (Kept& kept : kept_limits(*impl_)) {
    const std::optional<Time> since = policy::window_of(kept.limit.budget, now, today);
    std::vector<std::string> sessions{""}, subjects{""};
    if (!since) sessions = values_of(*impl_, kept, "session", Time());
    if (kept.subjects == Kept::For::each_subject) subjects = values_of(*impl_, kept, "subject", since.value_or(Time()));
    for (const std::string& session : sessions) {
      for (const std::string& subject : subjects) {
        kept.limit.subject = subject;
        policy::Balance balance = balance_of(*impl_, kept.profile, session, kept.limit, 0, now, today);
        // There may be thousands of hosts that got a few bytes.
        const bool hardly = balance.used < balance.limit.budget.amount / 10;
        if (hardly && kept.limit.kind == policy::traffic_kind && !subject.empty()) continue;
        states.push_back({kept.profile, session, std::move(balance)});
      }
    }
  }
  return states;
}

Time Store::ledger_time() const {
  return latest(*impl_, Time());
}

void Store::set_ledger_time(const Event& event) {
  impl_->check_in_place();
  Transaction transaction(impl_->database());
  impl_->statement("UPDATE used SET at = ? WHERE at > ?")
      .bind(1, number_of(event.at))
      .bind(2, number_of(event.at))
      .run();
  keep_latest(*impl_, event.at);
  impl_->add(std::span(&event, 1));
  transaction.commit();
}

}  // namespace agentbox::store
