// The only place that catches: what the user can mend comes back as diagnostics from the commands, what the
// system refused as base::SystemError, anything else is a bug of ours.

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include <fcntl.h>
#include <sys/auxv.h>

#include <fmt/format.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/launch/sessions.hpp"
#include "agentbox/launch/sources.hpp"
#include "agentbox/profile/parse.hpp"

#include "app.hpp"
#include "report.hpp"
#include "streams.hpp"

namespace agentbox::cli {

namespace {

int print(const ShowText& show) {
  fmt::print("{}", show.text);
  return 0;
}

// bash expands what completes a word: nothing but a plain name may reach it.
int print(const Names& names) {
  std::vector<std::string> all;
  if (names.of == Names::Of::profiles) {
    for (const launch::ProfileEntry& entry : launch::list_profiles()) {
      if (!entry.hidden_by_earlier) all.push_back(entry.name);
    }
  } else {
    for (const launch::SessionInfo& session : launch::list_sessions()) all.push_back(session.id);
  }
  for (const std::string& name : all) {
    if (profile::is_profile_name(name)) fmt::print("{}\n", name);
  }
  return 0;
}

// Before anything else is opened: a number that is free now would soon be a file of our own. It is not for the room.
base::Diagnostics claim_status_fd(int fd) {
  if (fd < 0 || ::fcntl(fd, F_SETFD, FD_CLOEXEC) == 0) return {};
  return {{.message = fmt::format("--status-fd {} is not an open descriptor", fd)}};
}

bool is_profile(const std::string& word) {
  return std::ranges::any_of(launch::list_profiles(), [&](const auto& entry) { return entry.name == word; });
}

// What only a look at the profiles tells: a profile was typed for a command, or a command for a profile.
void mend_hint(base::Diagnostics& problems, const std::vector<std::string>& arguments) {
  if (problems.size() != 1 || arguments.empty()) return;
  base::Diagnostic& problem = problems.front();
  const std::string& word = arguments.front();
  if (problem.message.starts_with("unknown command") && is_profile(word)) {
    problem.message = fmt::format("'{}' is a profile, not a command", word);
    problem.hint = "agentbox run " + base::quote(arguments);
    return;
  }
  const bool is_plain = std::ranges::none_of(arguments, [](const auto& each) { return each.starts_with('-'); });
  if (problem.message.starts_with("unexpected argument") && word == "run" && arguments.size() > 2 && is_plain &&
      arguments[1].find('/') == std::string::npos && !is_profile(arguments[1])) {
    problem.hint = "agentbox run default -- " + base::quote(std::span(arguments).subspan(1));
  }
}

struct Dispatch {
  const Terminal& terminal;
  int operator()(const ShowText& show) const { return print(show); }
  int operator()(const Names& names) const { return print(names); }
  int operator()(const RunOptions& options) const {
    if (auto errors = claim_status_fd(options.status_fd); !errors.empty()) {
      return refuse(errors, terminal, base::ExitCode::agentbox_failed);
    }
    return run(options, terminal);
  }
  int operator()(const BrokerOptions& options) const {
    if (auto errors = claim_status_fd(options.status_fd); !errors.empty()) {
      return refuse(errors, terminal, base::ExitCode::failed);
    }
    return broker(options, terminal);
  }
  int operator()(const HostOptions& options) const { return host(options, terminal); }
  int operator()(const CheckOptions& options) const { return check(options, terminal); }
  int operator()(const ExplainOptions& options) const { return explain(options, terminal); }
  int operator()(const TryOptions& options) const { return try_action(options, terminal); }
  int operator()(const ProfilesOptions& options) const { return profiles(options, terminal); }
  int operator()(const DoctorOptions& options) const { return doctor(options, terminal); }
  int operator()(const PsOptions& options) const { return ps(options, terminal); }
  int operator()(const StopOptions& options) const { return stop(options, terminal); }
  int operator()(const QuarantineOptions& options) const { return quarantine(options, terminal); }
  int operator()(const LogOptions& options) const { return log(options, terminal); }
  int operator()(const RulesOptions& options) const { return rules(options, terminal); }
  int operator()(const LedgerOptions& options) const { return ledger(options, terminal); }
  int operator()(const ApproveOptions& options) const { return approve(options, terminal); }
  int operator()(const DemoOptions& options) const { return demo(options, terminal); }
};

// A command that prints ends when its reader goes away, as every tool does, even if our parent ignores
// SIGPIPE. One that supervises a room must live on to clean up after it.
void settle_sigpipe(bool supervises) {
  std::signal(SIGPIPE, supervises ? SIG_IGN : SIG_DFL);
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  sigprocmask(SIG_UNBLOCK, &pipe, nullptr);
}

int guarded_main(const std::vector<std::string>& arguments) {
  Terminal terminal;
  // Until the command line is understood: `run` is what other programs start, and its code 1 would be the
  // command's, as of `host`; of `try` it would be an answer.
  bool codes_are_taken =
      !arguments.empty() && (arguments.front() == "run" || arguments.front() == "try" || arguments.front() == "host");
  base::ExitCode on_failure = codes_are_taken ? base::ExitCode::agentbox_failed : base::ExitCode::failed;
  try {
    open_missing_streams();
    terminal = judge_terminal();
    // Rights that the user does not have himself would be lent to every profile he writes.
    if (::getauxval(AT_SECURE) != 0) {
      throw base::SystemError(0, "agentbox must not be setuid or have file capabilities",
                              "take them away; it needs none");
    }
    std::expected<Request, UsageError> request = parse(arguments);
    if (!request) {
      mend_hint(request.error().diagnostics, arguments);
      return refuse(request.error().diagnostics, terminal, request.error().exit_code);
    }
    settle_sigpipe(std::holds_alternative<RunOptions>(*request) || std::holds_alternative<BrokerOptions>(*request) ||
                   std::holds_alternative<DemoOptions>(*request));
    int code = std::visit(Dispatch{terminal}, *request);
    finish_output();
    return code;
  } catch (const base::SystemError& error) {
    return refuse({{.message = error.what(), .hint = error.hint()}}, terminal, on_failure);
  } catch (const std::exception& error) {
    return refuse({{.message = fmt::format("internal error: {}", base::escape(error.what())),
                    .hint = "this is a bug in agentbox; please report it"}},
                  terminal, on_failure);
  }
}

}  // namespace

}  // namespace agentbox::cli

int main(int argc, char** argv) {
  // argc is 0 when a hostile caller passes an empty argv (execve(2) since Linux 5.18 makes it 1).
  std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  return agentbox::cli::guarded_main(arguments);
}
