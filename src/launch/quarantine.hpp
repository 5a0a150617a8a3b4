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

// May somebody go on writing what he has open? A program that has just made a file has written nothing to it yet: what
// it writes after the file was taken belongs to the item.
enum class Writers { none, maybe };

struct Taken {
  std::string id;
  base::UniqueFd file;  // with Writers::maybe: the file itself, for `seal`
};

// Takes the entry `name` of `directory`, whatever it is; nothing when there is no such entry. The item's description is
// on disk before the entry goes. A regular file is copied and removed, or (Writers::maybe) renamed, to be sealed later;
// what is too big to be copied and everything else is renamed; across file systems all is copied, up to a bound. Throws
// base::SystemError when it can't be taken: it is then still in its place.
[[nodiscard]] std::optional<Taken> take(const Taking& taking, int directory, const std::string& name, Writers writers);

// When nobody writes any more: gives the item a copy of its own of all that was written.
void seal(const base::AbsPath& state_folder, const Taken& taken);
// The same for all items of a run that was killed.
void seal_all(const base::AbsPath& state_folder, std::string_view session);

// Keeps `file` as an item without taking anything.
[[nodiscard]] std::string keep(const Taking& taking, const NewFile& file);

}  // namespace agentbox::launch
