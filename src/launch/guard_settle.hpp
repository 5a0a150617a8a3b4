#pragma once

// What is done for a run whose room is dead: by its own supervisor at the end, or by the next one's sweep.

#include <functional>
#include <optional>
#include <unordered_map>
#include <vector>

#include "agentbox/base/path.hpp"
#include "agentbox/launch/guard.hpp"

#include "guard_tree.hpp"
#include "record.hpp"

namespace agentbox::launch {

// Each thing that can't be settled is one `unverified`, and the others go on. `until_ns`: see Settling.
//
// Watched names that are there, and links in git directories.
[[nodiscard]] std::vector<GuardEvent> take_strays(const Record& record, const Tree& tree,
                                                  const base::AbsPath& state_folder,
                                                  std::optional<std::int64_t> until_ns);
// Held files, but for those of which `is_kept` says that their owner wants them as they are.
using IsKept = std::function<bool(const HeldPath&)>;
[[nodiscard]] std::vector<GuardEvent> settle_held(const Record& record, const RunFolder& folder, const Tree& tree,
                                                  const base::AbsPath& state_folder,
                                                  std::optional<std::int64_t> until_ns, const IsKept& is_kept = {});

// Removes the ghost directories that are empty and that no living run relies on. `known` are what was seen of
// them in the room's time, where that is known: what isn't the same any more stays.
using KnownGhosts = std::unordered_map<base::AbsPath, Entry>;
void remove_ghosts(const RunsLock& runs, const Record& record, const Tree& tree, const base::AbsPath& state_folder,
                   const KnownGhosts& known, Spares& spares);

}  // namespace agentbox::launch
