#include "agentbox/store/store.hpp"

#include <sys/stat.h>

#include <fmt/format.h>

#include "chain.hpp"
#include "impl.hpp"
#include "names.hpp"

namespace agentbox::store {

using Kind = StoreError::Kind;

// ---- Impl ----

Store::Impl::Impl(const base::AbsPath& file, Access access, std::chrono::milliseconds patience)
    : database_(open_record(file, access, patience, steps())), inode_(inode()) {}

Statement& Store::Impl::statement(const std::string& sql) {
  auto found = statements_.find(sql);
  if (found == statements_.end()) found = statements_.emplace(sql, database_->prepare(sql)).first;
  return found->second;
}

Store::Impl::Inode Store::Impl::inode() const noexcept {
  struct stat info{};
  if (::lstat(database_->file().c_str(), &info) != 0) return {};
  return {info.st_dev, info.st_ino};
}

void Store::Impl::check_in_place() const {
  if (inode_ == inode()) return;
  throw StoreError(
      Kind::failed,
      fmt::format("cannot use {}: it was moved or removed while it was open", record_at(database_->file())),
      "what runs now can't be recorded any more; start it again");
}

Head Store::Impl::end() {
  // An outer join: the last row may be gone.
  Statement& query = statement(
      "SELECT head.rows, head.hash, audit.hash, (SELECT max(number) FROM audit) FROM head "
      "LEFT JOIN audit ON audit.number = head.rows");
  Rewind rewind(query);
  if (!query.step()) throw corrupt(database_->file(), "it does not say where its end is");
  Head head{.rows = query.number(0), .hash = std::string(query.text(1))};
  const std::string_view last = head.rows == 0 ? std::string_view(no_row) : query.text(2);
  if (last != head.hash || query.number(3) != head.rows) {
    throw corrupt(database_->file(), "its end is not as it was written; see `agentbox log --verify`");
  }
  return head;
}

void Store::Impl::insert(Head& head, const Event& event, std::string answer) {
  static const std::string sql =
      fmt::format("INSERT INTO audit ({}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", audit_columns);
  Row row{.number = head.rows + 1, .event = event, .answer = std::move(answer), .previous = head.hash, .hash = {}};
  row.hash = hash_of(row);
  Statement& insert = statement(sql);
  insert.bind(1, row.number).bind(2, name_of(event.what)).bind(3, number_of(event.at)).bind(4, event.session);
  insert.bind(5, event.profile).bind(6, event.question).bind(7, event.kind).bind(8, event.summary);
  insert.bind(9, event.digest).bind(10, event.verdict).bind(11, event.by).bind(12, event.detail);
  insert.bind(13, row.answer).bind(14, row.previous).bind(15, row.hash);
  insert.run();
  head = {.rows = row.number, .hash = std::move(row.hash)};
}

void Store::Impl::move_end(const Head& head) {
  Statement& move = statement("UPDATE head SET rows = ?, hash = ?");
  move.bind(1, head.rows).bind(2, head.hash).run();
  if (database_->changes() != 1) throw corrupt(database_->file(), "it does not say where its end is");
}

std::int64_t Store::Impl::add(const Event& event, std::string answer) {
  Head head = end();
  insert(head, event, std::move(answer));
  move_end(head);
  return head.rows;
}

void Store::Impl::add(std::span<const Event> events) {
  Head head = end();
  for (const Event& event : events) insert(head, event, {});
  move_end(head);
}

Row row_at(const Database& database, const Statement& statement) {
  auto text = [&](int column) { return std::string(statement.text(column)); };
  std::optional<Event::What> what = what_of(statement.text(1));
  if (!what) throw corrupt(database.file(), fmt::format("row {} is of no known sort", statement.number(0)));
  return {.number = statement.number(0),
          .event = {.what = *what,
                    .at = time_of(statement.number(2)),
                    .session = text(3),
                    .profile = text(4),
                    .question = text(5),
                    .kind = text(6),
                    .summary = text(7),
                    .digest = text(8),
                    .verdict = text(9),
                    .by = text(10),
                    .detail = text(11)},
          .answer = text(12),
          .previous = text(13),
          .hash = text(14)};
}

// ---- Store ----

Store::Store(const base::AbsPath& file, Access access, std::chrono::milliseconds patience)
    : impl_(std::make_unique<Impl>(file, access, patience)) {}
Store::~Store() = default;
void Store::set_patience(std::chrono::milliseconds patience) noexcept {
  impl_->database().set_patience(patience);
}
Store::Store(Store&&) noexcept = default;
Store& Store::operator=(Store&&) noexcept = default;

std::int64_t Store::append(const Event& event) {
  impl_->check_in_place();
  Transaction transaction(impl_->database());
  const std::int64_t number = impl_->add(event);
  transaction.commit();
  return number;
}

void Store::append(std::span<const Event> events) {
  impl_->check_in_place();
  Transaction transaction(impl_->database());
  impl_->add(events);
  transaction.commit();
}

namespace {

// Binds its values to the parameters of `sql`, which grow with it.
struct Conditions {
  std::string sql;
  std::vector<std::function<void(Statement&, int)>> values;

  template <class T>
  void add(std::string_view condition, T value) {
    sql += sql.empty() ? " WHERE " : " AND ";
    sql += condition;
    values.emplace_back([value = std::move(value)](Statement& statement, int index) { statement.bind(index, value); });
  }
  void bind(Statement& statement) const {
    int index = 0;
    for (const auto& value : values) value(statement, ++index);
  }
};

Conditions conditions_of(const Filter& filter) {
  Conditions conditions;
  if (filter.after > 0) conditions.add("number > ?", filter.after);
  if (filter.session) conditions.add("session = ?", *filter.session);
  if (filter.kind) conditions.add("kind = ?", *filter.kind);
  if (filter.verdict) conditions.add("verdict = ?", *filter.verdict);
  if (filter.since) conditions.add("at >= ?", number_of(*filter.since));
  if (filter.until) conditions.add("at < ?", number_of(*filter.until));
  return conditions;
}

}  // namespace

void Store::read(const Filter& filter, const std::function<bool(const Row&)>& each) const {
  Conditions conditions = conditions_of(filter);
  std::string sql = fmt::format("SELECT {} FROM audit{} ORDER BY number", audit_columns, conditions.sql);
  if (filter.latest > 0) sql = fmt::format("SELECT * FROM ({} DESC LIMIT {}) ORDER BY number", sql, filter.latest);
  // Not a kept one: `each` may read this Store too.
  Statement statement = impl_->database().prepare(sql);
  conditions.bind(statement);
  while (statement.step()) {
    if (!each(row_at(impl_->database(), statement))) return;
  }
}

std::optional<Damage> Store::verify() const {
  return impl_->verify();
}

Head Store::head() const {
  Statement& query = impl_->statement("SELECT rows, hash FROM head");
  Rewind rewind(query);
  if (!query.step()) throw corrupt(impl_->database().file(), "it does not say where its end is");
  return {.rows = query.number(0), .hash = std::string(query.text(1))};
}

}  // namespace agentbox::store
