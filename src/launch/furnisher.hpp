#pragma once

// Carries out furnishings in a room (DESIGN §4.3), by descriptors, never by a path that could be swapped
// underneath. Works in the helper, which has all rights over the room's mounts and none over the owner's
// beyond the owner's own.

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "agentbox/base/unique_fd.hpp"
#include "agentbox/plan/plan.hpp"

#include "namespaces.hpp"

namespace agentbox::launch {

class Furnisher {
 public:
  // On the host's side. Nothing is made yet.
  explicit Furnisher(Namespaces& namespaces) : namespaces_(namespaces) {}

  // What can be done while bwrap still lays its floor: clones init and the first sources.
  void clone_ahead(std::span<const plan::Furnishing> furnishings, const base::AbsPath& init);
  // In the finished room, once: what the furnishings and init need to be placed on.
  void prepare_room();
  // In order. Throws base::SystemError naming the object that can't be placed: the room must then not start.
  void furnish(std::span<const plan::Furnishing> furnishings);
  // The last step: from here on bwrap finds something to execute.
  void place_init();

 private:
  // The clones of a batch's sources, empty for what is not a Bind.
  [[nodiscard]] std::vector<base::UniqueFd> clone_batch(std::span<const plan::Furnishing> batch);
  void carry_out(const plan::Furnishing& furnishing, base::UniqueFd& tree);
  [[nodiscard]] base::UniqueFd clone(const plan::Bind& bind);
  void place(const base::UniqueFd& tree, const base::AbsPath& target, policy::FileKind kind);

  struct Folder {
    base::AbsPath path;
    base::UniqueFd fd;
    bool is_own = false;  // on one of the room's own tmpfs
  };
  // The directory that holds `target`, with what is missing on the way made, but only on the room's own tmpfs.
  const Folder& open_folder_of(const base::AbsPath& target);
  // An empty file or directory to place a mount on, unless there is one.
  void make_target(const Folder& folder, const base::AbsPath& target, policy::FileKind kind);

  void operator()(const plan::MakeTmpfs& furnishing);
  void operator()(const plan::MakeFile& furnishing);
  void operator()(const plan::MakeLink& furnishing);
  void operator()(const plan::Mask& furnishing);
  void operator()(const plan::Ghost& furnishing);
  void operator()(const plan::Seal& furnishing);

  Namespaces& namespaces_;
  // Mount ids of the room's own tmpfs: only there may a missing target be made.
  std::set<std::uint64_t> own_;
  // The last one that was opened: dozens of things lie side by side in /etc. One of the host's is opened each time, since
  // another room may be at work in it.
  Folder folder_;
  std::vector<base::UniqueFd> ahead_;
  base::UniqueFd init_;
};

}  // namespace agentbox::launch
