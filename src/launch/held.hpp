#pragma once

// Held files: copied before the room is made, compared after it is dead, restored where nobody can be asked.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agentbox/base/path.hpp"
#include "agentbox/launch/guard.hpp"

#include "guard_tree.hpp"
#include "quarantine.hpp"
#include "record.hpp"

namespace agentbox::launch {

// What one run may hold: beyond it the launch stops, for a held file that isn't copied isn't held.
inline constexpr std::uint64_t held_bytes_limit = 64ULL << 20;
inline constexpr std::size_t held_entries_limit = 4096;
inline constexpr int held_depth_limit = 16;

// Looks at what stands at `path` and appends the bytes to `copies`, from `offset` on, which moves. Throws
// base::SystemError with a hint when it is more than may be held.
[[nodiscard]] HeldPath hold(const Tree& tree, const base::AbsPath& path, int copies, std::uint64_t& offset);

// The same held path of another run that is alive: what was there before the first of both began is the
// original.
[[nodiscard]] HeldPath hold_as(const HeldPath& other, int other_copies, int copies, std::uint64_t& offset);

// How what a dead room left is judged, at the end of a run and by a sweep.
struct Settling {
  const Tree& tree;
  Taking taking;  // `path` and `why` are filled in for each thing
  int copies = -1;
  std::string note;  // what to add to a `restored`: that the branch was switched
  // Only in a sweep: what changed after this moment (ctime, nanoseconds) was not the room's doing.
  std::optional<std::int64_t> until_ns;
  // Only while the room runs: where what was taken goes until it can be sealed.
  std::vector<Taken>* unsealed = nullptr;
};

// Compares, restores, quarantines; at most a few events. Throws base::SystemError when it can't be brought
// back.
[[nodiscard]] std::vector<GuardEvent> settle(Settling& settling, const HeldPath& held);

// Takes what stands at the path, if anything does. Where a directory on the way has become a link, takes the
// link: only if something is reached through it, or in any case (while the room runs, for something may be
// put there any time). Gives the event, if anything was done.
enum class Link { if_reached, always };
[[nodiscard]] std::optional<GuardEvent> take_away(Settling& settling, const base::AbsPath& path, const std::string& why,
                                                  Link link = Link::if_reached);

}  // namespace agentbox::launch
