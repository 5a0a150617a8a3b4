#pragma once

// Holds what mounts alone can't: file kinds that don't exist yet, held files, mounts that fell off because
// the host replaced a file, and the empty directories that must not stay behind (DESIGN §4, "two grades").

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agentbox/base/path.hpp"
#include "agentbox/launch/room.hpp"
#include "agentbox/plan/plan.hpp"
#include "agentbox/policy/policy.hpp"

namespace boost::asio {
class io_context;
}

namespace agentbox::launch {

class WalkStore;

// One thing that the guard did, for the summary at the end and for --status-fd. `path` is an agent's: escape
// it.
struct GuardEvent {
  enum class Kind {
    quarantined,    // something that must not be there was taken; `id` is the quarantine's
    restored,       // a held file is again what it was before the run; `id`: what the run made of it, if there is
                    // such
    kept,           // differs, and was left as it is: it was changed after the room had died, or its owner said so
    hidden,         // appeared while the room ran, and was hidden from it; on the host it is there
    placed_again,   // the host replaced something protected or hidden, and it is protected or hidden again
    would_execute,  // made or changed during the run, and not guarded: the host would execute or obey it
    unverified,     // a protection could not be kept up: the run must end with 125
  } kind;
  base::AbsPath path;
  std::string detail;  // one sentence, escaped
  std::string id;      // of the quarantine, or empty
};

// What a run has left, for its owner to decide on; without him what is safe is done. Only what can be shown whole: all else
// is dealt with as if nobody was there.
struct Leftover {
  enum class Kind {
    held,        // differs from what it was; else it is restored, and the run's version is quarantined
    quarantined  // was taken during the run; else it stays away
  } kind = Kind::held;
  base::AbsPath path;
  std::string what;           // one clause: "was changed", "it appeared during the run, and ..."; escaped
  std::string difference;     // as base::Diff has it, files of a directory one after the other; raw
  std::string before, after;  // SHA-256 of what was and is there; empty: nothing
  std::uint64_t size = 0;     // bytes that are there now
};
enum class Fate { as_usual, kept };
// One fate for each, in their order; what is missing is `as_usual`. Called with nothing locked, and may take its time.
using Judge = std::function<std::vector<Fate>(const std::vector<Leftover>&)>;

class Guard {
 public:
  // Before the spawn: writes the record of this run to the state folder ($XDG_STATE_HOME/agentbox) - what it
  // will make, what it holds - and copies the held files. After a kill -9, `sweep` finds the record.
  // `session` names the run: letters, digits, '-', '_', '.'. The record is locked by an open file: a helper
  // that is forked from now on and lives longer must close all descriptors that it doesn't know, or the run
  // would look alive for as long as the helper does. Throws base::SystemError: the launch must stop.
  // `walks` may be null: it only spares the search at the end.
  Guard(const policy::Policy& policy, const plan::LaunchPlan& plan, const base::AbsPath& state_folder,
        const std::string& session, std::shared_ptr<const WalkStore> walks = nullptr);
  // Without `finish`, the record stays for the next sweep.
  ~Guard();
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

  // Called at once for each event while the room runs. After `unverified` the room stays frozen, and the
  // listener must see to it that the run ends. Without a listener the loop throws.
  void on_event(std::function<void(const GuardEvent&)> listener);

  // After the room is furnished and before the agent starts: notes what stands where, and from `soon` (25 ms later) or
  // `now` on it watches. What happens before is seen then. For the kernel takes up to 20 ms to take a watch down, many
  // times what a short command needs: a room that is dead by then never had one, and is looked through all the same.
  // The loop has work for as long as the guard watches: stop the loop when the room is dead.
  enum class From { soon, now };
  void watch(boost::asio::io_context& loop, Room& room, From from = From::soon);

  // Acts on what has happened by now, if anything has and the last look is not of just now (0.2 ms). The room decides
  // how much else the loop has to do: whoever runs the loop calls this between its handlers, so that one of them, or
  // that moment, is the most that a watched name can last.
  void look();

  // What stood at a held path when the run began. Nothing: it is not held.
  struct Original {
    enum class Was { missing, file, other } was = Was::missing;
    std::string content;  // of a file
  };
  [[nodiscard]] std::optional<Original> original(const base::AbsPath& path) const;
  // agentbox itself has written or removed the file `path` with its owner's yes, while the room stands still. From now on
  // that is what is guarded: a protected file is mounted over the old one, one that was watched for becomes a protected
  // one, and of a held file this is the original. Where that can't be done it is as with any `unverified`.
  void renew(const base::AbsPath& path);

  // After the room is dead, or when the launch failed after the guard was made: the last scan, the held files
  // (restored unless `judge` says otherwise, and then still what he was shown; the agent's version goes to quarantine),
  // removal of ghosts and record. All events of the run, in order. What can't be settled is `unverified`, and its record
  // stays for the next sweep.
  [[nodiscard]] std::vector<GuardEvent> finish(const Judge& judge = {});

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

// Clears what killed runs left: ghost directories that are still empty, held files that were never settled,
// watched names that appeared, stale records. Says what it did. Runs of living supervisors are left alone.
// When there is nothing to do it costs one look into a folder.
struct Swept {
  base::AbsPath path;
  std::string what;  // one sentence, escaped
};
enum class Sweeping {
  needed,  // before each run
  all      // also what is kept for the next run: empty directories, and what is known of workspaces that are gone
};
[[nodiscard]] std::vector<Swept> sweep(const base::AbsPath& state_folder, Sweeping sweeping = Sweeping::needed);

}  // namespace agentbox::launch
