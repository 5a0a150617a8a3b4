#pragma once

// Watches over a room that has started, until it is dead (DESIGN §4.5): one process, one event loop.

#include "agentbox/launch/room.hpp"
#include "agentbox/policy/policy.hpp"
#include "helper.hpp"
#include "spawn.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <sys/types.h>

namespace boost::asio {
class io_context;
}

namespace agentbox::launch {

// How the agent ended.
struct Outcome {
  enum class Kind {
    exited,       // `value` is its exit code
    killed,       // by the signal `value`
    not_started,  // `value` is errno; `step` says which step failed
    lost          // the room died without a word: `value` is nothing
  } kind = Kind::lost;
  int value = 0;
  std::string step;
  bool timed_out = false;  // [limits] time was up
  int interrupted = 0;     // the signal that told agentbox itself to end; 0: none
};

class Supervisor final : public Room {
 public:
  // `signals` is a descriptor on which SignalGate's signals arrive, -1 for none.
  Supervisor(boost::asio::io_context& loop, Spawned& spawned, Helper& helper, int signals);
  ~Supervisor() override;

  void freeze() override;
  void thaw() override;
  void furnish(const plan::Furnishing& furnishing) override;
  [[nodiscard]] base::UniqueFd room_socket(int family) override;

  // Called when the agent's group was stopped (Ctrl-Z), before agentbox stops itself, and after it was
  // continued.
  std::function<void()> on_suspend, on_resume;
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
