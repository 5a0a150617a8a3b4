#pragma once

// SQLite with our types and errors, and nothing about what is stored. Only database.cpp knows its header.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "agentbox/base/path.hpp"
#include "agentbox/store/store.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace agentbox::store {

class Database;

// One prepared statement: bind, step until false, reset.
class Statement {
 public:
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&& other) noexcept;
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement();

  // Parameters count from 1. Any bytes, NUL included; copied.
  Statement& bind(int index, std::string_view text);
  Statement& bind(int index, std::int64_t number);
  Statement& bind(int index, std::optional<std::int64_t> number);
  // True: there is a row.
  bool step();
  // Runs a statement that has no rows, and makes it ready for the next time.
  void run();
  void reset() noexcept;

  // Columns count from 0. A text lives until the next step.
  [[nodiscard]] std::string_view text(int column) const;
  [[nodiscard]] std::int64_t number(int column) const;
  [[nodiscard]] std::optional<std::int64_t> maybe_number(int column) const;

 private:
  friend class Database;
  Statement(Database& database, sqlite3_stmt* handle) : database_(&database), handle_(handle) {}
  void check(int code) const;
  Database* database_;
  sqlite3_stmt* handle_;
};

// Ends a statement's read when its scope ends, however that happens: one left open would hold its snapshot.
class Rewind {
 public:
  explicit Rewind(Statement& statement) : statement_(statement) {}
  ~Rewind() { statement_.reset(); }
  Rewind(const Rewind&) = delete;
  Rewind& operator=(const Rewind&) = delete;

 private:
  Statement& statement_;
};

class Database {
 public:
  using Access = Store::Access;
  // `file` exists, and no component of it is a symbolic link.
  Database(const base::AbsPath& file, Access access, std::chrono::milliseconds patience);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  [[nodiscard]] Statement prepare(std::string_view sql);
  // One statement or several, without parameters.
  void execute(const char* sql);
  // The first column of the first row.
  [[nodiscard]] std::int64_t number(std::string_view sql);
  [[nodiscard]] std::string text(std::string_view sql);
  // Rows that the last INSERT, UPDATE or DELETE changed.
  [[nodiscard]] std::int64_t changes() const noexcept;
  [[nodiscard]] bool in_transaction() const noexcept;

  [[nodiscard]] const base::AbsPath& file() const noexcept { return file_; }
  [[nodiscard]] std::chrono::milliseconds patience() const noexcept { return patience_; }
  void set_patience(std::chrono::milliseconds patience) noexcept { patience_ = patience; }
  // What SQLite says went wrong, as StoreError.
  [[noreturn]] void fail(int code) const;

 private:
  struct Closer {
    void operator()(sqlite3* handle) const noexcept;
  };
  static int on_busy(void* self, int count) noexcept;

  base::AbsPath file_;
  Access access_;
  std::chrono::milliseconds patience_;
  std::chrono::steady_clock::time_point waiting_since_;
  std::unique_ptr<sqlite3, Closer> handle_;
};

// BEGIN IMMEDIATE: the one writer from here on. Rolled back unless committed.
class Transaction {
 public:
  // For writing it has the only place of a writer from its beginning on; for reading all that it reads is of one moment.
  enum class For { writing, reading };
  explicit Transaction(Database& database, For what = For::writing);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit();

 private:
  Database& database_;
};

// "the record /home/me/.local/state/agentbox/agentbox.db"
[[nodiscard]] std::string record_at(const base::AbsPath& file);
// Our own finding that it is not as we wrote it.
[[nodiscard]] StoreError corrupt(const base::AbsPath& file, std::string_view why);

}  // namespace agentbox::store
