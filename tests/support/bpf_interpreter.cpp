#include "bpf_interpreter.hpp"

#include <cstring>
#include <stdexcept>

#include <linux/audit.h>

#include <fmt/format.h>

namespace agentbox::test {
namespace {

std::uint32_t load(const seccomp_data& call, std::uint32_t offset) {
  if (offset % 4 != 0 || offset > sizeof call - 4) throw std::runtime_error("bpf: load out of bounds");
  std::uint32_t word = 0;
  std::memcpy(&word, reinterpret_cast<const char*>(&call) + offset, sizeof word);
  return word;
}

bool holds(const sock_filter& jump, std::uint32_t accumulator) {
  switch (BPF_OP(jump.code)) {
    case BPF_JEQ: return accumulator == jump.k;
    case BPF_JGT: return accumulator > jump.k;
    case BPF_JGE: return accumulator >= jump.k;
    case BPF_JSET: return (accumulator & jump.k) != 0;
    default: throw std::runtime_error("bpf: unknown jump");
  }
}

std::string field_name(std::uint32_t offset) {
  if (offset == offsetof(seccomp_data, nr)) return "number";
  if (offset == offsetof(seccomp_data, arch)) return "architecture";
  const std::size_t arguments = offsetof(seccomp_data, args);
  if (offset < arguments || offset >= sizeof(seccomp_data)) return fmt::format("data[{}]", offset);
  const std::size_t index = (offset - arguments) / 8;  // both architectures are little-endian
  return fmt::format("argument {} {}", index, (offset - arguments) % 8 == 0 ? "low" : "high");
}

std::string instruction(const sock_filter& code, std::size_t at) {
  switch (code.code) {
    case BPF_LD | BPF_W | BPF_ABS: return "load " + field_name(code.k);
    case BPF_ALU | BPF_AND | BPF_K: return fmt::format("and {:#x}", code.k);
    case BPF_RET | BPF_K: return "answer " + action_name(code.k);
    case BPF_JMP | BPF_JA: return fmt::format("go {}", at + 1 + code.k);
    default: break;
  }
  if (BPF_CLASS(code.code) != BPF_JMP || BPF_SRC(code.code) != BPF_K)
    return fmt::format("unknown {:#x} {:#x}", code.code, code.k);
  const char* test = "?";
  switch (BPF_OP(code.code)) {
    case BPF_JEQ: test = "=="; break;
    case BPF_JGT: test = ">"; break;
    case BPF_JGE: test = ">="; break;
    case BPF_JSET: test = "&"; break;
    default: break;
  }
  const std::string value = code.k > 0xffff ? fmt::format("{:#x}", code.k) : fmt::format("{}", code.k);
  return fmt::format("if {} {} go {} else {}", test, value, at + 1 + code.jt, at + 1 + code.jf);
}

}  // namespace

Outcome run(std::span<const sock_filter> program, const seccomp_data& call) {
  std::uint32_t accumulator = 0;
  std::size_t at = 0;
  for (std::size_t steps = 1; at < program.size(); ++steps) {  // jumps are forward only, so this ends
    const sock_filter& code = program[at++];
    switch (code.code) {
      case BPF_LD | BPF_W | BPF_ABS: accumulator = load(call, code.k); continue;
      case BPF_ALU | BPF_AND | BPF_K: accumulator &= code.k; continue;
      case BPF_RET | BPF_K: return {code.k, steps};
      case BPF_JMP | BPF_JA: at += code.k; continue;
      default: break;
    }
    if (BPF_CLASS(code.code) != BPF_JMP || BPF_SRC(code.code) != BPF_K)
      throw std::runtime_error("bpf: unknown instruction");
    at += holds(code, accumulator) ? code.jt : code.jf;
  }
  throw std::runtime_error("bpf: ran off the end");
}

std::string disassemble(std::span<const sock_filter> program) {
  std::string text;
  for (std::size_t at = 0; at < program.size(); ++at)
    text += fmt::format("{:3}  {}\n", at, instruction(program[at], at));
  return text;
}

std::string action_name(std::uint32_t action) {
  switch (action & SECCOMP_RET_ACTION_FULL) {
    case SECCOMP_RET_ALLOW: return "ALLOW";
    case SECCOMP_RET_KILL_PROCESS: return "KILL_PROCESS";
    case SECCOMP_RET_ERRNO: {
      const char* name = ::strerrorname_np(static_cast<int>(action & SECCOMP_RET_DATA));
      return fmt::format("ERRNO({})", name == nullptr ? "?" : name);
    }
    default: return fmt::format("{:#x}", action);
  }
}

}  // namespace agentbox::test
