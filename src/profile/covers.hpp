#pragma once

// "Wide covers narrow": everything that `narrow` could match, `wide` matches too. Only what is provable from
// the texts: a false "no" is harmless, a false "yes" would call a useful rule useless or let a workspace file
// widen a profile.

#include "agentbox/profile/profile.hpp"

namespace agentbox::profile {

[[nodiscard]] bool covers(const HostRule& wide, const HostRule& narrow);
[[nodiscard]] bool covers(const CommandPattern& wide, const CommandPattern& narrow);
// The path itself or one below it.
[[nodiscard]] bool covers(const PathText& wide, const PathText& narrow);
[[nodiscard]] bool covers(const RecipientRule& wide, const RecipientRule& narrow);
// Names of variables and system calls, "LC_*".
[[nodiscard]] bool covers(const std::string& wide, const std::string& narrow);

}  // namespace agentbox::profile
