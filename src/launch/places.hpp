#pragma once

#include <vector>

#include "agentbox/base/path.hpp"
#include "agentbox/policy/facts.hpp"

namespace agentbox::launch {

// mkdir -p; what is made gets mode 0700, and is added to `made`, parents first. Throws base::SystemError.
void make_private_folders(const base::AbsPath& path, std::vector<base::AbsPath>* made = nullptr);
// Of these, what is still empty. A failure is no matter: they are empty folders.
void remove_empty_folders(const std::vector<base::AbsPath>& made) noexcept;

// $XDG_STATE_HOME/agentbox, made 0700 if missing. Throws base::SystemError when it is not this user's alone.
[[nodiscard]] base::AbsPath state_folder(const policy::HostFacts& facts);

// agentbox-init: beside this very program in an installation ($prefix/libexec/agentbox) or in the build tree. Throws
// base::SystemError when it is missing, or writable by others.
[[nodiscard]] base::AbsPath init_program();
// agentbox-room, which is `agentbox` in the room: as above.
[[nodiscard]] base::AbsPath room_program();

}  // namespace agentbox::launch
