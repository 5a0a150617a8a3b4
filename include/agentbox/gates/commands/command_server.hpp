#pragma once

// The commands gate and its end of request.sock: what the room asks to run on the host becomes one pinned action, goes to
// the broker, and what was allowed is carried out, exactly.
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
#include "agentbox/base/unique_fd.hpp"
#include "agentbox/broker/decider.hpp"
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
  std::string session, profile;
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
  // Open questions of this session, for "status". May be empty.
  std::function<std::size_t()> waiting;

  struct Limits {
    std::size_t connections = 64;
    std::size_t requests = 64;  // open at once on one connection
    std::size_t running = 32;   // commands at once
    std::chrono::milliseconds half_line{10'000};
    std::chrono::milliseconds hang_up{2'000};                   // from SIGHUP to SIGKILL
    std::chrono::milliseconds standstill{600'000};              // of a command for which the room stands still
    std::uint64_t standstill_output = std::uint64_t{64} << 20;  // bytes of its output, which are kept in memory
  } limits;
};

class CommandServer {
 public:
  // The decider must outlive the server. Throws base::SystemError when a root can't be opened.
  CommandServer(boost::asio::io_context& loop, broker::Decider& decider, Setup setup);
  // Kills what still runs, with its whole session, and waits for it.
  ~CommandServer();
  CommandServer(const CommandServer&) = delete;
  CommandServer& operator=(const CommandServer&) = delete;

  // A listening Unix stream socket: request.sock. More than one may come.
  void serve(base::UniqueFd listener);
  // The session ends: no more connections, every question is cancelled, every command gets SIGHUP, and SIGKILL after
  // `hang_up` if the loop still runs then.
  void stop();

  struct Counters {
    std::size_t connections = 0, requests = 0, running = 0;  // now
  };
  [[nodiscard]] Counters counters() const noexcept;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace agentbox::gates::commands
