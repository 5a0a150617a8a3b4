#pragma once

// Watches over a room that has started, until it is dead (DESIGN §4.5): one process, one event loop.

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <sys/types.h>

#include "agentbox/launch/room.hpp"
#include "agentbox/policy/policy.hpp"

#include "helper.hpp"
#include "spawn.hpp"

namespace boost::asio {
class io_context;
}

namespace agentbox::launch {

class RoomCgroup;

// How the agent ended.
struct Outcome {
  enum class Kind {
    exited,       // `value` is its exit code
    killed,       // by the signal `value`
    not_started,  // `value` is errno; `step` says which step failed
    lost          // the room died without a word: `value` is nothing
  } kind = Kind::lost;
  int value = 0;
  std::string step;        // with lost: why, if it is known
  bool timed_out = false;  // [limits] time was up
  int interrupted = 0;     // the signal that told agentbox itself to end; 0: none
};

class Supervisor final : public Room {
 public:
  // `signals` is a descriptor on which SignalGate's signals arrive, -1 for none. `group` is the room's, if it has one.
  Supervisor(boost::asio::io_context& loop, Spawned& spawned, Helper& helper, int signals, RoomCgroup* group = nullptr);
  ~Supervisor() override;

  void freeze() override;
  void thaw() override;
  void furnish(const plan::Furnishing& furnishing) override;
  [[nodiscard]] base::UniqueFd room_socket(int family) override;

  // Called when the agent was stopped, by Ctrl-Z as a rule, with the room frozen: stops agentbox itself, and returns
  // when it was continued, whereupon the agent is too. Without it SIGSTOP does that, but only after the owner's
  // SIGTSTP.
  std::function<void()> on_stopped;
  // Called after each handler of the loop: for what must not wait until all others that are ready have had their turn.
  std::function<void()> between;
  // The terminal is gone: as if SIGHUP had come.
  void hang_up();
  // Zero: no limit.
  void limit_time(std::chrono::seconds time);
  // Lets bwrap go on, and runs the loop until the room is dead.
  [[nodiscard]] Outcome run();
  // Kills the room. The loop then ends as when it had died by itself.
  void kill_room();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace agentbox::launch
