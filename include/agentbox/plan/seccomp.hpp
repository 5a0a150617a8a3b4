#pragma once

// The system calls that the room denies, as data with a reason beside each entry. `launch` compiles it.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace agentbox::plan {

enum class SeccompAction { kill_process, errno_ };

// Compares one argument: (argument & mask) `op` value.
struct SeccompArgument {
  unsigned index = 0;                       // 0-5
  enum class Op { equal, not_equal, masked_equal, greater_equal } op = Op::equal;
  std::uint64_t mask = 0;                   // with masked_equal
  std::uint64_t value = 0;
};

struct SeccompRule {
  std::string_view syscall;                 // kernel name
  std::vector<SeccompArgument> arguments;   // all must hold; empty: always
  int error = 1;                            // errno that the caller sees (EPERM by default)
  std::string_view group;                   // the name by which a profile lifts it: "ptrace", "keyring", "io_uring", ...
  std::string_view reason;                  // one sentence
};

struct SeccompProgram {
  std::vector<SeccompRule> rules;
  // Calls of another architecture (i386, x32) are killed: the filter's numbers would not fit them.
  SeccompAction foreign_architecture = SeccompAction::kill_process;
};

// Every rule of the base filter, in order.
[[nodiscard]] const std::vector<SeccompRule>& base_filter();
// The names that [seccomp] allow may lift. "userns" stands for namespaces and the mount API together.
[[nodiscard]] std::vector<std::string_view> liftable_groups();
// The base filter without the lifted groups and with the denied system calls added.
[[nodiscard]] SeccompProgram seccomp_program(const std::vector<std::string>& allow, const std::vector<std::string>& deny);
// What `explain --seccomp` prints.
[[nodiscard]] std::string describe(const SeccompProgram& program);

}  // namespace agentbox::plan
