// Payments: reserved before anything is done, settled or released afterwards, each in one transaction.

#include "agentbox/store/ledger.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include <fmt/format.h>

#include "budgets.hpp"

namespace agentbox::store {

using State = Payment::State;

namespace {

constexpr std::array<std::string_view, 4> states{"reserved", "unknown", "paid", "not_paid"};
constexpr std::string_view columns =
    "id, profile, session, question, key, amount, currency, recipient, memo, state, reserved, ended, note";

Payment payment_at(const Database& database, const Statement& query) {
  auto text = [&](int column) { return std::string(query.text(column)); };
  Payment payment{.id = query.number(0),
                  .profile = text(1),
                  .session = text(2),
                  .question = text(3),
                  .key = text(4),
                  .amount = query.number(5),
                  .currency = text(6),
                  .to = text(7),
                  .memo = text(8),
                  .state = {},
                  .reserved = time_of(query.number(10)),
                  .ended = {},
                  .note = text(12)};
  auto state = std::ranges::find(states, query.text(9));
  if (state == states.end()) throw corrupt(database.file(), fmt::format("payment {} is in no known state", payment.id));
  payment.state = static_cast<State>(state - states.begin());
  if (auto ended = query.maybe_number(11)) payment.ended = time_of(*ended);
  return payment;
}

std::optional<Payment> one_of(Store::Impl& impl, Statement& query) {
  Rewind rewind(query);
  return query.step() ? std::optional(payment_at(impl.database(), query)) : std::nullopt;
}

// One that was not paid leaves its key free.
std::optional<Payment> of_key(Store::Impl& impl, std::string_view profile, std::string_view key) {
  Statement& query = impl.statement(
      fmt::format("SELECT {} FROM payment WHERE profile = ? AND key = ? AND state <> 'not_paid'", columns));
  return one_of(impl, query.bind(1, profile).bind(2, key));
}

std::optional<Payment> of_id(Store::Impl& impl, std::int64_t id) {
  return one_of(impl, impl.statement(fmt::format("SELECT {} FROM payment WHERE id = ?", columns)).bind(1, id));
}

std::int64_t insert(Store::Impl& impl, const Taking& taking, const Payment& payment, Time now, std::int64_t use) {
  Statement& statement = impl.statement(
      "INSERT INTO payment (use, profile, session, question, key, amount, currency, recipient, memo, state, reserved, "
      "note) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'reserved', ?, '')");
  statement.bind(1, use).bind(2, taking.profile).bind(3, taking.session).bind(4, payment.question);
  statement.bind(5, payment.key).bind(6, payment.amount).bind(7, payment.currency).bind(8, payment.to);
  statement.bind(9, payment.memo).bind(10, number_of(now)).run();
  return impl.database().number("SELECT last_insert_rowid()");
}

State state_after(Ending ending) {
  switch (ending) {
    case Ending::paid: return State::paid;
    case Ending::not_paid:
    case Ending::not_started: return State::not_paid;
    case Ending::unknown: break;
  }
  return State::unknown;
}

constexpr std::string_view its_use = "(SELECT use FROM payment WHERE payment.id = ?)";

void settle_use(Store::Impl& impl, std::int64_t payment, Ending ending) {
  switch (ending) {
    case Ending::paid:
      impl.statement(fmt::format("UPDATE used SET state = 'done' WHERE id = {}", its_use)).bind(1, payment).run();
      break;
    case Ending::not_paid:
      impl.statement(fmt::format("UPDATE used SET state = 'done', amount = 0 WHERE id = {}", its_use))
          .bind(1, payment)
          .run();
      break;
    case Ending::not_started: {
      const std::optional<std::int64_t> use = [&] {
        Statement& query = impl.statement("SELECT use FROM payment WHERE id = ?");
        Rewind rewind(query);
        return query.bind(1, payment).step() ? query.maybe_number(0) : std::nullopt;
      }();
      impl.statement("UPDATE payment SET use = NULL WHERE id = ?").bind(1, payment).run();
      if (use) impl.statement("DELETE FROM used WHERE id = ?").bind(1, *use).run();
      break;
    }
    case Ending::unknown: break;
  }
}

}  // namespace

std::string_view name_of(State state) noexcept {
  return states[static_cast<std::size_t>(state)];
}

bool is_same(const Payment& one, const Payment& other) noexcept {
  return one.key == other.key && one.amount == other.amount && one.currency == other.currency && one.to == other.to &&
         one.memo == other.memo;
}

Took Store::reserve(const Taking& taking, const Payment& payment, std::span<const Event> events) {
  impl_->check_in_place();
  Transaction transaction(impl_->database());
  Took took;
  took.known = of_key(*impl_, taking.profile, payment.key);
  if (took.known) {
    took.how = Took::How::known;
    return took;
  }
  const Time now = latest(*impl_, taking.now);
  took.balances = balances_of(*impl_, taking, now);
  if (taking.beyond == Taking::Beyond::refused && !all_fit(took.balances)) {
    took.how = Took::How::beyond;
    return took;
  }
  const std::int64_t use = count(*impl_, taking, now, policy::Taken::State::reserved);
  took.id = insert(*impl_, taking, payment, now, use);
  if (!events.empty()) impl_->add(events);
  transaction.commit();
  return took;
}

bool Store::end_payment(std::int64_t id, Ending ending, std::string_view note, std::span<const Event> events,
                        Time now) {
  impl_->check_in_place();
  Transaction transaction(impl_->database());
  const Time at = latest(*impl_, now);
  impl_
      ->statement("UPDATE payment SET state = ?, ended = ?, note = ? WHERE id = ? AND state IN ('reserved', 'unknown')")
      .bind(1, name_of(state_after(ending)))
      .bind(2, number_of(at))
      .bind(3, note)
      .bind(4, id)
      .run();
  if (impl_->database().changes() != 1) return false;
  settle_use(*impl_, id, ending);
  if (!events.empty()) impl_->add(events);
  transaction.commit();
  return true;
}

std::vector<Payment> Store::payments(std::optional<Time> since, std::optional<Time> until) const {
  Statement& query = impl_->statement(
      fmt::format("SELECT {} FROM payment WHERE state IN ('reserved', 'unknown') OR (reserved >= ? AND reserved < ?) "
                  "ORDER BY id DESC",
                  columns));
  Rewind rewind(query);
  query.bind(1, since ? number_of(*since) : std::numeric_limits<std::int64_t>::min());
  query.bind(2, until ? number_of(*until) : std::numeric_limits<std::int64_t>::max());
  std::vector<Payment> found;
  while (query.step()) found.push_back(payment_at(impl_->database(), query));
  return found;
}

std::optional<Payment> Store::payment(std::int64_t id) const {
  return of_id(*impl_, id);
}

std::optional<Payment> Store::payment_of(std::string_view profile, std::string_view key) const {
  return of_key(*impl_, profile, key);
}

}  // namespace agentbox::store
