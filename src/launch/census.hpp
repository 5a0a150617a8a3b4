#pragma once

// Who lives in a room, exactly: a list that no chain of processes, each of which forks the next and ends, slips
// through.

#include <vector>

#include <sys/types.h>

#include "agentbox/base/unique_fd.hpp"

namespace agentbox::launch {

struct Census {
  // Nothing began to live in the room while it was counted: whoever is not on the list was not there at its end.
  bool is_exact = false;
  std::vector<pid_t> processes;  // as the receiver numbers them
};

enum class Stop { nobody, everybody };

// The helper's part. It sends a child into the room's pid namespace to count there.
class CensusTaker {
 public:
  // In the room's mount namespace, before the agent starts. `pid_namespace` is the room's.
  explicit CensusTaker(base::UniqueFd pid_namespace);
  // With Stop::everybody the room is sent SIGSTOP first, all at once. Throws base::SystemError.
  void take(Stop stop, int answers) const;

 private:
  [[noreturn]] void count(Stop stop, int answers) const noexcept;
  [[nodiscard]] bool is_inside() const noexcept;
  [[nodiscard]] long last_pid() const noexcept;
  bool list(std::vector<pid_t>& found) const;

  base::UniqueFd pid_namespace_, proc_;
  ino_t inode_ = 0;
};

// The supervisor's part. `socket` is its end of a pair of the kind SOCK_SEQPACKET, with SO_PASSCRED set.
[[nodiscard]] Census receive_census(int socket);

}  // namespace agentbox::launch
