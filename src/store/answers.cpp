// The answers that are remembered.

#include <fmt/format.h>

#include "chain.hpp"
#include "impl.hpp"
#include "names.hpp"

namespace agentbox::store {

using Kind = StoreError::Kind;

namespace {

// What `holds_at` says of a row; the parameter is now.
constexpr std::string_view holds = "revoked IS NULL AND (expires IS NULL OR (created <= ? AND expires > ?))";

std::optional<std::int64_t> number_of(std::optional<Time> time) {
  return time ? std::optional(store::number_of(*time)) : std::nullopt;
}

std::optional<Time> time_of(std::optional<std::int64_t> number) {
  return number ? std::optional(store::time_of(*number)) : std::nullopt;
}

}  // namespace

bool holds_at(const Remembered& answer, Time now) noexcept {
  return !answer.revoked && (!answer.expires || (answer.created <= now && *answer.expires > now));
}

// A word that is neither can only be read as the narrower one.
Remembered answer_at(const Statement& statement) {
  auto text = [&](int column) { return std::string(statement.text(column)); };
  return {.id = statement.number(0),
          .profile = text(1),
          .session = text(2),
          .kind = text(3),
          .verdict = statement.text(4) == "allow" ? Remembered::Verdict::allow : Remembered::Verdict::deny,
          .breadth = statement.text(5) == "pattern" ? Remembered::Breadth::pattern : Remembered::Breadth::exact,
          .rule = text(6),
          .shown = text(7),
          .created = time_of(statement.number(8)),
          .expires = time_of(statement.maybe_number(9)),
          .revoked = time_of(statement.maybe_number(10)),
          .used = statement.number(11),
          .last_used = time_of(statement.maybe_number(12))};
}

std::int64_t Store::remember(const Remembered& answer, const Event& event) {
  impl_->check_in_place();
  Transaction transaction(impl_->database());
  Remembered stored = answer;
  // The id is part of what the row vouches for. It grows also past those that are gone.
  stored.id = impl_->database().number("SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name='remembered'");
  const std::int64_t row = impl_->add(event, hash_of(stored));
  Statement& insert = impl_->statement(
      "INSERT INTO remembered (id, profile, session, kind, verdict, breadth, rule, shown, created, expires, added) "
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  insert.bind(1, stored.id).bind(2, stored.profile).bind(3, stored.session).bind(4, stored.kind);
  insert.bind(5, name_of(stored.verdict)).bind(6, name_of(stored.breadth)).bind(7, stored.rule).bind(8, stored.shown);
  insert.bind(9, store::number_of(stored.created)).bind(10, number_of(stored.expires)).bind(11, row).run();
  transaction.commit();
  return stored.id;
}

bool Store::revoke(std::int64_t id, const Event& event) {
  impl_->check_in_place();
  Transaction transaction(impl_->database());
  Remembered answer;
  {
    Statement& query =
        impl_->statement(fmt::format("SELECT {} FROM remembered WHERE id = ? AND revoked IS NULL", remembered_columns));
    Rewind rewind(query);
    if (!query.bind(1, id).step()) return false;
    answer = answer_at(query);
  }
  impl_->add(event, hash_of(answer));
  impl_->statement("UPDATE remembered SET revoked = ? WHERE id = ?")
      .bind(1, store::number_of(event.at))
      .bind(2, id)
      .run();
  transaction.commit();
  return true;
}

std::vector<Remembered> Store::remembered(const std::optional<std::string>& profile,
                                          const std::optional<std::string>& session,
                                          const std::optional<std::string>& kind, Time now) const {
  std::string sql = fmt::format("SELECT {} FROM remembered WHERE {}", remembered_columns, holds);
  if (profile) sql += " AND profile = ?";
  if (kind) sql += " AND kind = ?";
  if (session) sql += " AND session IN ('', ?)";
  Statement& query = impl_->statement(sql + " ORDER BY verdict = 'deny' DESC, id DESC");
  Rewind rewind(query);
  query.bind(1, store::number_of(now)).bind(2, store::number_of(now));
  int index = 2;
  for (const auto& wanted : {profile, kind, session}) {
    if (wanted) query.bind(++index, *wanted);
  }
  std::vector<Remembered> found;
  while (query.step()) found.push_back(answer_at(query));
  return found;
}

std::vector<Remembered> Store::all_remembered() const {
  Statement& query = impl_->statement(fmt::format("SELECT {} FROM remembered ORDER BY id", remembered_columns));
  Rewind rewind(query);
  std::vector<Remembered> found;
  while (query.step()) found.push_back(answer_at(query));
  return found;
}

void Store::count_use(std::int64_t id, Time now) {
  impl_->check_in_place();
  impl_->statement("UPDATE remembered SET used = used + 1, last_used = ? WHERE id = ?")
      .bind(1, store::number_of(now))
      .bind(2, id)
      .run();
  if (impl_->database().changes() != 1) {
    throw StoreError(Kind::failed, fmt::format("there is no remembered answer {}", id));
  }
}

bool Store::append_and_count(std::span<const Event> events, std::int64_t used, Time now) {
  impl_->check_in_place();
  Transaction transaction(impl_->database());
  impl_->statement(fmt::format("UPDATE remembered SET used = used + 1, last_used = ? WHERE id = ? AND {}", holds))
      .bind(1, store::number_of(now))
      .bind(2, used)
      .bind(3, store::number_of(now))
      .bind(4, store::number_of(now))
      .run();
  if (impl_->database().changes() != 1) return false;
  impl_->add(events);
  transaction.commit();
  return true;
}

void Store::forget_session(std::string_view session) {
  if (session.empty()) return;  // that would be all that is remembered for always
  impl_->check_in_place();
  Transaction transaction(impl_->database());
  impl_->statement("DELETE FROM remembered WHERE session = ?").bind(1, session).run();
  impl_->statement("UPDATE used SET session = '' WHERE session = ?").bind(1, session).run();
  transaction.commit();
}

}  // namespace agentbox::store
