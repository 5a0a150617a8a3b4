#pragma once

// Which bwrap builds the rooms, and whether it can be trusted. It is looked up in fixed folders, never
// through PATH: an agent of yesterday may have put another one there.

#include <optional>

#include "agentbox/policy/facts.hpp"

namespace agentbox::launch {

[[nodiscard]] std::optional<policy::BwrapFact> look_at_bwrap(policy::Disk& disk);

// The first reason why the program at `path` can't be trusted; empty if none. Everything on the way to it,
// links included, must belong to root and be closed to others. Pure but for `disk`.
[[nodiscard]] std::string distrust_of_program(const base::AbsPath& path, policy::Disk& disk);

}  // namespace agentbox::launch
