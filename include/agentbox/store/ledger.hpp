#pragma once

// What was used of each budget, and the ledger of payments: in the same file as the record, and written in the same
// transactions, so that what is allowed is always counted, and what is counted is always on record.
//
// Trust: limits and uses come from the broker; text in them may be the agent's.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agentbox/policy/budget.hpp"

namespace agentbox::store {

using Time = policy::Time;

// Who takes what.
struct Taking {
  std::string profile, session;
  policy::Use use;
  std::vector<policy::Limit> limits;  // all that apply to it
  // Whom it reaches: from then on the profile knows them; `policy::strangers_of` names them.
  std::vector<std::string> reaches;
  // allowed: the owner has said yes to it; it counts all the same
  enum class Beyond : std::uint8_t { refused, allowed } beyond = Beyond::refused;
  // A clock that was set back opens nothing: what counts is the latest time that the ledger has seen.
  Time now;
};

struct Payment {
  std::int64_t id = 0;  // never used again
  std::string profile, session;
  std::string question;  // of the record
  std::string key;       // one payment of a profile, however often it is asked for
  std::int64_t amount = 0;
  std::string currency, to, memo;
  // reserved: under way, or agentbox was killed meanwhile; unknown: it ended, and nobody can say how. Both count as spent
  // until the owner settles them.
  enum class State : std::uint8_t { reserved, unknown, paid, not_paid } state = State::reserved;
  Time reserved;
  std::optional<Time> ended;
  std::string note;  // why, where it isn't plain; escaped
  friend bool operator==(const Payment&, const Payment&) = default;
};
// "reserved", "unknown", "paid", "not_paid": part of the file's format.
[[nodiscard]] std::string_view name_of(Payment::State state) noexcept;
// Is it the same payment, asked for once more?
[[nodiscard]] bool is_same(const Payment& one, const Payment& other) noexcept;

struct Took {
  enum class How : std::uint8_t {
    taken,
    beyond,  // a limit is in the way; nothing was written
    known    // there is a payment of this key already; nothing was written
  } how = How::taken;
  std::int64_t id = 0;                    // taken: of the payment, or of the use where there is none
  std::vector<policy::Balance> balances;  // of each limit, before this was taken
  std::optional<Payment> known;
};

// How a payment ended.
enum class Ending : std::uint8_t {
  paid,
  not_paid,     // it was tried: it still counts as one payment, though nothing was spent
  not_started,  // nothing has left: as if it had not been
  unknown
};

// One budget as its profile had it when it was last taken from, and where it stands now.
struct BudgetState {
  std::string profile;
  std::string session;  // of budgets that count one
  policy::Balance balance;
};

// The day of the user's calendar that holds `time`, in the time zone of this process (tzset(3)): 23 or 25 hours where the
// clocks are changed, also where that happens at midnight.
[[nodiscard]] policy::Day day_of(Time time);
// "2026-11-23 00:00 CET"
[[nodiscard]] std::string local_text(Time time);

}  // namespace agentbox::store
