#include "agentbox/launch/run.hpp"

#include <cstdio>

#include <fcntl.h>

#include <fmt/format.h>

#include "agentbox/base/error.hpp"
#include "agentbox/launch/guard.hpp"
#include "agentbox/launch/look.hpp"
#include "agentbox/plan/plan.hpp"
#include "agentbox/policy/check.hpp"

#include "options.hpp"
#include "prepare.hpp"
#include "report.hpp"

namespace agentbox::cli {

namespace {

// What the owner should know before the agent fills the screen.
void tell_notes(const policy::Policy& policy, const Terminal& terminal) {
  for (const policy::Note& note : policy.notes) {
    if (note.kind != policy::Note::Kind::warning && note.kind != policy::Note::Kind::changed) continue;
    base::Diagnostic diagnostic{.severity = base::Severity::note, .message = note.text};
    if (note.kind == policy::Note::Kind::warning) diagnostic.severity = base::Severity::warning;
    std::fputs(base::render(diagnostic, terminal.err).c_str(), stderr);
  }
}

}  // namespace

int run(const RunOptions& options, const Terminal& terminal) {
  if (options.status_fd >= 0 && ::fcntl(options.status_fd, F_GETFD) < 0) {
    return refuse({{.message = fmt::format("--status-fd {} is not an open descriptor", options.status_fd)}}, terminal,
                  base::ExitCode::agentbox_failed);
  }
  // Before anything is looked at: an empty directory that a killed run left would else count as the owner's.
  policy::HostFacts user = launch::look_at_user();
  (void)launch::sweep(user.state_home / "agentbox");
  auto prepared = prepare(options, std::move(user));
  if (!prepared) return refuse(prepared.error(), terminal, base::ExitCode::agentbox_failed);
  base::Diagnostics unbuilt = policy::unbuilt(prepared->profile, prepared->flags);
  if (!unbuilt.empty()) return refuse(unbuilt, terminal, base::ExitCode::agentbox_failed);
  if (prepared->policy.command.empty()) {
    return refuse({{.message = "no command to run, and the profile " + prepared->policy.profile + " names none",
                    .hint = "write it behind two dashes: agentbox run " + options.profile + " -- COMMAND"}},
                  terminal, base::ExitCode::agentbox_failed);
  }
  if (auto note = policy::unprotected(prepared->profile)) {
    std::fputs(base::render(*note, terminal.err).c_str(), stderr);
  }
  tell_notes(prepared->policy, terminal);
  launch::RunRequest request{.policy = std::move(prepared->policy),
                             .plan = {},
                             .facts = std::move(prepared->facts),
                             .walks = std::move(prepared->walks),
                             .on_ask = on_ask_of(options.on_ask),
                             .status_fd = options.status_fd,
                             .colour = terminal.err};
  request.plan = plan::make(request.policy);
  return launch::run(request);
}

}  // namespace agentbox::cli
