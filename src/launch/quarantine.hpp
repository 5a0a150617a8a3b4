#pragma once

// How things get into the quarantine (agentbox/launch/quarantine.hpp says how they get out).

#include <optional>
#include <string>

#include "agentbox/base/path.hpp"
#include "agentbox/launch/quarantine.hpp"

#include "guard_tree.hpp"

namespace agentbox::launch {

// Bytes of a file that were kept as their own file in the quarantine, so that nothing which still has the
// original open, or another name for it, can change them after its owner has looked.
inline constexpr std::uint64_t quarantine_copy_limit = 64ULL << 20;

struct Taking {
  base::AbsPath state_folder;
  base::AbsPath path;  // where it stands
  std::string session, profile;
  std::string why;
};

// Takes the entry `name` of `directory`, whatever it is, and gives the new item's id; nothing when there is
// no such entry. The item is on disk before the entry goes. A regular file is copied and removed; what is too
// big for that and everything else is renamed; across file systems a directory is copied, up to a bound.
// Throws base::SystemError when it can't be taken: it is then still in its place.
[[nodiscard]] std::optional<std::string> take(const Taking& taking, int directory, const std::string& name);

// Keeps `file` as an item without taking anything.
[[nodiscard]] std::string keep(const Taking& taking, const NewFile& file);

}  // namespace agentbox::launch
