#pragma once

// The command line → plain values. Pure: reads nothing but its arguments, prints nothing, ends nothing.

#include <expected>
#include <string>
#include <variant>
#include <vector>

#include "agentbox/base/diagnostic.hpp"
#include "agentbox/base/error.hpp"

#include "docs.hpp"
#include "options.hpp"

namespace agentbox::cli {

// Only to be printed: help, the version, a generated page.
struct ShowText {
  std::string text;
};
// `agentbox generate profile-names` and the like, for the completions: one a line.
struct Names {
  enum class Of { profiles, sessions } of = Of::profiles;
};

using Request = std::variant<ShowText, Names, RunOptions, BrokerOptions, HostOptions, CheckOptions, ExplainOptions,
                             TryOptions, ProfilesOptions, DoctorOptions, PsOptions, StopOptions, QuarantineOptions,
                             LogOptions, RulesOptions, LedgerOptions, ApproveOptions, DemoOptions>;

struct UsageError {
  base::Diagnostics diagnostics;
  // 2; for `run` and `host` 125, since there every other code belongs to the command; and for `try`, where 2 is an
  // answer.
  base::ExitCode exit_code = base::ExitCode::usage;
};

// `arguments` without the program's name.
[[nodiscard]] std::expected<Request, UsageError> parse(std::vector<std::string> arguments);

[[nodiscard]] ProgramDoc documentation();

}  // namespace agentbox::cli
