#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"

#include "chain.hpp"
#include "impl.hpp"

namespace agentbox::store {

namespace {

// One read of all tables as they are at one moment.
class Snapshot {
 public:
  explicit Snapshot(Database& database) : database_(database) { database_.execute("BEGIN"); }
  ~Snapshot() {
    try {
      if (database_.in_transaction()) database_.execute("ROLLBACK");
    } catch (const StoreError&) {  // NOLINT(bugprone-empty-catch): it only read
    }
  }
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;

 private:
  Database& database_;
};

// Of this many rows that were deleted one may stand elsewhere, and is still found there.
constexpr std::int64_t most_missing = 10'000;

class Walk {
 public:
  Walk(Database& database, Head head) : database_(database), head_(std::move(head)) {}

  std::optional<Damage> rows();
  std::optional<Damage> answers();

 private:
  std::optional<Damage> judge(const Row& row);
  Damage changed(const Row& row) const;
  std::optional<Damage> end() const;

  Database& database_;
  Head head_;
  Head reached_{.rows = 0, .hash = no_row};
  std::unordered_map<std::int64_t, std::string> added_;  // row → the hash of the answer that it added
  std::unordered_set<std::string> revoked_;              // hashes of answers that were taken back
};

Damage damage(std::int64_t number, std::string what) {
  return {.number = number, .what = std::move(what)};
}

// A row that was moved is whole under another number.
Damage Walk::changed(const Row& row) const {
  const base::Sha256 hash = hash_but_number(row);
  // Not as many as the head says: that may have been changed, too, to any number.
  const std::int64_t last = std::min(head_.rows, database_.number("SELECT count(*) FROM audit") + most_missing);
  for (std::int64_t other = 1; other <= last; ++other) {
    if (finish(hash, other) == row.hash) {
      return damage(row.number, fmt::format("row {} stands where row {} was", other, row.number));
    }
  }
  return damage(row.number, fmt::format("row {} was changed", row.number));
}

std::optional<Damage> Walk::judge(const Row& row) {
  const std::int64_t expected = reached_.rows + 1;
  if (row.number < expected) return damage(row.number, fmt::format("row {} was added", row.number));
  if (row.number > expected && expected <= head_.rows) {
    return damage(expected, fmt::format("row {} is missing", expected));
  }
  if (row.number > head_.rows) return damage(row.number, fmt::format("row {} was added", row.number));
  if (hash_of(row) != row.hash) return changed(row);
  if (row.previous != reached_.hash) {
    return damage(row.number, fmt::format("row {} does not follow on what is before it", row.number));
  }
  reached_ = {.rows = row.number, .hash = row.hash};
  if (row.event.what == Event::What::rule_added) added_[row.number] = row.answer;
  if (row.event.what == Event::What::rule_revoked) revoked_.insert(row.answer);
  return std::nullopt;
}

std::optional<Damage> Walk::end() const {
  const std::int64_t first = reached_.rows + 1;
  if (first == head_.rows) return damage(first, fmt::format("row {} at the end is missing", first));
  if (first < head_.rows) {
    return damage(first, fmt::format("rows {} to {} at the end are missing", first, head_.rows));
  }
  if (reached_.hash != head_.hash) return damage(head_.rows, "the end of the record was changed");
  return std::nullopt;
}

std::optional<Damage> Walk::rows() {
  Statement all = database_.prepare(fmt::format("SELECT {} FROM audit ORDER BY number", audit_columns));
  while (all.step()) {
    std::optional<Damage> found;
    try {
      found = judge(row_at(database_, all));
    } catch (const StoreError& error) {
      if (error.kind() != StoreError::Kind::corrupt) throw;
      found = damage(all.number(0), fmt::format("row {} was changed", all.number(0)));
    }
    if (found) return found;
  }
  return end();
}

std::optional<Damage> Walk::answers() {
  Statement all = database_.prepare(fmt::format("SELECT {} FROM remembered ORDER BY id", remembered_columns));
  while (all.step()) {
    Remembered answer = answer_at(all);
    const std::int64_t row = all.number(added_column);
    const std::string hash = hash_of(answer);
    auto recorded = added_.find(row);
    if (recorded == added_.end() || recorded->second != hash || answer.revoked.has_value() != revoked_.contains(hash)) {
      return damage(row, fmt::format("the answer {} is not as row {} recorded it", answer.id, row));
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<Damage> Store::Impl::verify() {
  Snapshot snapshot(*database_);
  // First the file itself: an index that was tampered with would hide rows from `read`.
  if (std::string found = database_->text("PRAGMA integrity_check(1)"); found != "ok") {
    throw corrupt(database_->file(), base::escape(found));
  }
  Head head;
  {
    Statement query = database_->prepare("SELECT rows, hash FROM head");
    if (!query.step()) return damage(0, "the end of the record was changed");
    head = {.rows = query.number(0), .hash = std::string(query.text(1))};
  }
  Walk walk(*database_, std::move(head));
  if (std::optional<Damage> found = walk.rows()) return found;
  return walk.answers();
}

}  // namespace agentbox::store
