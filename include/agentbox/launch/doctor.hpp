#pragma once

// What this machine can and can't enforce, found out by doing it: every finding is of something that was tried here
// and now, in a child process that leaves nothing behind. What could not be tried is not claimed.

#include <string>
#include <vector>

namespace agentbox::launch {

struct Finding {
  enum class Group { room, limits, folders, later };  // later: for gates that this version doesn't have yet
  enum class State { ok, warning, missing };
  std::string id;  // stable, for scripts: "user-namespaces"
  Group group = Group::room;
  State state = State::ok;
  std::string what;  // "user namespaces"
  std::string text;  // what was found and what it means, in plain words; what came from outside is escaped
  std::string mend;  // how to mend it; several lines where it takes several steps; empty where nothing need be done
};

struct Diagnosis {
  std::vector<Finding> findings;  // in the order in which they are shown
  // Nothing that a room needs is missing.
  [[nodiscard]] bool can_build_rooms() const;
};

// Takes a fraction of a second. The process must have one thread.
[[nodiscard]] Diagnosis examine();

}  // namespace agentbox::launch
