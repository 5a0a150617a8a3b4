#pragma once

// Stops every process of a room and lets them go on.

#include <functional>

#include <sys/types.h>

#include "census.hpp"
#include "tracer.hpp"

namespace agentbox::launch {

class RoomCgroup;

class Freezer {
 public:
  // `init` is the room's first process, as the host numbers it. With a group of the room's own the kernel freezes that;
  // without one a tracer holds everybody on the census.
  Freezer(pid_t init, int death, RoomCgroup* group, std::function<Census(Stop)> census)
      : group_(group), tracer_(init, death, std::move(census)) {}

  // Both nest. Throws base::SystemError when something in the room still runs after two seconds: nothing is frozen
  // then.
  void freeze();
  void thaw();
  [[nodiscard]] bool is_frozen() const noexcept { return depth_ > 0; }

 private:
  RoomCgroup* group_;
  Tracer tracer_;
  int depth_ = 0;
};

}  // namespace agentbox::launch
