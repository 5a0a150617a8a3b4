// Clears up after runs that were killed.

#include <cerrno>
#include <chrono>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/launch/guard.hpp"

#include "guard_settle.hpp"
#include "guard_tree.hpp"
#include "quarantine.hpp"
#include "record.hpp"
#include "walk_store.hpp"

namespace agentbox::launch {

namespace {

using base::AbsPath;
using base::SystemError;
using base::UniqueFd;

// The heartbeat comes every half minute, and may need as long again to reach the disk before the power fails.
constexpr std::int64_t heartbeat_slack = 120;
constexpr std::int64_t day = 24 * 60 * 60;
constexpr std::int64_t forget_after = 30 * day;

std::int64_t now() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string tell(const GuardEvent& event, const Record& record) {
  std::string run = fmt::format(" (run {} was killed)", base::escape(record.session));
  std::string item = event.id.empty() ? "" : fmt::format("; quarantine item {}", event.id);
  switch (event.kind) {
    case GuardEvent::Kind::quarantined: return fmt::format("taken to the quarantine: {}{}{}", event.detail, item, run);
    case GuardEvent::Kind::restored: return fmt::format("restored: {}{}{}", event.detail, item, run);
    case GuardEvent::Kind::unverified: return fmt::format("could not be settled: {}{}", event.detail, run);
    default: return event.detail + item + run;
  }
}

// Is the workspace really gone, or only its disk? Gone, if the nearest directory above it is on the disk it
// was on.
bool is_deleted(const Record& record) {
  for (AbsPath at = record.workspace;; at = at.parent()) {
    UniqueFd there(::open(at.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (there) return look_at(there.get()).device == record.workspace_device;
    if (at.is_root()) return false;
  }
}

class Sweep {
 public:
  explicit Sweep(const AbsPath& state_folder) : state_folder_(state_folder) {}

  std::vector<Swept> run(Sweeping sweeping) {
    if (sweeping == Sweeping::all) {
      spares_.trim({}, 0);
      forget_walks();
    }
    UniqueFd runs(::open((state_folder_ / "runs").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!runs) return {};
    std::optional<std::vector<std::string>> sessions = names_in(runs.get(), 10'000);
    if (!sessions) throw SystemError(0, "there are more than 10,000 records in the state folder");
    if (sessions->empty()) return {};
    // For all of it: two sweeps would settle the same file twice.
    RunsLock lock(state_folder_);
    for (const std::string& session : *sessions) {
      try {
        one(lock, session);
      } catch (const std::exception& error) {  // one record that can't be settled must not keep every run from starting
        say(state_folder_ / "runs",
            fmt::format("run {} could not be settled: {}", base::escape(session), error.what()));
      }
    }
    return std::move(swept_);
  }

 private:
  void one(const RunsLock& runs, const std::string& session) {
    std::optional<RunFolder> folder = RunFolder::seize(runs, session);
    if (!folder) return;
    if (!folder->has_record()) {
      folder->remove(runs, spares_);  // it died before it had made anything, or after all was settled
      return;
    }
    std::optional<Record> record = folder->read();
    if (!record) {
      say(state_folder_ / "runs",
          fmt::format("the record of run {} cannot be read; look at it, then remove it", base::escape(session)));
      return;
    }
    if (settle(runs, *record, *folder)) folder->remove(runs, spares_);
  }

  // True when nothing is left to do.
  bool settle(const RunsLock& runs, const Record& record, const RunFolder& folder) {
    std::optional<Tree> tree;
    try {
      tree.emplace(record.workspace);
    } catch (const SystemError& error) {
      return without_workspace(record, error.code());
    }
    Entry root = tree->root();
    if (root.device != record.workspace_device) return without_workspace(record, ENODEV);
    // Another directory stands there now: what the run made went with the old one.
    if (root.inode != record.workspace_inode) return true;

    bool settled = true;
    seal_all(state_folder_, record.session);
    std::int64_t last = std::max(folder.last_alive(), record.started) + heartbeat_slack;
    const std::int64_t until = last * 1'000'000'000;
    auto tell_all = [&](const std::vector<GuardEvent>& events) {
      for (const GuardEvent& event : events) {
        settled = settled && event.kind != GuardEvent::Kind::unverified;
        say(event.path, tell(event, record));
      }
    };
    tell_all(take_strays(record, *tree, state_folder_, until));
    tell_all(settle_held(record, folder, *tree, state_folder_, until));
    remove_ghosts(runs, record, *tree, state_folder_, {}, spares_);
    return settled;
  }

  bool without_workspace(const Record& record, int error) {
    if (is_deleted(record) || now() - record.started > forget_after) return true;
    say(record.workspace, fmt::format("is not there ({}); what run {} left in it is settled when it is back",
                                      base::errno_text(error), base::escape(record.session)));
    return false;
  }

  void forget_walks() {
    std::size_t count = WalkStore::forget(state_folder_);
    if (count == 0) return;
    say(state_folder_ / "walks",
        fmt::format("removed what was remembered of {} workspace{}: gone since, or seen before "
                    "this machine was started",
                    count, count == 1 ? "" : "s"));
  }

  void say(const AbsPath& path, std::string what) { swept_.push_back({.path = path, .what = std::move(what)}); }

  const AbsPath& state_folder_;
  Spares spares_{state_folder_};
  std::vector<Swept> swept_;
};

}  // namespace

std::vector<Swept> sweep(const AbsPath& state_folder, Sweeping sweeping) {
  return Sweep(state_folder).run(sweeping);
}

}  // namespace agentbox::launch
