#pragma once

// One SQLite file for all sessions of a user: the audit trail, and the answers that are remembered (DESIGN §7). WAL,
// STRICT tables, foreign keys, synchronous=FULL, mode 0600.
//
// Whoever can't record an action must not let it happen: every function throws StoreError, and the caller denies.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "agentbox/base/path.hpp"

namespace agentbox::store {

using Time = std::chrono::sys_time<std::chrono::milliseconds>;

class StoreError : public std::runtime_error {
 public:
  enum class Kind {
    locked,     // another process holds it for longer than the patience
    read_only,  // the file or its folder
    full,       // no space, or a quota
    newer,      // written by a later version of agentbox
    corrupt,    // not a database, or its chain or its tables are broken
    failed      // anything else the system refused
  };
  // `what`: "what on which object: why", as base::SystemError has it.
  StoreError(Kind kind, const std::string& what, std::string hint = {});
  [[nodiscard]] Kind kind() const noexcept { return kind_; }
  [[nodiscard]] const std::string& hint() const noexcept { return hint_; }

 private:
  Kind kind_;
  std::string hint_;
};

// One row of the audit trail. Request, each verdict and the outcome are rows of their own, tied by `question`.
struct Event {
  enum class What { session_began, session_ended, request, verdict, outcome, rule_added, rule_revoked } what =
      What::request;
  Time at{};
  std::string session;   // "default-0c1f"
  std::string profile;   // "pi"
  std::string question;  // the id that request, verdict and outcome share; empty for sessions and rules
  std::string kind;      // policy::kind_of: "command"; empty for sessions
  std::string summary;   // one line, escaped
  std::string digest;    // SHA-256 of the question, hexadecimal; empty where there is none
  std::string verdict;   // verdict: "allow", "deny", "expired", "unavailable", "duplicate", "cancelled"
  std::string by;        // who said so: "rule", "remembered", "human", "limit", "fault"
  std::string detail;    // JSON: all fields of the action, the rule and its place, the exit code, ...
  friend bool operator==(const Event&, const Event&) = default;
};
struct Row {
  std::int64_t number = 0;  // from 1, without gaps
  Event event;
  std::string previous, hash;  // hexadecimal; the first row's `previous` is 64 zeros
};
// Which rows. What is absent doesn't filter.
struct Filter {
  std::optional<std::string> session, kind, verdict;
  std::optional<Time> since, until;
  std::int64_t after = 0;    // only rows with a greater number
  std::int64_t latest = 0;   // only so many, the newest; 0: all
};

// The first row that isn't as it was written, if there is one.
struct Damage {
  std::int64_t number = 0;
  std::string what;  // "row 17 was changed", "row 17 is missing", "row 17 stands where row 18 was", "the end is missing"
};

// An answer that holds for later actions.
struct Remembered {
  std::int64_t id = 0;
  std::string profile;
  std::string session;  // empty: always, else this session only
  std::string kind;     // "command"
  enum class Verdict { allow, deny } verdict = Verdict::deny;
  enum class Breadth { exact, pattern } breadth = Breadth::exact;
  std::string rule;   // policy::Scope::rule
  std::string shown;  // policy::Scope::shown
  Time created{};
  std::optional<Time> expires;
  std::optional<Time> revoked;
  std::int64_t used = 0;  // how often it answered
  std::optional<Time> last_used;
  friend bool operator==(const Remembered&, const Remembered&) = default;
};

class Store {
 public:
  enum class Access { read, write };
  // Makes file and folder (0700) if they are missing and `access` is write; moves an older file forward. `patience`: how
  // long to wait for another process that writes.
  Store(const base::AbsPath& file, Access access, std::chrono::milliseconds patience = std::chrono::seconds(5));
  ~Store();
  Store(Store&&) noexcept;
  Store& operator=(Store&&) noexcept;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // On disk when it returns. Returns the row's number.
  std::int64_t append(const Event& event);
  // In order; stops when `each` returns false. Reading does not block writers.
  void read(const Filter& filter, const std::function<bool(const Row&)>& each) const;
  [[nodiscard]] std::optional<Damage> verify() const;

  // The record of it (`rule_added`, `rule_revoked`) is written in the same transaction. Returns the id.
  std::int64_t remember(const Remembered& answer, const Event& event);
  // False when there is no such answer, or it was revoked already.
  [[nodiscard]] bool revoke(std::int64_t id, const Event& event);
  // Those that hold at `now` for this profile and kind: of every session when `session` is nothing, else always' and
  // this session's. Deny before allow, newest first.
  [[nodiscard]] std::vector<Remembered> remembered(const std::optional<std::string>& profile,
                                                   const std::optional<std::string>& session,
                                                   const std::optional<std::string>& kind, Time now) const;
  // All, also those that ended.
  [[nodiscard]] std::vector<Remembered> all_remembered() const;
  void count_use(std::int64_t id, Time now);
  // What was remembered for a session that is over.
  void forget_session(std::string_view session);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace agentbox::store
