#include "seccomp_compile.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agentbox/base/error.hpp"

namespace agentbox::launch {
namespace {

using plan::Architecture;
using plan::SeccompArgument;
using plan::SeccompRule;

constexpr std::uint32_t x32_bit = 0x40000000;

struct Release {
  void operator()(void* context) const noexcept { ::seccomp_release(context); }
};
using Context = std::unique_ptr<void, Release>;

std::uint32_t token(Architecture architecture) {
  return architecture == Architecture::aarch64 ? SCMP_ARCH_AARCH64 : SCMP_ARCH_X86_64;
}

void check(int result, const std::string& what) {
  if (result < 0) throw base::SystemError(-result, what);
}

// ---- conditions ----------------------------------------------------------------------------------------

// libseccomp compares one argument once in a rule, so "none of these values" becomes several rules: one for each
// aligned block of 2^n values in the gaps between them, and one for everything above the last.
void blocks_of_gap(unsigned index, std::uint64_t first, std::uint64_t end, std::vector<scmp_arg_cmp>& out) {
  while (first < end) {
    std::uint64_t size = first == 0 ? std::uint64_t{1} << 32U : first & (~first + 1);  // its alignment
    while (size > end - first) size /= 2;
    out.push_back({index, SCMP_CMP_MASKED_EQ, ~(size - 1), first});
    first += size;
  }
}

std::vector<scmp_arg_cmp> comparisons(const SeccompArgument& argument) {
  std::vector<scmp_arg_cmp> out;
  switch (argument.test) {
    case SeccompArgument::Test::is:
      out.push_back({argument.index, SCMP_CMP_MASKED_EQ, argument.mask, argument.values.at(0)});
      break;
    case SeccompArgument::Test::any_bit:
      for (std::uint64_t bit = 1; bit <= argument.mask; bit *= 2)
        if ((argument.mask & bit) != 0) out.push_back({argument.index, SCMP_CMP_MASKED_EQ, bit, bit});
      break;
    case SeccompArgument::Test::not_one_of: {
      if (argument.values.size() == 1) {
        out.push_back({argument.index, SCMP_CMP_NE, argument.values[0], 0});
        break;
      }
      std::uint64_t next = 0;
      for (const std::uint32_t value : argument.values) {
        blocks_of_gap(argument.index, next, value, out);
        next = std::uint64_t{value} + 1;
      }
      out.push_back({argument.index, SCMP_CMP_GE, next, 0});
      break;
    }
  }
  return out;
}

// Every combination of the alternatives of each argument.
std::vector<std::vector<scmp_arg_cmp>> alternatives(const SeccompRule& rule) {
  std::vector<std::vector<scmp_arg_cmp>> all = {{}};
  for (const SeccompArgument& argument : rule.arguments) {
    const std::vector<scmp_arg_cmp> tests = comparisons(argument);
    std::vector<std::vector<scmp_arg_cmp>> longer;
    for (const auto& prefix : all) {
      for (const scmp_arg_cmp& test : tests) {
        longer.push_back(prefix);
        longer.back().push_back(test);
      }
    }
    all = std::move(longer);
  }
  return all;
}

// ---- libseccomp's part ---------------------------------------------------------------------------------

Context make_context(Architecture architecture, plan::SeccompAction foreign) {
  if (foreign != plan::SeccompAction::kill_process)
    throw std::invalid_argument("seccomp: calls of a foreign architecture must be killed");
  Context context(::seccomp_init(SCMP_ACT_ALLOW));
  if (context == nullptr) throw base::SystemError(ENOMEM, "cannot make a seccomp filter");
  check(::seccomp_attr_set(context.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS),
        "cannot set the seccomp filter's answer to foreign system calls");
  // A binary tree over the numbers instead of a list: every call of the room walks it.
  check(::seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2), "cannot optimise the seccomp filter");
  if (const std::uint32_t wanted = token(architecture); wanted != ::seccomp_arch_native()) {
    check(::seccomp_arch_add(context.get(), wanted), "cannot add the seccomp filter's architecture");
    check(::seccomp_arch_remove(context.get(), SCMP_ARCH_NATIVE), "cannot remove the native architecture");
  }
  return context;
}

void add_rule(void* context, const SeccompRule& rule) {
  const int native = ::seccomp_syscall_resolve_name(std::string(rule.syscall).c_str());
  for (const auto& tests : alternatives(rule)) {
    check(::seccomp_rule_add_array(context, SCMP_ACT_ERRNO(static_cast<std::uint32_t>(rule.error)), native,
                                   static_cast<unsigned>(tests.size()), tests.empty() ? nullptr : tests.data()),
          "cannot deny the system call " + std::string(rule.syscall));
  }
}

base::UniqueFd memory_file() {
  constexpr unsigned noexec_seal = 8;  // MFD_NOEXEC_SEAL, Linux 6.3; needed where vm.memfd_noexec is 2
  constexpr unsigned flags = MFD_CLOEXEC;
  base::UniqueFd fd(::memfd_create("agentbox-seccomp", flags | noexec_seal));
  if (!fd && errno == EINVAL) fd.reset(::memfd_create("agentbox-seccomp", flags));
  if (!fd) throw base::SystemError(errno, "cannot make a memory file for the seccomp filter");
  return fd;
}

// libseccomp 2.5 exports to a descriptor only.
std::vector<sock_filter> export_filter(void* context) {
  const base::UniqueFd fd = memory_file();
  check(::seccomp_export_bpf(context, fd.get()), "cannot compile the seccomp filter");
  const off_t size = ::lseek(fd.get(), 0, SEEK_END);
  if (size <= 0 || static_cast<std::size_t>(size) % sizeof(sock_filter) != 0)
    throw base::SystemError(0, "libseccomp gave no whole filter");
  std::vector<sock_filter> filter(static_cast<std::size_t>(size) / sizeof(sock_filter));
  if (::pread(fd.get(), filter.data(), static_cast<std::size_t>(size), 0) != size)
    throw base::SystemError(errno, "cannot read the seccomp filter");
  return filter;
}

// ---- our part ----------------------------------------------------------------------------------------

// A denied call that libseccomp has no name for.
struct Young {
  std::uint32_t number = 0;
  int error = 0;
};

// Runs before libseccomp's program, which it leaves as it is: jumps are relative. It passes on what
// libseccomp kills (a foreign architecture, x32) and what has been judged; it answers the rest.
//
//   load the architecture;  not ours? → libseccomp
//   load the number;        x32?      → libseccomp
//   a young denied call?    → its error
//   in a judged range?      → libseccomp
//   → ENOSYS
std::vector<sock_filter> prologue(Architecture architecture, std::span<const Young> young) {
  const std::span<const plan::NumberRange> ranges = plan::judged_numbers(architecture);
  const auto load = [](std::size_t offset) {
    return sock_filter{BPF_LD | BPF_W | BPF_ABS, 0, 0, static_cast<std::uint32_t>(offset)};
  };
  const auto answer = [](int error) {
    return sock_filter{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error)};
  };
  const bool x32 = architecture == Architecture::x86_64;
  const std::size_t size = 4 + (x32 ? 1 : 0) + 2 * young.size() + 2 * ranges.size() - 1;
  std::vector<sock_filter> code;
  // A jump over the rest of the prologue, from the instruction that is appended next.
  const auto to_end = [&] {
    const std::size_t distance = size - code.size() - 1;
    if (distance > std::numeric_limits<std::uint8_t>::max()) throw std::length_error("seccomp: prologue too long");
    return static_cast<std::uint8_t>(distance);
  };
  const auto jump = [](int test, std::uint32_t value, std::uint8_t yes, std::uint8_t no) {
    return sock_filter{static_cast<std::uint16_t>(BPF_JMP | test | BPF_K), yes, no, value};
  };

  code.push_back(load(offsetof(seccomp_data, arch)));
  code.push_back(jump(BPF_JEQ, token(architecture), 0, to_end()));
  code.push_back(load(offsetof(seccomp_data, nr)));
  if (x32) code.push_back(jump(BPF_JGE, x32_bit, to_end(), 0));
  for (const Young& call : young) {
    code.push_back(jump(BPF_JEQ, call.number, 0, 1));
    code.push_back(answer(call.error));
  }
  for (const plan::NumberRange& range : ranges) {
    if (range.first != 0) code.push_back(jump(BPF_JGE, range.first, 0, 1));
    code.push_back(jump(BPF_JGT, range.last, 0, to_end()));
  }
  code.push_back(answer(ENOSYS));
  return code;
}

}  // namespace

std::vector<sock_filter> assemble(const plan::SeccompProgram& program, Architecture architecture) {
  const Context context = make_context(architecture, program.foreign_architecture);
  std::vector<Young> young;
  for (const SeccompRule& rule : program.rules) {
    const int number = ::seccomp_syscall_resolve_name_arch(token(architecture), std::string(rule.syscall).c_str());
    if (number >= 0) {
      add_rule(context.get(), rule);
    } else if (const std::optional<std::uint32_t> known = plan::young_number(rule.syscall)) {
      if (!rule.arguments.empty()) throw std::invalid_argument("seccomp: a condition on a young system call");
      young.push_back({*known, rule.error});
    } else if (number == __NR_SCMP_ERROR) {
      throw base::SystemError(0, "libseccomp doesn't know the system call " + std::string(rule.syscall),
                              "libseccomp 2.5.4 or later is needed");
    }
    // Any other negative number: this architecture doesn't have the call.
  }
  std::vector<sock_filter> code = prologue(architecture, young);
  const std::vector<sock_filter> rest = export_filter(context.get());
  code.insert(code.end(), rest.begin(), rest.end());
  return code;
}

void compile(const plan::SeccompProgram& program, base::UniqueFd to) {
#if defined(__x86_64__) && !defined(__ILP32__)
  constexpr Architecture native = Architecture::x86_64;
#elif defined(__aarch64__) && defined(__AARCH64EL__)
  constexpr Architecture native = Architecture::aarch64;
#else
#error "agentbox has a seccomp filter for x86-64 and aarch64 only"
#endif
  const std::vector<sock_filter> code = assemble(program, native);
  const std::size_t size = code.size() * sizeof(sock_filter);
  if (::write(to.get(), code.data(), size) == static_cast<ssize_t>(size)) return;
  // Who should read it is gone, and its own words will be told.
  if (errno != EPIPE) throw base::SystemError(errno, "cannot write the seccomp filter");
}

}  // namespace agentbox::launch
