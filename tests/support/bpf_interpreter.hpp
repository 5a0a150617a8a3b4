#pragma once

// Runs seccomp's subset of classic BPF in the test process, so that a filter's answers can be checked without
// a kernel, without root and for another architecture.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include <linux/filter.h>
#include <linux/seccomp.h>

namespace agentbox::test {

struct Outcome {
  std::uint32_t action = 0;  // SECCOMP_RET_*, with its data
  std::size_t steps = 0;     // instructions that were executed
};

// Throws std::runtime_error for whatever the kernel's own checker would refuse: an unknown instruction, a
// jump or a load out of bounds, an end without an answer.
[[nodiscard]] Outcome run(std::span<const sock_filter> program, const seccomp_data& call);

// One instruction a line, jumps with absolute targets: for golden files.
[[nodiscard]] std::string disassemble(std::span<const sock_filter> program);

// "ALLOW", "KILL_PROCESS", "ERRNO(EPERM)"
[[nodiscard]] std::string action_name(std::uint32_t action);

}  // namespace agentbox::test
