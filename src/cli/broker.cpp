#include <fmt/format.h>

#include "agentbox/base/escape.hpp"
#include "agentbox/launch/run.hpp"
#include "agentbox/launch/sessions.hpp"

#include "options.hpp"
#include "prepare.hpp"
#include "report.hpp"

namespace agentbox::cli {

int broker(const BrokerOptions& options, const Terminal& terminal) {
  if (!options.name.empty() && !launch::is_session_name(options.name)) {
    return refuse({{.message = fmt::format("{} is no name for a session", base::quote(options.name)),
                    .hint = "small letters, digits, '-' and '_', at most 32 of them"}},
                  terminal, base::ExitCode::usage);
  }
  auto prepared = prepare(options);
  if (!prepared) return refuse(prepared.error(), terminal, base::ExitCode::failed);
  base::Diagnostics unbuilt = policy::unbuilt(prepared->profile, prepared->flags);
  if (!unbuilt.empty()) return refuse(unbuilt, terminal, base::ExitCode::failed);
  const launch::RunRequest request{.policy = std::move(prepared->policy),
                                   .plan = {},
                                   .facts = std::move(prepared->facts),
                                   .walks = {},
                                   .on_ask = on_ask_of(options.on_ask),
                                   .status_fd = options.status_fd,
                                   .colour = terminal.err};
  return launch::run_broker(request, options.name);
}

}  // namespace agentbox::cli
