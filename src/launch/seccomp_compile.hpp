#pragma once

// SeccompProgram → the BPF bytes that the kernel takes.

#include <vector>

#include <linux/filter.h>

#include "agentbox/base/unique_fd.hpp"
#include "agentbox/plan/seccomp.hpp"

namespace agentbox::launch {

// Writes the filter for this machine to a pipe's end, and closes that: bwrap's --add-seccomp-fd reads to end-of-file. A
// filter has 32 KiB at most, and a pipe holds twice that. SIGPIPE is ignored. Throws base::SystemError.
void compile(const plan::SeccompProgram& program, base::UniqueFd to);

// The same as values, and for any architecture.
[[nodiscard]] std::vector<sock_filter> assemble(const plan::SeccompProgram& program, plan::Architecture architecture);

}  // namespace agentbox::launch
