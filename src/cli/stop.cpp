#include <algorithm>
#include <cstdio>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"
#include "agentbox/launch/sessions.hpp"

#include "options.hpp"

namespace agentbox::cli {

namespace {
// The agent gets five seconds of it (supervisor.cpp), the rest is for putting things in order.
constexpr int patience_ms = 10'000;
}  // namespace

int stop(const StopOptions& options, const Terminal& terminal) {
  std::vector<launch::SessionInfo> sessions = launch::list_sessions(), chosen;
  base::Diagnostics errors;
  if (options.all) {
    chosen = sessions;
  } else {
    for (const std::string& id : options.sessions) {
      auto found = std::ranges::find(sessions, id, &launch::SessionInfo::id);
      if (found != sessions.end()) {
        chosen.push_back(*found);
      } else {
        errors.push_back(
            {.message = "no session " + base::escape(id) + " is running", .hint = "`agentbox ps` lists them"});
      }
    }
  }
  for (const auto& session : chosen) {
    if (launch::stop_session(session, patience_ms)) fmt::print("{} stopped\n", session.id);
  }
  std::fputs(base::render(errors, terminal.err).c_str(), stderr);
  return errors.empty() ? 0 : 1;
}

}  // namespace agentbox::cli
