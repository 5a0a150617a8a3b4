#include "explain.hpp"

#include <cstdio>

#include <fmt/format.h>

#include "agentbox/base/error.hpp"
#include "agentbox/launch/missing_program.hpp"
#include "agentbox/plan/plan.hpp"
#include "agentbox/policy/check.hpp"

#include "options.hpp"
#include "prepare.hpp"
#include "report.hpp"
#include "streams.hpp"

namespace agentbox::cli {

int explain(const ExplainOptions& options, const Terminal& terminal) {
  base::Result<Prepared> prepared = prepare(options);
  if (!prepared) return refuse(prepared.error(), terminal, base::ExitCode::failed);
  std::string text;
  if (options.bwrap) {
    text = plan::describe(plan::make(prepared->policy));
  } else if (options.seccomp) {
    text = plan::describe(plan::make(prepared->policy).seccomp);
  } else {
    base::Diagnostics unbuilt = policy::unbuilt(prepared->profile, prepared->flags);
    Explained explained{prepared->policy, unbuilt, {}};
    if (auto note = policy::unprotected(prepared->profile)) explained.more.push_back(*std::move(note));
    if (!prepared->policy.command.empty()) {
      if (auto missing = launch::missing_program(prepared->policy, prepared->facts)) {
        explained.more.push_back(*std::move(missing));
      }
    }
    text = options.json ? explain_json(explained)
                        : explain_text(explained, {terminal.out, terminal_width(),
                                                   options.all ? Layout::Names::all : Layout::Names::counted});
  }
  fmt::print("{}", text);
  return static_cast<int>(base::ExitCode::ok);
}

}  // namespace agentbox::cli
