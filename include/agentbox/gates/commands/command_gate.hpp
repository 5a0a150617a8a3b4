#pragma once

// The commands gate: what the room asks to run on the host becomes one pinned action, goes to the broker, and what was
// allowed is carried out, exactly.
//
// The room is hostile. It gets no descriptor of ours but its own command's pipes or terminal, made here; nothing that it
// has made becomes a descriptor of a host process. A command ends with the connection that asked for it.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agentbox/base/path.hpp"
#include "agentbox/broker/decider.hpp"
#include "agentbox/gates/requests/request_server.hpp"
#include "agentbox/policy/ruling.hpp"

namespace boost::asio {
class io_context;
}

namespace agentbox::gates::commands {

// The workspace or a granted folder: resolved, the same path inside and outside.
struct Root {
  base::AbsPath path;
  enum class Access : std::uint8_t { read, write } access = Access::read;
};

struct Owner {
  std::string name, home, shell;
  // "NAME=value", as agentbox was started with. A command gets LANG, LC_*, SSH_AUTH_SOCK, DBUS_SESSION_BUS_ADDRESS,
  // XDG_RUNTIME_DIR, DISPLAY, WAYLAND_DISPLAY and XAUTHORITY of it, with a terminal TERM, and nothing else.
  std::vector<std::string> environment;
};

struct Setup {
  policy::Rules rules;
  std::vector<Root> roots;
  std::vector<base::AbsPath> hidden;  // below the roots, and not visible in the room
  Owner owner;
  // Where bare names are looked up, and every command's PATH; see HostPrograms::usual_folders.
  std::vector<base::AbsPath> folders;

  // Who is elsewhere can't be made to stand still, so git is not run for him: what it reads he could change after it
  // was looked at.
  enum class Caller : std::uint8_t { in_room, elsewhere } caller = Caller::in_room;

  // Around git, which reads and writes what the room can write too: `before` stops every process of the room, `after`
  // furnishes again and lets them go on. They nest like Freezer; `after` comes once for each `before` that returned,
  // also when the command could not be started. `before` may throw base::SystemError: then nothing runs. May be empty.
  std::function<void()> before, after;
  // Of what the gate refuses by itself and never brings before the broker (no such program, a directory outside, a
  // repository that would run something): for the record. May be empty.
  std::function<void(const policy::Action& action, const std::string& why)> refused;

  struct Limits {
    std::size_t running = 32;                                   // commands at once
    std::chrono::milliseconds hang_up{2'000};                   // from SIGHUP to SIGKILL
    std::chrono::milliseconds standstill{600'000};              // of a command for which the room stands still
    std::uint64_t standstill_output = std::uint64_t{64} << 20;  // bytes of its output, which are kept in memory
  } limits;
};

class CommandGate {
 public:
  // The decider must outlive the gate. Throws base::SystemError when a root can't be opened.
  CommandGate(boost::asio::io_context& loop, broker::Decider& decider, Setup setup);
  // Kills what still runs, with its whole session, and waits for it. What was abandoned before has had SIGHUP; it gets
  // SIGKILL after `hang_up` if the loop still runs then.
  ~CommandGate();
  CommandGate(const CommandGate&) = delete;
  CommandGate& operator=(const CommandGate&) = delete;

  // requests::Gates::command
  [[nodiscard]] std::shared_ptr<requests::Request> take(requests::Requester from, wire::CommandRequest request);

  struct Counters {
    std::size_t requests = 0, running = 0;  // now
  };
  [[nodiscard]] Counters counters() const noexcept;

  class Impl;

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace agentbox::gates::commands
