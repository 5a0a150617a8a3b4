#include "opening.hpp"

#include <thread>

#include <fmt/format.h>

#include "place.hpp"

namespace agentbox::store {

using Access = Store::Access;
using Kind = StoreError::Kind;

namespace {

// "abox": what file(1) and a second program can know our file by.
constexpr std::int64_t application_id = 0x61626f78;

// 0: an empty file. Throws for what is no record, or one that we don't know. Within a transaction: of three questions
// that another process may come between, the first would be about its beginning and the last about its end.
std::size_t version_of(Database& database, Steps steps) {
  std::int64_t application = database.number("PRAGMA application_id");
  std::int64_t version = database.number("PRAGMA user_version");
  if (application == 0 && version == 0 && database.number("SELECT count(*) FROM sqlite_schema") == 0) return 0;
  if (application != application_id || version < 1) throw corrupt(database.file(), "it is not a record of agentbox");
  if (static_cast<std::uint64_t>(version) > steps.size()) {
    throw StoreError(Kind::newer, fmt::format("cannot use {}: it is version {}, this agentbox knows {}",
                                              record_at(database.file()), version, steps.size()));
  }
  return static_cast<std::size_t>(version);
}

std::size_t version_now(Database& database, Steps steps) {
  Transaction transaction(database, Transaction::For::reading);
  return version_of(database, steps);
}

// Several processes may open a new file at once, and SQLite doesn't wait for this lock by itself.
void set_wal(Database& database) {
  if (database.text("PRAGMA journal_mode") == "wal") return;
  const auto deadline = std::chrono::steady_clock::now() + database.patience();
  while (true) {
    try {
      if (database.text("PRAGMA journal_mode=WAL") == "wal") return;
      throw StoreError(Kind::failed,
                       fmt::format("cannot keep {} safe: it has no write-ahead log there", record_at(database.file())),
                       "the state folder must be on a local disk");
    } catch (const StoreError& error) {
      if (error.kind() != Kind::locked || std::chrono::steady_clock::now() >= deadline) throw;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }
}

// All steps or none: who is killed in between leaves the file as it was.
void move_forward(Database& database, Steps steps) {
  Transaction transaction(database);
  std::size_t version = version_of(database, steps);  // another process may have been first
  if (version == steps.size()) return;
  if (version == 0) database.execute(fmt::format("PRAGMA application_id={}", application_id).c_str());
  for (const char* step : steps.subspan(version)) database.execute(step);
  database.execute(fmt::format("PRAGMA user_version={}", steps.size()).c_str());
  transaction.commit();
}

}  // namespace

std::unique_ptr<Database> open_record(const base::AbsPath& file, Access access, std::chrono::milliseconds patience,
                                      Steps steps) {
  base::AbsPath settled = settle_place(file, access);
  auto database = std::make_unique<Database>(settled, access, patience);
  const std::size_t version = version_now(*database, steps);
  if (access == Access::read) {
    if (version == steps.size()) return database;
    if (version == 0) {
      throw StoreError(Kind::missing, fmt::format("{} is still empty", record_at(file)),
                       "it begins with the first room that asks for something");
    }
    // A reader can't move it forward; this once it is opened as a writer does.
    database.reset();
    (void)open_record(file, Access::write, patience, steps);
    return std::make_unique<Database>(settled, access, patience);
  }
  set_wal(*database);
  if (version < steps.size()) move_forward(*database, steps);
  return database;
}

}  // namespace agentbox::store
