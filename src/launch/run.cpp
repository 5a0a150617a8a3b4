// The way of one launch, from a plan to an exit code. The order is what makes it safe:
//
//  1. bwrap is spawned; it lays a floor that holds nothing to execute, and waits
//  2. meanwhile the guard writes down what will be made of the host's, then makes it
//  3. the helper furnishes the room; its last step puts init where bwrap will look for it
//  4. bwrap is let go, init starts the agent
//
// bwrap takes end-of-file on its block descriptor as "go". So if we die before 3 has ended, it goes on, finds nothing to
// execute, and ends. If we die after it, the room is whole, but init meets end-of-file on its control socket and ends,
// which takes the room with it. Nothing here is killed by our death: see become_bwrap for what that would leave.

#include "agentbox/launch/run.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "agentbox/base/error.hpp"
#include "agentbox/launch/guard.hpp"
#include "agentbox/launch/look.hpp"
#include "agentbox/launch/sessions.hpp"
#include "agentbox/prompt/relay.hpp"

#include "bwrap_facts.hpp"
#include "cgroup.hpp"
#include "doors.hpp"
#include "helper.hpp"
#include "network_doors.hpp"
#include "places.hpp"
#include "report.hpp"
#include "seccomp_compile.hpp"
#include "signals.hpp"
#include "spawn.hpp"
#include "streams.hpp"
#include "supervisor.hpp"
#include "walk_store.hpp"

namespace agentbox::launch {

namespace {

using base::AbsPath;
using base::SystemError;

// `write` with a trailing slash makes what is missing. Each parent exists or is made with it.
// They go again, as far as they are empty, unless a command was started that may rely on them.
class GrantedFolders {
 public:
  explicit GrantedFolders(const std::vector<policy::ToMake>& folders) : GrantedFolders() {
    for (const policy::ToMake& folder : folders) make_private_folders(folder.path, &made_);
  }
  ~GrantedFolders() { remove_empty_folders(made_); }
  GrantedFolders(const GrantedFolders&) = delete;
  GrantedFolders& operator=(const GrantedFolders&) = delete;
  void keep() noexcept { made_.clear(); }

 private:
  GrantedFolders() = default;  // with this the object is whole: what was made goes also if the next can't be

  std::vector<AbsPath> made_;
};

AbsPath trusted_bwrap(const policy::HostFacts& facts) {
  if (auto problem = bwrap_problem(facts)) throw SystemError(0, problem->message, problem->hint);
  return facts.bwrap->path;
}

// For what the room's terminal still holds when the agent has ended.
constexpr std::chrono::seconds output_patience{2};

// A name below /run/agentbox that nothing else has: bwrap makes it as its last step.
std::string marker_for(const Session& session) {
  return "/run/agentbox/" + session.id();
}

// What lives as long as the room does. The members go in reverse order: first the gates and the terminal, then the
// helper, then what is left of bwrap.
class Run {
 public:
  Run(const RunRequest& request, boost::asio::io_context& loop, SignalGate& signals, const Session& session)
      : request_(request), loop_(loop), signals_(signals), doors_(loop, request, session) {}

  // The floor alone: nothing of the host's is changed.
  void lay_floor(const Session& session) {
    AbsPath bwrap = trusted_bwrap(request_.facts);
    spawn(spawned_, bwrap, request_.plan, streams_, marker_for(session));
    compile(request_.plan.seccomp, std::move(spawned_.filter));  // while bwrap is being loaded
  }

  void furnish(const Session& session) {
    read_child(spawned_);
    if (request_.policy.limits.memory > 0 || request_.policy.limits.cpu > 0) {
      cgroup_.emplace(
          RoomCgroup::create(request_.facts, "agentbox-" + session.id(), request_.policy.limits, spawned_.child));
    }
    std::vector<plan::Furnishing> furnishings = doors_.furnishings();
    furnishings.insert(furnishings.end(), request_.plan.furnishings.begin(), request_.plan.furnishings.end());
    HelperWork work{.furnishings = furnishings,
                    .init = init_program(),
                    .marker = marker_for(session),
                    .terminal = streams_.any_terminal(),
                    .loopback = {},
                    .outside = request_.policy.outside,
                    .proxy = request_.policy.proxy,
                    .session = session.folder()};
    for (const policy::Loopback& grant : request_.policy.loopback) work.loopback.push_back(grant.port);
    helper_.emplace(work, spawned_);
    furnished_ = helper_->wait(spawned_, signals_.fd());
    const bool captured = furnished_.uncaptured.empty();
    if (!captured) tell_uncaptured(request_, furnished_.uncaptured, furnished_.uncaptured_hint);
    seal_start(spawned_, request_.plan.init, streams_,
               captured ? std::vector<std::pair<std::string, std::string>>() : policy::proxy_variables());
    supervisor_.emplace(loop_, spawned_, *helper_, signals_.fd(), cgroup_ ? &*cgroup_ : nullptr);
    supervisor_->limit_time(request_.policy.limits.time);
  }

  // Everything that goes in and out of the room from now on.
  void open_doors(Guard& guard, const Session& session) {
    network_.emplace(loop_, doors_.decider(), request_.policy, *supervisor_, spawned_.child, session.id(),
                     std::move(furnished_.listeners));
    tell_pages(request_, session.id());
    guard.watch(loop_, *supervisor_);
    supervisor_->between = [&guard] { guard.look(); };
    doors_.let_change(*supervisor_, guard);
    if (!furnished_.terminal) return doors_.open(&*supervisor_, nullptr, nullptr);
    human_ = prompt::HumanTerminal::open();
    if (!human_) throw SystemError(0, "the terminal went away while the room was built");
    relay_.emplace(loop_, *human_, std::move(furnished_.terminal), [this] { supervisor_->hang_up(); });
    supervisor_->on_stopped = [this] { relay_->suspend(); };
    relay_->start();
    doors_.open(&*supervisor_, &*human_, &*relay_);
  }

  Outcome live() {
    Outcome outcome = supervisor_->run();
    doors_.leave_terminal();
    if (!relay_) return outcome;
    std::optional<prompt::Relay::End> end;
    relay_->drain(output_patience, [&end](prompt::Relay::End how) { end = how; });
    while (!end) loop_.run_one();
    drained_ = end != prompt::Relay::End::no_terminal;
    return outcome;
  }

  [[nodiscard]] std::string sandbox_errors() const { return read_errors(spawned_); }

  // Nothing of the room runs when it returns. The helper is reaped when this object goes.
  void end() noexcept {
    end_room(spawned_);
    if (helper_) helper_->dismiss();
  }
  // The room is dead. What a run left its owner decides on, where he sits there and has not ended it from elsewhere.
  std::vector<GuardEvent> settle(Guard& guard, const Outcome& outcome) {
    network_.reset();
    doors_.shut();
    Judge judge;
    const bool is_there = doors_.asks_at_terminal() && drained_ && outcome.interrupted == 0;
    if (is_there) {
      judge = [this](const std::vector<Leftover>& leftovers) { return doors_.review(leftovers, signals_.fd()); };
    }
    std::vector<GuardEvent> events = guard.finish(judge);
    doors_.settled(events);
    doors_.close();
    return events;
  }

 private:
  const RunRequest& request_;
  boost::asio::io_context& loop_;
  SignalGate& signals_;
  Streams streams_ = judge_streams();
  Spawned spawned_;
  std::optional<RoomCgroup> cgroup_;
  std::optional<Helper> helper_;
  Furnished furnished_;
  std::optional<Supervisor> supervisor_;
  std::optional<prompt::HumanTerminal> human_;
  std::optional<prompt::Relay> relay_;
  bool drained_ = false;  // the terminal is there, and ours again
  Doors doors_;
  std::optional<NetworkDoors> network_;
};

// From the spawn to the death of the room.
Outcome live(Run& run, const RunRequest& request, boost::asio::io_context& loop, const Session& session,
             std::optional<Guard>& guard) {
  AbsPath state = state_folder(request.facts);
  run.lay_floor(session);  // bwrap goes on while the guard writes
  guard.emplace(request.policy, request.plan, state, session.id(), request.walks);
  run.furnish(session);
  run.open_doors(*guard, session);
  StatusLine(request.status_fd).started(session.id(), ::getpid());
  // Its turn comes when the agent has been started.
  if (request.walks) boost::asio::post(loop, [&] { request.walks->save(); });
  return run.live();
}

}  // namespace

int run(const RunRequest& request) {
  SignalGate signals;
  GrantedFolders folders(request.policy.to_make);
  Session session(request.policy);
  boost::asio::io_context loop(1);  // before the guard, which watches on it until it has finished
  std::optional<Guard> guard;
  Run run(request, loop, signals, session);
  Outcome outcome;
  try {
    outcome = live(run, request, loop, session, guard);
  } catch (const std::exception&) {  // whatever it is: the room ends, and what it left is settled
    run.end();
    // What was made for the room goes, also when the room never came to be.
    if (guard) (void)guard->finish();
    if (int number = signals.take(); number != 0) return 128 + number;
    throw;
  }
  run.end();
  if (outcome.kind != Outcome::Kind::not_started) folders.keep();
  StatusLine status(request.status_fd);
  std::vector<GuardEvent> events = run.settle(*guard, outcome);
  for (const GuardEvent& event : events) status.guarded(event);
  tell_outcome(request, outcome, outcome.kind == Outcome::Kind::lost ? run.sandbox_errors() : std::string());
  int code = tell_guard(request, events) ? exit_code(outcome) : static_cast<int>(base::ExitCode::agentbox_failed);
  status.ended(code, outcome);
  return code;
}

}  // namespace agentbox::launch
