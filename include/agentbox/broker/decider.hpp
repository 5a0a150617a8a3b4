#pragma once

// The one function through which every action that would leave the room goes (DESIGN §2, "The way of one action"). A gate
// hands in what the agent tries; it gets one verdict, and carries out exactly what it has handed in.

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "agentbox/policy/action.hpp"
#include "agentbox/policy/budget.hpp"
#include "agentbox/policy/ruling.hpp"
#include "agentbox/prompt/question.hpp"

namespace agentbox::broker {

struct Verdict {
  enum class Kind : std::uint8_t {
    allow,
    deny,         // by a rule, a remembered answer or the owner
    duplicate,    // an identical deed was asked for at the same time, and is done once
    expired,      // nobody answered in time
    unavailable,  // nobody can be asked, or it can't be recorded
    cancelled     // by the one who asked
  };
  enum class By : std::uint8_t { rule, remembered, human, limit, clock, requester, fault };
  Kind kind = Kind::unavailable;
  By by = By::fault;
  std::string reason;      // for the agent: what happened, and what to do now; one or two sentences
  std::string rule;        // the rule or the remembered scope that said so; empty: none
  std::string comment;     // raw: the owner's own words; empty: none
  std::string question;    // the record's id of this request: give it to `outcome`
  std::int64_t entry = 0;  // of what limits count: what was taken of them; of a payment: in the ledger, for `settle`
  // Of a payment that is a duplicate: what became of the one with its key.
  enum class Earlier : std::uint8_t { none, pending, unknown, paid } earlier = Earlier::none;
};

// What a gate hands in: the action, pinned, and what a person must know to judge it.
struct Asked {
  policy::Action action;
  std::string title;    // ours: "run a command on your machine"
  std::string subject;  // raw: exactly what (argv by base::quote, host:port, path)
  std::vector<prompt::Fact> facts;
  std::string program;  // raw, for the record: who asks, as far as could be told; empty: nobody knows
  std::string said;     // raw: the requester's own reason
  std::string content;  // raw, in lines: what must be read before a yes (a diff, a body)
  // What a yes may be remembered for: policy::session_scopes and policy::lasting_scopes, or less.
  std::vector<policy::Scope> session_scopes, lasting_scopes;
  std::string phrase;  // ours: must be typed before a yes counts; empty: nothing
  // Of a deed: so long it waits after it was allowed, in sight of the owner, who can still cancel it. `done` is called
  // when that is over. Zero: at once.
  std::chrono::seconds delay{0};
  // Called then, from the event loop and before `done`, at most once: it is allowed, and so long it waits.
  std::function<void(std::chrono::seconds)> waits;
};

// What went through a connection that ended.
struct Traffic {
  std::string address;                   // that was connected to
  std::uint64_t sent = 0, received = 0;  // bytes, as the room sees it
  std::chrono::milliseconds lasted{};
  std::string program;  // raw: who made it, as far as could be told; empty: nobody knows
};

class Decider {
 public:
  virtual ~Decider() = default;

  using Ticket = std::uint64_t;
  // `done` is called exactly once, after `cancel` as well: from the event loop, never from within `ask`.
  virtual Ticket ask(Asked asked, std::function<void(const Verdict&)> done) = 0;
  // The requester is gone, or has given up: its verdict is `cancelled`. An unknown ticket is no error.
  virtual void cancel(Ticket ticket) = 0;
  // What came of an allowed deed, for the record: "exit code 0", "killed by signal 9", "cannot be executed: ...".
  virtual void outcome(const Verdict& verdict, const policy::Action& action, const std::string& what) = 0;
  // Many at once, with one wait for the disk, which is not the caller's. Any thread.
  struct Done {
    Verdict verdict;
    policy::Action action;
    std::string what;
    std::optional<Traffic> traffic;
  };
  virtual void outcomes(std::vector<Done> done) = 0;

  // Of limits that a gate counts by itself, because nobody can be asked for each byte (policy/traffic.hpp): how they stand
  // on record. Throws base::SystemError: nothing may go then. Any thread, and so for `counted`.
  virtual std::vector<policy::Balance> standing(std::span<const policy::Limit> limits) = 0;
  // What was used of them since the last time, for the record. False: it could not be written, and is told again later.
  [[nodiscard]] virtual bool counted(std::span<const policy::Use> uses, std::span<const policy::Limit> limits) = 0;

  // What came of an allowed payment, in place of `outcome`: it is settled in the ledger. `what` as there.
  enum class Paid : std::uint8_t {
    paid,
    not_paid,     // it was tried
    not_started,  // nothing has left
    unknown       // it stays reserved until the owner settles it
  };
  virtual void settle(const Verdict& verdict, const policy::Action& action, Paid paid, const std::string& what) = 0;
};

}  // namespace agentbox::broker
