#pragma once

// Stops every process of a room and lets them go on, without a cgroup: SIGSTOP until nothing runs.

#include <set>

#include <sys/types.h>

namespace agentbox::launch {

class Freezer {
 public:
  // `init` is the room's first process, as the host numbers it: all others descend from it.
  explicit Freezer(pid_t init) : init_(init) {}

  // Both nest. Throws base::SystemError when something in the room still runs after two seconds.
  void freeze();
  void thaw();
  [[nodiscard]] bool is_frozen() const noexcept { return depth_ > 0; }

 private:
  pid_t init_;
  int depth_ = 0;
  std::set<pid_t> stopped_;  // by us; who was stopped before stays so
};

}  // namespace agentbox::launch
