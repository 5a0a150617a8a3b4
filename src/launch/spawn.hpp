#pragma once

// Starts bwrap (DESIGN §4.2): empty environment, options through a descriptor, nothing inherited by accident.

#include <string>

#include <sys/types.h>

#include "agentbox/base/unique_fd.hpp"
#include "agentbox/plan/plan.hpp"

#include "streams.hpp"

namespace agentbox::launch {

// A bwrap that lays its floor and then waits on `block`. Its own messages come on `errors`. It goes with this
// object, if it is still there, and the whole room with it.
struct Spawned {
  Spawned() = default;
  ~Spawned();
  Spawned(Spawned&&) = delete;

  pid_t bwrap = -1;
  base::UniqueFd pidfd;
  // The room's first process, known after `read_child`. When it has ended, nothing of the room is left: the
  // kernel ends a pid namespace before its first process (pid_namespaces(7)).
  pid_t child = -1;
  base::UniqueFd child_pidfd;
  base::UniqueFd filter;  // where bwrap reads the seccomp filter to end-of-file, before it does anything
  base::UniqueFd info;    // JSON with the child's pid
  base::UniqueFd block;   // a byte: go. End-of-file is also a "go": see the header of run.cpp
  base::UniqueFd errors;
  base::UniqueFd control;  // SOCK_SEQPACKET to init
  base::UniqueFd start;    // what init is to do, until it is sealed
};

// `marker` is a directory that bwrap makes as its last step, so that the helper can tell the floor from what was there
// before. Throws base::SystemError.
void spawn(Spawned& spawned, const base::AbsPath& bwrap, const plan::LaunchPlan& plan, const Streams& streams,
           const std::string& marker);

// The last word on what init is to do; nobody can change it afterwards. `more` is added to the environment where it has no
// such variable. Before the room goes on. Throws base::SystemError.
void seal_start(Spawned& spawned, const plan::InitPlan& init, const Streams& streams,
                const std::vector<std::pair<std::string, std::string>>& more);

// Waits until bwrap names its child. Throws base::SystemError with bwrap's own words when it ends instead.
void read_child(Spawned& spawned);

// Kills the room, if it still lives, waits until nothing of it is left, and reaps bwrap.
void end_room(Spawned& spawned) noexcept;

// What bwrap said on its standard error, escaped, one line; empty if nothing. Call it when bwrap has ended.
[[nodiscard]] std::string read_errors(const Spawned& spawned);

}  // namespace agentbox::launch
