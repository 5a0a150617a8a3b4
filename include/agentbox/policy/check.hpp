#pragma once

// What can be said of a profile before there is a room: for `agentbox check`. Pure.

#include "agentbox/policy/facts.hpp"
#include "agentbox/profile/profile.hpp"

namespace agentbox::policy {

// Grants that no machine would give, as they are written: a whole home, /etc, what holds agentbox's own state. Of
// `user` the folders alone are looked at. What only a look at the disk tells (a link that leads there) is left to
// `decide`.
[[nodiscard]] base::Diagnostics refused_everywhere(const profile::Profile& profile, const HostFacts& user);

// One sentence where a room of this profile protects nothing in a workspace that it can write to; else nothing. Of the
// profile alone, which may mean it.
[[nodiscard]] std::optional<base::Diagnostic> unprotected(const profile::Profile& profile);

}  // namespace agentbox::policy
