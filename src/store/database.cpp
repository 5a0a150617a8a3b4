#include "database.hpp"

#include <algorithm>
#include <cerrno>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"

#include "library.hpp"

namespace agentbox::store {

using Kind = StoreError::Kind;

namespace {

// `error` is errno as SQLite saw it, where its own code is too general.
Kind kind_of(int code, int error) {
  if (code == SQLITE_IOERR_SHORT_READ || code == SQLITE_IOERR_CORRUPTFS) return Kind::corrupt;
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL: return Kind::locked;
    case SQLITE_READONLY:
    case SQLITE_PERM: return Kind::read_only;
    case SQLITE_FULL: return Kind::full;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return Kind::corrupt;
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR:
      if (error == ENOSPC || error == EDQUOT || error == EFBIG) return Kind::full;
      if (error == EACCES || error == EPERM || error == EROFS) return Kind::read_only;
      return Kind::failed;
    default: return Kind::failed;
  }
}

std::string hint_for(Kind kind) {
  switch (kind) {
    case Kind::locked: return "another program is writing to it; `agentbox ps` lists the rooms that are open";
    case Kind::read_only: return "it and its folder must be writable for you";
    case Kind::full: return "free some space where it lies";
    case Kind::corrupt: return "keep it for a look, and move it away: agentbox then begins a new one";
    case Kind::newer: return "use the agentbox that wrote it, or a later one";
    case Kind::missing:
    case Kind::unsafe:
    case Kind::failed: break;
  }
  return {};
}

}  // namespace

StoreError::StoreError(Kind kind, const std::string& what, std::string hint)
    : SystemError(0, what, hint.empty() ? hint_for(kind) : std::move(hint)), kind_(kind) {}

std::string record_at(const base::AbsPath& file) {
  return "the record " + base::escape(file.str());
}

StoreError corrupt(const base::AbsPath& file, std::string_view why) {
  return {Kind::corrupt, fmt::format("cannot use {}: {}", record_at(file), why)};
}

// ---- Statement ----

Statement::Statement(Statement&& other) noexcept
    : database_(other.database_), handle_(std::exchange(other.handle_, nullptr)) {}

Statement& Statement::operator=(Statement&& other) noexcept {
  std::swap(database_, other.database_);
  std::swap(handle_, other.handle_);
  return *this;
}

Statement::~Statement() {
  if (handle_ != nullptr) library().finalize(handle_);
}

void Statement::check(int code) const {
  if (code != SQLITE_OK) database_->fail(code);
}

Statement& Statement::bind(int index, std::string_view text) {
  // A null pointer would be SQL's NULL.
  const char* data = text.empty() ? "" : text.data();
  if (text.size() > 500'000'000) database_->fail(SQLITE_TOOBIG);
  check(library().bind_text(handle_, index, data, static_cast<int>(text.size()), SQLITE_TRANSIENT));
  return *this;
}

Statement& Statement::bind(int index, std::int64_t number) {
  check(library().bind_int64(handle_, index, number));
  return *this;
}

Statement& Statement::bind(int index, std::optional<std::int64_t> number) {
  if (number) return bind(index, *number);
  check(library().bind_null(handle_, index));
  return *this;
}

bool Statement::step() {
  errno = 0;
  int code = library().step(handle_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) {
    // Judged before the reset, which may change what SQLite says about it.
    Rewind rewind(*this);
    database_->fail(code);
  }
  return false;
}

void Statement::run() {
  Rewind rewind(*this);
  step();
}

void Statement::reset() noexcept {
  library().reset(handle_);
}

std::string_view Statement::text(int column) const {
  const auto* data = reinterpret_cast<const char*>(library().column_text(handle_, column));
  int size = library().column_bytes(handle_, column);
  return data == nullptr ? std::string_view{} : std::string_view(data, static_cast<std::size_t>(size));
}

std::int64_t Statement::number(int column) const {
  return library().column_int64(handle_, column);
}

std::optional<std::int64_t> Statement::maybe_number(int column) const {
  if (library().column_type(handle_, column) == SQLITE_NULL) return std::nullopt;
  return number(column);
}

// ---- Database ----

Database::Database(const base::AbsPath& file, Access access, std::chrono::milliseconds patience)
    : file_(file), access_(access), patience_(patience) {
  sqlite3* handle = nullptr;
  int flags = access == Access::write ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
  errno = 0;
  int code = library().open_v2(file.c_str(), &handle, flags | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_NOMUTEX, nullptr);
  handle_.reset(handle);
  if (code != SQLITE_OK) fail(code);
  library().extended_result_codes(handle, 1);
  library().busy_handler(handle, &Database::on_busy, this);
  // Whatever a damaged file has for a schema does no more than hold tables.
  int ignored = 0;
  library().db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, &ignored);
  library().db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, &ignored);
  // 512 KiB of cache: the supervisor is to stay small.
  execute(
      "PRAGMA foreign_keys=ON; PRAGMA synchronous=FULL; PRAGMA cell_size_check=ON; PRAGMA temp_store=MEMORY;"
      "PRAGMA cache_size=-512; PRAGMA journal_size_limit=4194304");
  // SQLite opens a file that it may not write without a word.
  if (access == Access::write && library().db_readonly(handle, "main") != 0) fail(SQLITE_READONLY);
}

Database::~Database() = default;

void Database::Closer::operator()(sqlite3* handle) const noexcept {
  library().close_v2(handle);
}

// Short waits of uneven length: many writers get their turn without marching in step.
int Database::on_busy(void* self, int count) noexcept {
  auto& database = *static_cast<Database*>(self);
  auto now = std::chrono::steady_clock::now();
  if (count == 0) database.waiting_since_ = now;
  if (now - database.waiting_since_ >= database.patience_) return 0;
  auto spread = static_cast<int>(now.time_since_epoch().count() / 1024 % 1000);
  std::this_thread::sleep_for(std::chrono::microseconds(200 + spread * std::min(count + 1, 8)));
  return 1;
}

Statement Database::prepare(std::string_view sql) {
  sqlite3_stmt* handle = nullptr;
  errno = 0;
  int code = library().prepare_v2(handle_.get(), sql.data(), static_cast<int>(sql.size()), &handle, nullptr);
  Statement statement(*this, handle);
  if (code != SQLITE_OK) fail(code);
  return statement;
}

void Database::execute(const char* sql) {
  errno = 0;
  int code = library().exec(handle_.get(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) fail(code);
}

std::int64_t Database::number(std::string_view sql) {
  Statement statement = prepare(sql);
  return statement.step() ? statement.number(0) : 0;
}

std::string Database::text(std::string_view sql) {
  Statement statement = prepare(sql);
  return statement.step() ? std::string(statement.text(0)) : std::string();
}

std::int64_t Database::changes() const noexcept {
  return library().changes(handle_.get());
}

bool Database::in_transaction() const noexcept {
  return library().get_autocommit(handle_.get()) == 0;
}

void Database::fail(int code) const {
  // SQLite keeps errno for what it can't open, and loses that of a write; every call of ours began with 0.
  int error = errno;
  std::string why = "out of memory";
  if (handle_) {
    if ((code & 0xff) == SQLITE_CANTOPEN) error = library().system_errno(handle_.get());
    why = base::escape(library().errmsg(handle_.get()));
    if (int extended = library().extended_errcode(handle_.get()); (extended & 0xff) == (code & 0xff)) code = extended;
  }
  const Kind kind = kind_of(code, error);
  const bool by_system = (code & 0xff) == SQLITE_CANTOPEN || (code & 0xff) == SQLITE_IOERR;
  if (by_system && error != 0) why += fmt::format(" ({})", base::errno_text(error));
  if (kind == Kind::read_only) why = "it may only be read";
  if (kind == Kind::locked) {
    why = patience_.count() == 0 ? std::string("another program holds it")
                                 : fmt::format("another program held it for longer than {} ms", patience_.count());
  }
  throw StoreError(kind,
                   fmt::format("cannot {} {}: {}", access_ == Access::write ? "use" : "read", record_at(file_), why));
}

// ---- Transaction ----

Transaction::Transaction(Database& database, For what) : database_(database) {
  database_.execute(what == For::writing ? "BEGIN IMMEDIATE" : "BEGIN DEFERRED");
}

Transaction::~Transaction() {
  // Where SQLite has rolled back by itself (a full disk) there is nothing left to end.
  if (!database_.in_transaction()) return;
  try {
    database_.execute("ROLLBACK");
  } catch (const StoreError&) {  // NOLINT(bugprone-empty-catch): what is not committed is not there
  }
}

void Transaction::commit() {
  database_.execute("COMMIT");
}

}  // namespace agentbox::store
