#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agentbox/base/diagnostic.hpp"
#include "agentbox/plan/plan.hpp"
#include "agentbox/policy/policy.hpp"

namespace agentbox::launch {

class WalkStore;

enum class OnAsk { terminal, queue, deny };

struct RunRequest {
  policy::Policy policy;
  plan::LaunchPlan plan;
  policy::HostFacts facts;
  std::shared_ptr<WalkStore> walks;  // of `look`; null: the next start walks again
  OnAsk on_ask = OnAsk::deny;
  int status_fd = -1;                       // --status-fd: JSON, one object a line; -1: none
  base::Colour colour = base::Colour::off;  // of what agentbox itself says on standard error
};

// Spawns, furnishes, starts, supervises, tears down (DESIGN §4.2-4.6). Returns the exit code of `agentbox run`: the
// command's own, 128+n for a signal, 125, 126, 127. Throws base::SystemError for what stops the launch.
[[nodiscard]] int run(const RunRequest& request);

// The same doors without a room: whoever connects to the session's request.sock asks, on paths of the host. `plan`,
// `walks` and the policy's command are not looked at; `name` may be empty, else is_session_name. Until SIGINT, SIGTERM,
// SIGHUP or SIGQUIT; returns 0 then. Throws base::SystemError.
[[nodiscard]] int run_broker(const RunRequest& request, const std::string& name);

// Becomes the client of such a broker, `agentbox-room`, with these arguments. Throws base::SystemError.
[[noreturn]] void become_client(const std::vector<std::string>& arguments);

}  // namespace agentbox::launch
