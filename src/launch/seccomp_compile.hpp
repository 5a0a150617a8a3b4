#pragma once

// SeccompProgram → the BPF bytes that the kernel takes.

#include <vector>

#include <linux/filter.h>

#include "agentbox/base/unique_fd.hpp"
#include "agentbox/plan/seccomp.hpp"

namespace agentbox::launch {

// The filter for this machine, in a sealed memfd that is positioned at its start: what bwrap's
// --add-seccomp-fd reads. Throws base::SystemError.
[[nodiscard]] base::UniqueFd compile(const plan::SeccompProgram& program);

// The same as values, and for any architecture.
[[nodiscard]] std::vector<sock_filter> assemble(const plan::SeccompProgram& program, plan::Architecture architecture);

}  // namespace agentbox::launch
