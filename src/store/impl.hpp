#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "agentbox/store/store.hpp"

#include "opening.hpp"

namespace agentbox::store {

class Store::Impl {
 public:
  Impl(const base::AbsPath& file, Access access, std::chrono::milliseconds patience);

  [[nodiscard]] Database& database() const noexcept { return *database_; }
  // Prepared once for each text.
  [[nodiscard]] Statement& statement(const std::string& sql);

  // The next rows. Within a transaction; they throw StoreError (corrupt) where the end is not as it was written: a row
  // that follows on a broken end would hide the break.
  std::int64_t add(const Event& event, std::string answer = {});  // its number
  void add(std::span<const Event> events);
  [[nodiscard]] Head end();

  // A record that was moved or removed while it is open would take rows that nobody ever reads.
  void check_in_place() const;

  [[nodiscard]] std::optional<Damage> verify();

 private:
  // Behind `head`, which then is where the next one goes.
  void insert(Head& head, const Event& event, std::string answer);
  void move_end(const Head& head);

  struct Inode {
    std::uint64_t device = 0, number = 0;
    friend bool operator==(const Inode&, const Inode&) = default;
  };
  [[nodiscard]] Inode inode() const noexcept;

  std::unique_ptr<Database> database_;
  Inode inode_;
  std::map<std::string, Statement, std::less<>> statements_;  // must go before the database
};

// Every column of `audit`, in the order that row_at reads.
inline constexpr std::string_view audit_columns =
    "number, what, at, session, profile, question, kind, summary, digest, verdict, by, detail, answer, previous, hash";
// Throws StoreError (corrupt) for a word that no agentbox writes.
[[nodiscard]] Row row_at(const Database& database, const Statement& statement);

inline constexpr std::string_view remembered_columns =
    "id, profile, session, kind, verdict, breadth, rule, shown, created, expires, revoked, used, last_used, added";
[[nodiscard]] Remembered answer_at(const Statement& statement);
inline constexpr int added_column = 13;

[[nodiscard]] inline std::int64_t number_of(Time time) noexcept {
  return time.time_since_epoch().count();
}
[[nodiscard]] inline Time time_of(std::int64_t number) noexcept {
  return Time(std::chrono::milliseconds(number));
}

}  // namespace agentbox::store
