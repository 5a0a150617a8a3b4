#pragma once

// What is written down before a room is made: the record, and the copies of what is held.

#include <string>
#include <vector>

#include "agentbox/base/path.hpp"
#include "agentbox/policy/policy.hpp"

#include "guard_names.hpp"
#include "guard_tree.hpp"
#include "record.hpp"

namespace agentbox::launch {

struct WrittenDown {
  Record record;
  RunFolder folder;
};

// Then makes the ghosts that the record names. Throws base::SystemError, and has then left nothing. `started` is in seconds since 1970.
[[nodiscard]] WrittenDown write_down(const policy::Policy& policy, const std::vector<GuardedName>& names,
                                     const Tree& tree, const base::AbsPath& state_folder, const std::string& session,
                                     std::int64_t started);

}  // namespace agentbox::launch
