#pragma once

#include <map>
#include <optional>
#include <string>

#include "agentbox/policy/facts.hpp"

namespace agentbox::launch {

// The device nodes and sockets that `[devices]` may grant, each only if it is what its name says: a character
// device of root's below /dev, a socket of this user's. `runtime_dir` has been checked to be this user's
// alone.
[[nodiscard]] policy::DeviceFact look_at_devices(const std::map<std::string, std::string>& environment,
                                                 const std::optional<base::AbsPath>& runtime_dir, std::uint32_t uid,
                                                 policy::Disk& disk);

}  // namespace agentbox::launch
