#pragma once

// What a run says of itself: on --status-fd for programs, on standard error for people, and as an exit code.

#include <string>
#include <string_view>
#include <vector>

#include "agentbox/launch/guard.hpp"
#include "agentbox/launch/run.hpp"

#include "supervisor.hpp"

namespace agentbox::launch {

// One JSON object a line on --status-fd: {"event": "started" | "ended" | "guard", ...}. A reader that is gone or slow
// does not hold the run up.
class StatusLine {
 public:
  explicit StatusLine(int fd) : fd_(fd) {}
  void started(const std::string& session, pid_t supervisor) const;
  // Of a broker without a room.
  void serving(const std::string& session, pid_t broker, const base::AbsPath& folder) const;
  void served(int exit_code) const;
  void guarded(const GuardEvent& event) const;
  void ended(int exit_code, const Outcome& outcome) const;

 private:
  int fd_;
};

// "restored", "quarantined", ...
[[nodiscard]] std::string_view name_of(GuardEvent::Kind kind);

// The exit code of `agentbox run` (DESIGN §8): the command's own, 128+n for a signal, 125, 126, 127.
[[nodiscard]] int exit_code(const Outcome& outcome);

// Says on standard error where the pages are that the room publishes; nothing where it publishes none.
void tell_pages(const RunRequest& request, const std::string& session);

// Says on standard error why the agent could not be started or did not end by itself; nothing for an ordinary end.
// `sandbox_errors` is what bwrap said.
void tell_outcome(const RunRequest& request, const Outcome& outcome, const std::string& sandbox_errors);

// The machine can't rule on connections, so that only programs which use the proxies get out.
void tell_uncaptured(const RunRequest& request, const std::string& why, const std::string& hint);

// The summary of what the guard did. True when nothing is left unverified.
[[nodiscard]] bool tell_guard(const RunRequest& request, const std::vector<GuardEvent>& events);

}  // namespace agentbox::launch
