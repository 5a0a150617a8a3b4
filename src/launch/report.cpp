#include "report.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/gates/network/loopback.hpp"
#include "agentbox/launch/missing_program.hpp"
#include "agentbox/launch/sessions.hpp"

namespace agentbox::launch {

namespace {

using base::Diagnostic;
using base::ExitCode;
using base::Severity;

void write_line(int fd, const nlohmann::json& json) {
  if (fd < 0) return;
  std::string line = json.dump() + "\n";
  (void)!::write(fd, line.data(), line.size());
}

std::string_view name_of(Outcome::Kind kind) {
  switch (kind) {
    case Outcome::Kind::exited: return "exited";
    case Outcome::Kind::killed: return "killed";
    case Outcome::Kind::not_started: return "not started";
    case Outcome::Kind::lost: return "lost";
  }
  return "";
}

void say(const RunRequest& request, const Diagnostic& diagnostic) {
  std::fputs(base::render(diagnostic, request.colour).c_str(), stderr);
}

Diagnostic not_executed(const RunRequest& request, const Outcome& outcome) {
  std::string command = base::quote(request.plan.init.argv.front());
  Diagnostic diagnostic{.message = fmt::format("cannot execute {}: {}", command, base::errno_text(outcome.value))};
  if (outcome.value == ENOENT) {
    if (auto missing = missing_program(request.policy, request.facts)) return *std::move(missing);
    bool searched = request.plan.init.argv.front().find('/') == std::string::npos;
    diagnostic.message = fmt::format("{} is not there in the room", command);
    diagnostic.hint =
        fmt::format("{}`agentbox explain {}` shows what the room holds",
                    searched ? "a folder of its PATH must be granted; " : "", base::quote(request.policy.profile));
  }
  return diagnostic;
}

}  // namespace

std::string_view name_of(GuardEvent::Kind kind) {
  switch (kind) {
    case GuardEvent::Kind::quarantined: return "quarantined";
    case GuardEvent::Kind::restored: return "restored";
    case GuardEvent::Kind::kept: return "kept";
    case GuardEvent::Kind::placed_again: return "placed again";
    case GuardEvent::Kind::hidden: return "hidden";
    case GuardEvent::Kind::would_execute: return "would execute";
    case GuardEvent::Kind::unverified: return "unverified";
  }
  return "";
}

void StatusLine::started(const std::string& session, pid_t supervisor) const {
  write_line(fd_, {{"event", "started"}, {"session", session}, {"pid", supervisor}});
}

void StatusLine::serving(const std::string& session, pid_t broker, const base::AbsPath& folder) const {
  write_line(fd_, {{"event", "started"},
                   {"session", session},
                   {"pid", broker},
                   {"socket", base::escape((folder / request_socket).str())}});
}

void StatusLine::served(int exit_code) const {
  write_line(fd_, {{"event", "ended"}, {"exit_code", exit_code}});
}

void StatusLine::guarded(const GuardEvent& event) const {
  write_line(fd_, {{"event", "guard"},
                   {"kind", name_of(event.kind)},
                   {"path", base::escape(event.path.str())},
                   {"detail", event.detail},
                   {"quarantine", event.id}});
}

void StatusLine::ended(int exit_code, const Outcome& outcome) const {
  write_line(fd_, {{"event", "ended"}, {"exit_code", exit_code}, {"how", name_of(outcome.kind)}});
}

int exit_code(const Outcome& outcome) {
  constexpr int by_signal = 128;
  if (outcome.timed_out) return by_signal + SIGTERM;
  switch (outcome.kind) {
    case Outcome::Kind::exited: return outcome.value;
    case Outcome::Kind::killed: return by_signal + outcome.value;
    case Outcome::Kind::not_started:
      if (!outcome.step.empty()) break;
      return static_cast<int>(outcome.value == ENOENT ? ExitCode::not_found : ExitCode::not_executable);
    case Outcome::Kind::lost:
      if (outcome.interrupted != 0) return by_signal + outcome.interrupted;
      break;
  }
  return static_cast<int>(ExitCode::agentbox_failed);
}

void tell_pages(const RunRequest& request, const std::string& session) {
  for (const profile::Publication& one : request.policy.publish) {
    if (one.serves == profile::Serves::raw) continue;
    say(request, {.severity = Severity::note,
                  .message = fmt::format("port {} of the room is http://{}:{}/ in a browser of this machine",
                                         one.inside, gates::network::page_name(session), one.outside)});
  }
}

void tell_outcome(const RunRequest& request, const Outcome& outcome, const std::string& sandbox_errors) {
  if (outcome.timed_out) {
    say(request, {.severity = Severity::note,
                  .message = fmt::format("the room's time was up after {} seconds", request.policy.limits.time.count()),
                  .hint = "[limits] time in the profile sets it"});
  }
  if (outcome.kind == Outcome::Kind::not_started) {
    if (outcome.step.empty()) return say(request, not_executed(request, outcome));
    return say(request, {.message = fmt::format("{}: {}", outcome.step, base::errno_text(outcome.value))});
  }
  if (outcome.kind == Outcome::Kind::lost && outcome.interrupted == 0 && !outcome.timed_out) {
    std::string why = !outcome.step.empty() ? outcome.step : sandbox_errors;
    say(request, {.message = why.empty() ? "the room was killed" : why});
  }
}

void tell_uncaptured(const RunRequest& request, const std::string& why, const std::string& hint) {
  say(request, {.severity = Severity::note,
                .message = fmt::format("only programs that use the proxy variables reach the network: {}", why),
                .hint = hint});
}

bool tell_guard(const RunRequest& request, const std::vector<GuardEvent>& events) {
  for (const GuardEvent& event : events) {
    const bool is_sentence = event.kind == GuardEvent::Kind::would_execute;  // of which the path is the subject
    Diagnostic diagnostic{
        .severity = Severity::note,
        .message = is_sentence ? base::escape(event.path.str()) + " " + event.detail
                               : fmt::format("{}: {}{}{}", base::escape(event.path.str()), name_of(event.kind),
                                             event.detail.empty() ? "" : ", ", event.detail)};
    if (!event.id.empty()) diagnostic.hint = "`agentbox quarantine show " + event.id + "`";
    if (event.kind == GuardEvent::Kind::unverified) diagnostic.severity = Severity::error;
    say(request, diagnostic);
  }
  return std::ranges::none_of(events, [](const GuardEvent& e) { return e.kind == GuardEvent::Kind::unverified; });
}

}  // namespace agentbox::launch
