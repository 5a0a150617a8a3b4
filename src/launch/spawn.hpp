#pragma once

// Starts bwrap (DESIGN §4.2): empty environment, options through a descriptor, nothing inherited by accident.

#include "agentbox/base/unique_fd.hpp"
#include "agentbox/plan/plan.hpp"
#include "streams.hpp"

#include <string>

#include <sys/types.h>

namespace agentbox::launch {

// A bwrap that lays its floor and then waits on `block`. Its own messages come on `errors`.
struct Spawned {
  pid_t bwrap = -1;
  base::UniqueFd pidfd;
  base::UniqueFd info;   // JSON with the child's pid
  base::UniqueFd block;  // a byte: go. End-of-file is also a "go": see the header of run.cpp
  base::UniqueFd errors;
  base::UniqueFd control;  // SOCK_SEQPACKET to init
};

// `seccomp` is a memfd with the compiled filter. `marker` is a directory that bwrap makes as its last step,
// so that the helper can tell the floor from what was there before. Throws base::SystemError.
[[nodiscard]] Spawned spawn(const base::AbsPath& bwrap, const plan::LaunchPlan& plan, const Streams& streams,
                            base::UniqueFd seccomp, const std::string& marker);

// Reads bwrap's info until it names the child. 0 when bwrap ended without it: `errors` says why.
[[nodiscard]] pid_t read_child_pid(const Spawned& spawned);

// What bwrap said on its standard error, escaped, one line; empty if nothing. Call it when bwrap has ended.
[[nodiscard]] std::string read_errors(const Spawned& spawned);

}  // namespace agentbox::launch
