// The compiled filter against a naive reading of its rules, for each architecture; and the golden files.

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "seccomp_support.hpp"

using namespace agentbox;
using namespace agentbox::test;
using plan::SeccompArgument;
using plan::SeccompRule;

namespace {

// ---- what the rules say, read naively ------------------------------------------------------------

bool holds(const SeccompArgument& argument, std::uint64_t value) {
  const auto low = static_cast<std::uint32_t>(value);
  switch (argument.test) {
    case SeccompArgument::Test::is: return (low & argument.mask) == argument.values[0];
    case SeccompArgument::Test::any_bit: return (low & argument.mask) != 0;
    case SeccompArgument::Test::not_one_of:
      return std::ranges::none_of(argument.values, [&](std::uint32_t one) { return value == one; });
  }
  return false;
}

// Every answer that some rule gives; where rules overlap either will do.
std::set<std::uint32_t> expected(const std::vector<const SeccompRule*>& rules, const Arguments& arguments) {
  std::set<std::uint32_t> answers;
  for (const SeccompRule* rule : rules) {
    const auto one = [&](const SeccompArgument& test) { return holds(test, arguments.at(test.index)); };
    if (std::ranges::all_of(rule->arguments, one)) answers.insert(error(rule->error));
  }
  if (answers.empty()) answers.insert(allow);
  return answers;
}

// Values of one argument at which some rule could change its mind.
std::vector<std::uint64_t> turning_points(const std::vector<const SeccompRule*>& rules, unsigned index) {
  std::set<std::uint64_t> points = {0, 1, 0xffffffff, ~std::uint64_t{0}};
  for (const SeccompRule* rule : rules) {
    for (const SeccompArgument& argument : rule->arguments) {
      if (argument.index != index) continue;
      for (const std::uint64_t value : argument.values) points.insert({value - 1, value, value + 1, value | 0x80800});
      for (unsigned bit = 0; bit < 32; ++bit)
        if ((argument.mask >> bit & 1U) != 0) points.insert(std::uint64_t{1} << bit);
    }
  }
  std::set<std::uint64_t> high;
  for (const std::uint64_t point : points)
    high.insert({point | std::uint64_t{1} << 32U, point | ~std::uint64_t{0} << 32U});
  points.merge(high);
  return {points.begin(), points.end()};
}

using RulesByNumber = std::map<long, std::vector<const SeccompRule*>>;
RulesByNumber by_number(Architecture architecture, const std::vector<SeccompRule>& rules) {
  RulesByNumber found;
  for (const SeccompRule& rule : rules)
    if (const long nr = number(architecture, rule.syscall); nr >= 0) found[nr].push_back(&rule);
  return found;
}

// Calls `visit` with each combination of the turning points of the arguments that the rules look at.
template <class Visit>
void each_combination(const std::vector<const SeccompRule*>& rules, const Visit& visit) {
  std::vector<std::pair<unsigned, std::vector<std::uint64_t>>> axes;
  for (unsigned index = 0; index < 6; ++index) {
    const auto looks = [&](const SeccompRule* rule) {
      return std::ranges::find(rule->arguments, index, &SeccompArgument::index) != rule->arguments.end();
    };
    if (std::ranges::any_of(rules, looks)) axes.emplace_back(index, turning_points(rules, index));
  }
  std::vector<std::size_t> at(axes.size(), 0);
  while (true) {
    Arguments arguments{0x1111, 0x2222, 0x3333, 0x4444, 0x5555, 0x6666};
    for (std::size_t i = 0; i < axes.size(); ++i) arguments.at(axes[i].first) = axes[i].second[at[i]];
    visit(arguments);
    std::size_t axis = 0;
    while (axis < axes.size() && ++at[axis] == axes[axis].second.size()) at[axis++] = 0;
    if (axis == axes.size()) return;
  }
}

std::string slurp(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// AGENTBOX_ACCEPT=1 rewrites the file.
void check_golden(const std::string& name, const std::string& text) {
  const std::string file = std::string(GOLDEN_DIR) + "/" + name;
  if (std::getenv("AGENTBOX_ACCEPT") != nullptr) std::ofstream(file, std::ios::binary) << text;
  const std::string golden = slurp(file);
  INFO(file << " (AGENTBOX_ACCEPT=1 rewrites it)");
  CHECK((golden == text));
}

}  // namespace

TEST_CASE("every number up to 1100 is answered as the rules say, at each turning point of each argument") {
  for (const Architecture architecture : both) {
    const Filter filter(architecture);
    const RulesByNumber rules = by_number(architecture, plan::base_filter());
    std::size_t wrong = 0, tried = 0;
    for (long nr = 0; nr <= 1100; ++nr) {
      if (!judged(architecture, nr)) {
        CHECK(filter(nr) == error(ENOSYS));
        continue;
      }
      const auto found = rules.find(nr);
      if (found == rules.end()) {
        for (const std::uint64_t value : {std::uint64_t{0}, ~std::uint64_t{0}})
          CHECK(filter(nr, {value, value, value, value, value, value}) == allow);
        continue;
      }
      each_combination(found->second, [&](const Arguments& arguments) {
        ++tried;
        const std::uint32_t answer = filter(nr, arguments);
        if (expected(found->second, arguments).contains(answer)) return;
        if (++wrong < 5)
          FAIL_CHECK(fmt::format("call {} ({:#x}): {}", nr, fmt::join(arguments, ", "), test::action_name(answer)));
      });
    }
    CHECK(wrong == 0);
    CHECK(tried > 10000);
  }
}

TEST_CASE("each rule can fire, and stops when any one of its arguments no longer fits") {
  for (const Architecture architecture : both) {
    const Filter filter(architecture);
    const RulesByNumber rules = by_number(architecture, plan::base_filter());
    for (const SeccompRule& rule : plan::base_filter()) {
      const long nr = number(architecture, rule.syscall);
      if (nr < 0) continue;
      INFO(rule.syscall << " " << (rule.arguments.empty() ? "" : rule.arguments.back().text));
      bool fired = false;
      std::set<unsigned> spared;  // arguments whose change alone let the call through
      each_combination(rules.at(nr), [&](const Arguments& arguments) {
        unsigned misses = 0, missing = 0;
        for (const SeccompArgument& argument : rule.arguments)
          if (!holds(argument, arguments.at(argument.index))) ++misses, missing = argument.index;
        const std::uint32_t answer = filter(nr, arguments);
        if (misses == 0 && answer == error(rule.error)) fired = true;
        if (misses == 1 && answer == allow) spared.insert(missing);
      });
      CHECK(fired);
      CHECK(spared.size() == rule.arguments.size());
    }
  }
}

TEST_CASE("names that libseccomp knows have the numbers of this project's table") {
  for (const Architecture architecture : both) {
    for (const std::string_view name : plan::system_calls()) {
      const std::uint32_t token = architecture == Architecture::x86_64 ? SCMP_ARCH_X86_64 : SCMP_ARCH_AARCH64;
      const int resolved = ::seccomp_syscall_resolve_name_arch(token, std::string(name).c_str());
      INFO(name);
      if (const auto young = plan::young_number(name))
        CHECK((resolved == __NR_SCMP_ERROR || resolved == static_cast<int>(*young)));
      else
        CHECK(resolved != __NR_SCMP_ERROR);
      if (resolved >= 0) CHECK(judged(architecture, resolved));
    }
  }
}

TEST_CASE("everything lifted and everything denied still compiles") {
  std::vector<std::string> groups, calls;
  for (const std::string_view name : plan::liftable_groups()) groups.emplace_back(name);
  for (const std::string_view name : plan::system_calls()) calls.emplace_back(name);
  for (const Architecture architecture : both) {
    CHECK(Filter(architecture, plan::seccomp_program(groups, {}))("ptrace") == allow);
    const Filter all(architecture, plan::seccomp_program({}, calls));
    for (const std::string_view name : plan::system_calls())
      if (const long nr = number(architecture, name); nr >= 0) CHECK(all(nr) == error(EPERM));
    CHECK(all.code.size() <= BPF_MAXINSNS);
  }
}

TEST_CASE("an ordinary call costs few instructions") {
  for (const Architecture architecture : both) {
    const Filter filter(architecture);
    for (const std::string_view name : {"read", "write", "openat", "futex", "epoll_pwait", "close", "statx"}) {
      INFO(name);
      CHECK(filter.run(number(architecture, name)).steps <= 24);
    }
  }
}

TEST_CASE("the table that explain prints") {
  check_golden("seccomp.txt", plan::describe(plan::seccomp_program({}, {})));
  check_golden("seccomp-changed.txt", plan::describe(plan::seccomp_program({"userns", "ptrace"}, {"mseal", "socket"})));
}

// What libseccomp makes of the rules changes with its version: the first line says which one wrote the file.
TEST_CASE("the disassembly has not changed") {
  const scmp_version* version = ::seccomp_version();
  const std::string maker = fmt::format("libseccomp {}.{}.{}\n", version->major, version->minor, version->micro);
  for (const Architecture architecture : both) {
    const std::string name = architecture == Architecture::x86_64 ? "seccomp-x86_64.bpf" : "seccomp-aarch64.bpf";
    const std::string golden = slurp(std::string(GOLDEN_DIR) + "/" + name);
    if (std::getenv("AGENTBOX_ACCEPT") == nullptr && !golden.starts_with(maker)) {
      WARN(name << " was written by another libseccomp; not compared");
      continue;
    }
    check_golden(name, maker + test::disassemble(Filter(architecture).code));
  }
}
