#pragma once

// The only reader of the machine and of the environment: everything that `policy` decides about is collected here once.

#include <memory>
#include <optional>

#include "agentbox/base/diagnostic.hpp"
#include "agentbox/base/path.hpp"
#include "agentbox/policy/facts.hpp"
#include "agentbox/policy/policy.hpp"
#include "agentbox/profile/profile.hpp"

namespace agentbox::launch {

// What the walk over the workspace leaves for the next one. `launch` alone looks into it.
class WalkStore;

// Home, user, environment, XDG folders, the workspace's absolute path: what `looks` needs. Throws base::SystemError
// when the user has no home or the workspace is gone.
[[nodiscard]] policy::HostFacts look_at_user(const base::AbsPath& workspace);
// The same without a workspace, for what only asks where agentbox keeps its things.
[[nodiscard]] policy::HostFacts look_at_user();
// `user` with a workspace: the first of these two, for who has called the second already.
[[nodiscard]] policy::HostFacts with_workspace(policy::HostFacts user, const base::AbsPath& workspace);

// A path of the command line, made absolute; one with ".." is resolved, with its links, if all of it is there.
[[nodiscard]] std::string path_as_typed(const std::string& text);

// Everything that the profile names: paths, patterns, repositories, bwrap, cgroup, devices. Walks the workspace if a
// pattern asks for it, with a bound. Where a caller asks for `walks`, it gets what `run` shall keep (null without a walk).
[[nodiscard]] base::Result<policy::HostFacts> look(policy::HostFacts user, const profile::Profile& profile,
                                                   const policy::Flags& flags,
                                                   std::shared_ptr<WalkStore>* walks = nullptr);

// Why rooms can't be built with the bwrap that was found, or that none was. Pure.
[[nodiscard]] std::optional<base::Diagnostic> bwrap_problem(const policy::HostFacts& facts);
// Why `limits` can't be had here: memory and cpu need a cgroup that this user may divide. Pure.
[[nodiscard]] std::optional<base::Diagnostic> cgroup_problem(const policy::HostFacts& facts,
                                                             const policy::Limits& limits);

// The current directory as getcwd(2) has it. Throws when it is gone.
[[nodiscard]] base::AbsPath current_directory();

}  // namespace agentbox::launch
