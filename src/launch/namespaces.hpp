#pragma once

// The helper's way between the owner's files and the waiting room. The namespaces of a bwrap child belong to
// the user namespace in which they were made, which is not always the child's own: the kernel is asked
// (NS_GET_USERNS).
//
// Two mount namespaces are open at once: `room`, and `host`, a private copy of the owner's made in the same
// user namespace. What the room gets is cloned in `host` and moved into `room`, so that the host's tree
// itself is never in the room, not for a moment, and a mount can be placed again at any later time.

#include <string>
#include <utility>

#include <sys/types.h>

#include "agentbox/base/unique_fd.hpp"

namespace agentbox::launch {

class Namespaces {
 public:
  // In a process with one thread, which stays in the room's user and network namespace from here on. `bwrap`
  // is the room child's parent (proof that `child` is the process that bwrap named). Throws
  // base::SystemError.
  Namespaces(pid_t bwrap, pid_t child);

  // Waits until bwrap has laid its floor, whose last piece is the directory `marker`. Then, and after each
  // `enter_room`, paths are the room's. Throws after ten seconds.
  void enter_finished_room(const std::string& marker);
  void enter_room();
  // Paths are the owner's.
  void enter_host();
  [[nodiscard]] base::UniqueFd take_processes() { return std::move(processes_); }  // the room's pid namespace

 private:
  [[nodiscard]] bool is_finished(const std::string& marker);
  std::string mount_namespace_path_;
  base::UniqueFd host_, room_, processes_;
};

}  // namespace agentbox::launch
