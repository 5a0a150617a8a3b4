#pragma once

// What leads out of the room while it runs: the broker with its two sockets, the question on the terminal, and the gates
// that go through it. One for each run; made before the room is furnished, opened when it stands. Without a room they
// lead from wherever the caller is, who must be this user.

#include <memory>
#include <vector>

#include "agentbox/launch/guard.hpp"
#include "agentbox/launch/room.hpp"
#include "agentbox/launch/run.hpp"
#include "agentbox/launch/sessions.hpp"
#include "agentbox/plan/plan.hpp"

namespace boost::asio {
class io_context;
}
namespace agentbox::broker {
class Decider;
}
namespace agentbox::prompt {
class HumanTerminal;
class Relay;
}  // namespace agentbox::prompt

namespace agentbox::launch {

class Doors {
 public:
  // Makes request.sock in the session's folder; nobody is served yet. Throws base::SystemError.
  Doors(boost::asio::io_context& loop, const RunRequest& request, const Session& session);
  ~Doors();
  Doors(const Doors&) = delete;
  Doors& operator=(const Doors&) = delete;

  // What must be placed in the room for them: before everything else, on the room's own tmpfs.
  [[nodiscard]] std::vector<plan::Furnishing> furnishings() const;
  // With a guard, protected and held files can be proposed. Before `open`; both must outlive what is open. Throws
  // base::SystemError.
  void let_change(Room& room, Guard& guard);
  // What every gate goes through.
  [[nodiscard]] broker::Decider& decider();
  // `room`: nullptr without one. `human` and `relay`: the terminal, or nullptr. Throws base::SystemError.
  void open(Room* room, prompt::HumanTerminal* human, prompt::Relay* relay);
  // Questions leave the terminal; before Relay::drain.
  void leave_terminal();
  // The room is dead: nothing is taken any more, and commands are ended.
  void shut();
  // Between `shut` and `close`: the person at the terminal decides on each thing that the run has left. Whatever is not
  // answered in time is `as_usual`. Only where `asks_at_terminal`. `signals`: see SignalGate; one that arrives ends it.
  [[nodiscard]] bool asks_at_terminal() const noexcept;
  [[nodiscard]] std::vector<Fate> review(const std::vector<Leftover>& leftovers, int signals);
  // What became of it.
  void settled(const std::vector<GuardEvent>& events);
  // What is open is cancelled, the record is closed. Says what happened, if anything did.
  void close();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace agentbox::launch
