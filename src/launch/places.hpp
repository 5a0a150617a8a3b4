#pragma once

#include "agentbox/base/path.hpp"
#include "agentbox/policy/facts.hpp"

namespace agentbox::launch {

// mkdir -p; what is made gets mode 0700. Throws base::SystemError.
void make_private_folders(const base::AbsPath& path);

// $XDG_STATE_HOME/agentbox, made 0700 if missing. Throws base::SystemError when it is not this user's alone.
[[nodiscard]] base::AbsPath state_folder(const policy::HostFacts& facts);

// agentbox-init: beside this very program in an installation ($prefix/libexec/agentbox) or in the build tree. Throws
// base::SystemError when it is missing, or writable by others.
[[nodiscard]] base::AbsPath init_program();
// agentbox-room, which is `agentbox` in the room: as above.
[[nodiscard]] base::AbsPath room_program();

}  // namespace agentbox::launch
