#pragma once

// From the command line to a policy: the way that run, broker, explain and demo have in common.

#include <memory>

#include "agentbox/base/diagnostic.hpp"
#include "agentbox/launch/look.hpp"
#include "agentbox/launch/run.hpp"
#include "agentbox/policy/policy.hpp"
#include "agentbox/profile/profile.hpp"

#include "options.hpp"

namespace agentbox::cli {

struct Prepared {
  profile::Profile profile;  // with .agentbox.toml of the workspace applied
  policy::Flags flags;
  policy::HostFacts facts;
  policy::Policy policy;
  std::shared_ptr<launch::WalkStore> walks;  // for `run`
};

// Finds, merges and checks a profile: also the names of system calls, which only `plan` knows.
[[nodiscard]] base::Result<profile::Profile> load_profile(const std::string& name);

// --on-ask; without it a terminal, if there is one, else nowhere.
[[nodiscard]] launch::OnAsk on_ask_of(const std::string& text);

// All errors that one stage finds, at once. Throws base::SystemError.
[[nodiscard]] base::Result<Prepared> prepare(const RoomOptions& options,
                                             policy::HostFacts user = launch::look_at_user());

}  // namespace agentbox::cli
