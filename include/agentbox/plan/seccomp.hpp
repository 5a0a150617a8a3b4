#pragma once

// The system calls that the room denies, as data with a reason beside each entry. `launch` compiles it.
//
// The filter is a deny list for the calls that this file's authors have read about, and closed for all
// others: a number that no kernel had when this was written is answered like a kernel that doesn't have it
// (ENOSYS), so that an update of the kernel opens nothing.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agentbox/base/diagnostic.hpp"

namespace agentbox::plan {

enum class SeccompAction { kill_process, errno_ };

// One condition on one argument. A denial must not be dodged by bits that the kernel throws away, and a
// permission must not be stretched by them: so the first two tests look at the low 32 bits, which is all that
// the kernel reads of the arguments named here, and the last one at all 64.
struct SeccompArgument {
  enum class Test {
    is,          // (low 32 bits & mask) == values[0]
    any_bit,     // (low 32 bits & mask) != 0
    not_one_of,  // the 64 bits are none of `values`
  };
  unsigned index = 0;  // 0-5
  Test test = Test::is;
  std::uint32_t mask = 0xffffffff;
  std::vector<std::uint32_t> values;  // ascending, without duplicates
  std::string_view text;              // for people: "TIOCSTI"
};

struct SeccompRule {
  std::string_view syscall;                // kernel name; points into system_calls()
  std::vector<SeccompArgument> arguments;  // all must hold, each with another index; empty: always
  int error = 1;                           // errno that the caller sees (EPERM by default)
  std::string_view group;                  // the name by which a profile lifts it: "ptrace", "keyring", "io_uring", ...
  std::string_view reason;                 // one sentence
};

struct SeccompGroup {
  enum class Lift { never, by_profile };
  std::string_view name;
  Lift lift = Lift::never;
  std::string_view what;  // half a sentence: "debugging other processes"
};

struct SeccompProgram {
  std::vector<SeccompRule> rules;
  // Calls of another architecture (i386, x32) are killed: the filter's numbers would not fit them.
  SeccompAction foreign_architecture = SeccompAction::kill_process;
};

// Every rule of the base filter, in order, group by group.
[[nodiscard]] const std::vector<SeccompRule>& base_filter();
// Every group of the base filter, in order.
[[nodiscard]] std::span<const SeccompGroup> seccomp_groups();
// The names that [seccomp] allow may lift. "userns" stands for namespaces and the mount API together.
[[nodiscard]] std::vector<std::string_view> liftable_groups();

// What is wrong with one entry of [seccomp] allow or deny: message and hint, no position. Nothing when it is
// fine.
[[nodiscard]] std::optional<base::Diagnostic> check_seccomp_allow(std::string_view group);
[[nodiscard]] std::optional<base::Diagnostic> check_seccomp_deny(std::string_view system_call);

// The base filter without the lifted groups and with the denied system calls added; deny beats allow. The
// names must have passed the checks above: std::invalid_argument for one that has not.
[[nodiscard]] SeccompProgram seccomp_program(const std::vector<std::string>& allow,
                                             const std::vector<std::string>& deny);
// What `explain --seccomp` prints.
[[nodiscard]] std::string describe(const SeccompProgram& program);

// ---- numbers, for the compiler ----------------------------------------------------------------------

enum class Architecture { x86_64, aarch64 };

struct NumberRange {
  std::uint32_t first = 0, last = 0;
};
// The numbers that the base filter has an opinion on, ascending; any other is answered with ENOSYS. The gaps
// are the kernel's own, among them 512-547 of x86-64, where kernels before 5.4 ran x32 calls without the x32
// bit.
[[nodiscard]] std::span<const NumberRange> judged_numbers(Architecture architecture);
// The number of a call that is younger than the libseccomp of stable distributions; the same on every
// architecture.
[[nodiscard]] std::optional<std::uint32_t> young_number(std::string_view system_call);
// The kernel names of all system calls of x86-64 and aarch64, sorted.
[[nodiscard]] std::span<const std::string_view> system_calls();

}  // namespace agentbox::plan
