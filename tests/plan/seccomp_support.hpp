#pragma once

// A compiled filter that a test can ask: what does this call get?

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>
#include <vector>

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>

#include "agentbox/plan/seccomp.hpp"

#include "../../src/launch/seccomp_compile.hpp"
#include "../support/bpf_interpreter.hpp"

namespace agentbox::test {

using plan::Architecture;

inline constexpr std::uint32_t allow = SECCOMP_RET_ALLOW;
inline constexpr std::uint32_t killed = SECCOMP_RET_KILL_PROCESS;
constexpr std::uint32_t error(int code) {
  return SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(code);
}

inline constexpr Architecture both[] = {Architecture::x86_64, Architecture::aarch64};

inline std::uint32_t audit_token(Architecture architecture) {
  return architecture == Architecture::x86_64 ? AUDIT_ARCH_X86_64 : AUDIT_ARCH_AARCH64;
}

// Negative where the architecture doesn't have the call.
inline long number(Architecture architecture, std::string_view name) {
  if (const auto young = plan::young_number(name)) return *young;
  const std::uint32_t token = architecture == Architecture::x86_64 ? SCMP_ARCH_X86_64 : SCMP_ARCH_AARCH64;
  return ::seccomp_syscall_resolve_name_arch(token, std::string(name).c_str());
}

using Arguments = std::array<std::uint64_t, 6>;

struct Filter {
  Architecture architecture;
  std::vector<sock_filter> code;

  explicit Filter(Architecture which, const plan::SeccompProgram& program = plan::seccomp_program({}, {}))
      : architecture(which), code(launch::assemble(program, which)) {}

  [[nodiscard]] Outcome run(long nr, const Arguments& arguments = {}, std::uint32_t token = 0) const {
    seccomp_data call{};
    call.nr = static_cast<int>(nr);
    call.arch = token == 0 ? audit_token(architecture) : token;
    std::ranges::copy(arguments, call.args);
    return test::run(code, call);
  }
  [[nodiscard]] std::uint32_t operator()(long nr, const Arguments& arguments = {}, std::uint32_t token = 0) const {
    return run(nr, arguments, token).action;
  }
  [[nodiscard]] std::uint32_t operator()(std::string_view name, const Arguments& arguments = {}) const {
    const long nr = number(architecture, name);
    if (nr < 0) throw std::runtime_error("no such call: " + std::string(name));
    return run(nr, arguments).action;
  }
};

inline bool judged(Architecture architecture, long nr) {
  return std::ranges::any_of(plan::judged_numbers(architecture), [&](const plan::NumberRange& range) {
    return nr >= static_cast<long>(range.first) && nr <= static_cast<long>(range.last);
  });
}

}  // namespace agentbox::test
