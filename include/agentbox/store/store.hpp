#pragma once

// One SQLite file for all sessions of a user: the audit trail, the answers that are remembered, and what was used of each
// budget, with the ledger of payments (DESIGN §7). WAL,
// STRICT tables, foreign keys, synchronous=FULL, mode 0600 in a folder of mode 0700.
//
// Whoever can't record an action must not let it happen: every function throws StoreError, and the caller denies.
//
// The chain tells of damage, of edits by hand and of a row that went missing. It can't tell of somebody who may write
// the file and computes the whole chain anew: for that, note the last hash (`Store::head`) somewhere else.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agentbox/base/error.hpp"
#include "agentbox/base/path.hpp"
#include "agentbox/store/ledger.hpp"

namespace agentbox::store {

// In agentbox's own state folder ($XDG_STATE_HOME/agentbox).
inline constexpr std::string_view file_name = "agentbox.db";

// A base::SystemError, so that whoever catches those fails closed for these too.
class StoreError : public base::SystemError {
 public:
  enum class Kind {
    locked,     // another process holds it for longer than the patience
    read_only,  // the file or its folder
    full,       // no space, or a quota
    newer,      // written by a later version of agentbox
    corrupt,    // not a database of agentbox, or its tables or the end of its chain are broken
    missing,    // to be read, but there is none yet
    unsafe,     // the file or its folder is not this user's alone, or is a symbolic link
    failed      // anything else the system refused
  };
  // `what`: "what on which object: why", escaped.
  StoreError(Kind kind, const std::string& what, std::string hint = {});
  [[nodiscard]] Kind kind() const noexcept { return kind_; }

 private:
  Kind kind_;
};

// One row of the audit trail. Request, each verdict and the outcome are rows of their own, tied by `question`. All
// texts may hold any bytes; they come back as they were.
struct Event {
  enum class What {
    session_began,
    session_ended,
    request,
    verdict,
    outcome,
    rule_added,
    rule_revoked
  } what = What::request;
  Time at;
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
// "session_began", ... as the file has them.
[[nodiscard]] std::string_view name_of(Event::What what) noexcept;

struct Row {
  std::int64_t number = 0;  // from 1, without gaps
  Event event;
  std::string answer;  // rule_added, rule_revoked: the hash of the remembered answer that it is about; else empty
  // Hexadecimal; the first row's `previous` is 64 zeros. `hash` is the SHA-256 over these texts, each with its length in
  // bytes before it (64 bits, big-endian): "agentbox audit 1", previous, what, at (milliseconds of the epoch, decimal),
  // session, profile, question, kind, summary, digest, verdict, by, detail, answer, number (decimal).
  std::string previous, hash;
};
// Which rows. What is absent doesn't filter.
struct Filter {
  std::optional<std::string> session, kind, verdict;
  std::optional<Time> since, until;  // since <= at < until
  std::int64_t after = 0;            // only rows with a greater number
  std::int64_t latest = 0;           // only so many, the newest; 0: all
};

// The first row that isn't as it was written, if there is one.
struct Damage {
  std::int64_t number = 0;
  // "row 17 was changed", "row 17 is missing", "row 17 stands where row 18 was", "row 18 was added",
  // "rows 17 to 20 at the end are missing", "the end of the record was changed",
  // "the answer 3 is not as row 17 recorded it"
  std::string what;
};

// How long the record is, and where its chain ends.
struct Head {
  std::int64_t rows = 0;
  std::string hash;  // 64 zeros when there is no row
  friend bool operator==(const Head&, const Head&) = default;
};

// An answer that holds for later actions.
struct Remembered {
  std::int64_t id = 0;  // never used again for another one
  std::string profile;
  std::string session;  // empty: always, else this session only
  std::string kind;     // "command"
  enum class Verdict { allow, deny } verdict = Verdict::deny;
  enum class Breadth { exact, pattern } breadth = Breadth::exact;
  std::string rule;   // policy::Scope::rule
  std::string shown;  // policy::Scope::shown
  Time created;
  std::optional<Time> expires;
  std::optional<Time> revoked;
  std::int64_t used = 0;  // how often it answered
  std::optional<Time> last_used;
  friend bool operator==(const Remembered&, const Remembered&) = default;
};
// Is it neither revoked nor expired? One that expires holds from `created` on: a clock that was set back to before it
// doesn't bring it back to life.
[[nodiscard]] bool holds_at(const Remembered& answer, Time now) noexcept;

// A session that has begun and not ended: it runs, or was killed and can't say any more what became of its deeds.
struct Unended {
  Event began;  // its `detail` says which process: store/process.hpp
  struct Deed {
    Event request, verdict;  // the last verdict, which allows it
  };
  std::vector<Deed> deeds;  // without an outcome
};

// For one thread at a time, and for one process: a child after fork must leave its copy alone. While one is open no
// code of the same process may open and close the file by other means: that would drop the locks (fcntl(2), F_SETLK).
class Store {
 public:
  enum class Access { read, write };
  // Makes file and folder (0700) if they are missing and `access` is write; moves an older file forward. `patience`: how
  // long to wait for another process that writes.
  Store(const base::AbsPath& file, Access access, std::chrono::milliseconds patience = std::chrono::seconds(5));
  ~Store();
  // From now on. Zero: who finds it locked hears so at once.
  void set_patience(std::chrono::milliseconds patience) noexcept;
  Store(Store&&) noexcept;
  Store& operator=(Store&&) noexcept;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // On disk when it returns. Returns the row's number.
  std::int64_t append(const Event& event);
  // All of them or none, with one wait for the disk. `used` is an answer that gave the verdict: it is counted with
  // them; false, and nothing is recorded, when it doesn't hold any more at `now`.
  void append(std::span<const Event> events);
  [[nodiscard]] bool append_and_count(std::span<const Event> events, std::int64_t used, Time now);

  // In order; stops when `each` returns false. Reading does not block writers. `each` must not write to this Store.
  void read(const Filter& filter, const std::function<bool(const Row&)>& each) const;
  // Reads the whole file, and throws StoreError (corrupt) when that is not possible.
  [[nodiscard]] std::optional<Damage> verify() const;
  [[nodiscard]] Head head() const;

  // The record of it (`rule_added`, `rule_revoked`) is written in the same transaction. Returns the id. What the answer
  // says of its id, its use and its end is ignored.
  std::int64_t remember(const Remembered& answer, const Event& event);
  // False when there is no such answer, or it was revoked already.
  [[nodiscard]] bool revoke(std::int64_t id, const Event& event);
  // Those that hold at `now` for this profile and kind: of every session when `session` is nothing, else always' and
  // this session's. Deny before allow, newest first.
  [[nodiscard]] std::vector<Remembered> remembered(const std::optional<std::string>& profile,
                                                   const std::optional<std::string>& session,
                                                   const std::optional<std::string>& kind, Time now) const;
  // All, also those that ended, oldest first.
  [[nodiscard]] std::vector<Remembered> all_remembered() const;
  void count_use(std::int64_t id, Time now);
  // What was remembered for a session that is over. Ids of sessions are short: a new session calls it too, since one
  // that was killed may have left answers behind.
  // What it used of the budgets of a day and the like still counts; of a session's own it doesn't.
  void forget_session(std::string_view session);

  // ---- budgets and payments (ledger.hpp) ----

  // One transaction, on disk when it returns: what was used is summed up, and if it fits into each limit, or may go
  // beyond, it is counted and `events` are recorded with it. Two sessions never both get the last of a budget.
  [[nodiscard]] Took take(const Taking& taking, std::span<const Event> events);
  // The same for a payment, which stays reserved until `end_payment`. Of `payment` only its question, key, recipient,
  // memo, amount and currency count. A key that was paid, or may have been, is `known`, whatever its other fields.
  [[nodiscard]] Took reserve(const Taking& taking, const Payment& payment, std::span<const Event> events);
  // False, and nothing is recorded, when it has ended already.
  [[nodiscard]] bool end_payment(std::int64_t id, Ending ending, std::string_view note, std::span<const Event> events,
                                 Time now);
  // What was used of limits that are counted elsewhere, on disk when it returns: of one recipient there is a row for each
  // ten seconds, at their end, so that nothing leaves a window too early.
  void add_uses(const std::string& profile, const std::string& session, std::span<const policy::Use> uses,
                std::span<const policy::Limit> limits, Time now);
  // Those of `reaches` whom the profile has never reached by a use of this kind.
  [[nodiscard]] std::vector<std::string> strangers(const Taking& taking) const;
  // What `take` took and what was not done counts no more, and those of `reached` whom it reached first are strangers
  // again. `events` in the same transaction.
  bool give_back(std::int64_t use, const std::vector<std::string>& reached, std::span<const Event> events);
  // How the limits stand for a use that isn't taken.
  [[nodiscard]] std::vector<policy::Balance> balances(const Taking& taking) const;

  // The newest first: those that began at `since` or later and before `until`, and those that are neither paid nor not.
  [[nodiscard]] std::vector<Payment> payments(std::optional<Time> since, std::optional<Time> until) const;
  [[nodiscard]] std::optional<Payment> payment(std::int64_t id) const;
  [[nodiscard]] std::optional<Payment> payment_of(std::string_view profile, std::string_view key) const;
  [[nodiscard]] std::vector<BudgetState> budgets(Time now) const;
  // The latest time that the ledger has seen, which counts when the clock says less.
  [[nodiscard]] Time ledger_time() const;
  // The owner says that it was wrong: `event.at` counts from here on, and what was used "later" was used now.
  void set_ledger_time(const Event& event);

  [[nodiscard]] std::vector<Unended> unended() const;
  // Nothing, and false, when the record has other than so many rows by now.
  [[nodiscard]] bool append_behind(std::int64_t rows, std::span<const Event> events);

  class Impl;  // for the room's own files

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace agentbox::store
