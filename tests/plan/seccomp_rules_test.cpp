#include <algorithm>
#include <set>
#include <stdexcept>

#include <catch2/catch.hpp>

#include "agentbox/plan/seccomp.hpp"

using namespace agentbox;
using plan::SeccompArgument;
using plan::SeccompRule;

namespace {
std::string allow_error(std::string_view name) {
  const auto diagnostic = plan::check_seccomp_allow(name);
  return diagnostic ? diagnostic->message + " | " + diagnostic->hint : "fine";
}
std::string deny_error(std::string_view name) {
  const auto diagnostic = plan::check_seccomp_deny(name);
  return diagnostic ? diagnostic->message + " | " + diagnostic->hint : "fine";
}
std::set<std::string> calls_of(const plan::SeccompProgram& program) {
  std::set<std::string> calls;
  for (const SeccompRule& rule : program.rules) calls.emplace(rule.syscall);
  return calls;
}
const std::string liftable =
    "what can be lifted: userns, ptrace, io_uring, keyring, bpf, perf, userfaultfd, fanotify, personality, "
    "ldt, netlink";
}  // namespace

TEST_CASE("every entry of the base filter has a known call, a group and a reason") {
  const auto calls = plan::system_calls();
  const auto groups = plan::seccomp_groups();
  for (const SeccompRule& rule : plan::base_filter()) {
    INFO(rule.syscall);
    CHECK(std::ranges::binary_search(calls, rule.syscall));
    CHECK(std::ranges::find(groups, rule.group, &plan::SeccompGroup::name) != groups.end());
    CHECK(rule.reason.size() > 5);
    CHECK(rule.error > 0);
    std::set<unsigned> indices;
    for (const SeccompArgument& argument : rule.arguments) {
      CHECK(argument.index < 6);
      CHECK(indices.insert(argument.index).second);
      CHECK_FALSE(argument.text.empty());
      CHECK(std::ranges::is_sorted(argument.values));
      CHECK(argument.values.empty() == (argument.test == SeccompArgument::Test::any_bit));
      if (argument.test == SeccompArgument::Test::is) CHECK((argument.values[0] & ~argument.mask) == 0);
    }
  }
}

TEST_CASE("every group has an entry, and an entry stands only once") {
  for (const plan::SeccompGroup& group : plan::seccomp_groups())
    CHECK(std::ranges::find(plan::base_filter(), group.name, &SeccompRule::group) != plan::base_filter().end());
  std::set<std::string> seen;
  for (const SeccompRule& rule : plan::base_filter()) {
    std::string key(rule.syscall);
    for (const SeccompArgument& argument : rule.arguments) key += "," + std::string(argument.text);
    INFO(key);
    CHECK(seen.insert(key).second);
  }
}

TEST_CASE("a conditional entry never concerns a call that libseccomp may not know") {
  for (const SeccompRule& rule : plan::base_filter())
    if (!rule.arguments.empty()) CHECK_FALSE(plan::young_number(rule.syscall));
}

TEST_CASE("lifting a group takes out its entries and no others") {
  const auto program = plan::seccomp_program({"ptrace"}, {});
  const auto calls = calls_of(program);
  CHECK_FALSE(calls.contains("ptrace"));
  CHECK_FALSE(calls.contains("process_vm_readv"));
  CHECK(calls.contains("mount"));
  CHECK(program.rules.size() == plan::base_filter().size() - 5);
}

TEST_CASE("userns stands for namespaces and the mount API together") {
  const auto calls = calls_of(plan::seccomp_program({"userns"}, {}));
  for (const char* call : {"clone", "clone3", "unshare", "setns", "mount", "umount2", "pivot_root", "chroot",
                           "open_tree", "move_mount", "fsopen", "mount_setattr"})
    CHECK_FALSE(calls.contains(call));
  CHECK(calls.contains("open_by_handle_at"));
  CHECK(calls.contains("ioctl"));
}

TEST_CASE("a denied call is denied as a whole, once, and beats a lifted group") {
  const auto program = plan::seccomp_program({"ptrace"}, {"ptrace", "socket", "socket"});
  std::vector<SeccompRule> found;
  for (const SeccompRule& rule : program.rules)
    if (rule.syscall == "socket" || rule.syscall == "ptrace") found.push_back(rule);
  REQUIRE(found.size() == 2);
  for (const SeccompRule& rule : found) {
    CHECK(rule.arguments.empty());
    CHECK(rule.group == "profile");
  }
}

TEST_CASE("an entry of [seccomp] allow must name a group that can be lifted") {
  CHECK(allow_error("userns") == "fine");
  CHECK(allow_error("ptrace") == "fine");
  CHECK(allow_error("ptrac") == "no seccomp group is named \"ptrac\" | did you mean \"ptrace\"?");
  CHECK(allow_error("x\x1b[2J") == "no seccomp group is named \"x\\x1b[2J\" | " + liftable);
  CHECK(allow_error("") == "no seccomp group is named \"\" | " + liftable);
  CHECK(allow_error("terminal") == "the seccomp group \"terminal\" can't be lifted | " + liftable);
  CHECK(allow_error("mount") ==
        "\"mount\" is a system call; [seccomp] allow takes groups | allow = [\"userns\"] lifts it");
  CHECK(allow_error("reboot") == "\"reboot\" is a system call; [seccomp] allow takes groups | " + liftable);
}

TEST_CASE("an entry of [seccomp] deny must name a system call") {
  CHECK(deny_error("socketpair") == "fine");
  CHECK(deny_error("file_setattr") == "fine");
  CHECK(deny_error("socketpairs") == "no system call is named \"socketpairs\" | did you mean \"socketpair\"?");
  CHECK(deny_error("userns") ==
        "\"userns\" is a group; [seccomp] deny takes system calls | every group is denied already unless "
        "[seccomp] "
        "allow lifts it");
  CHECK(deny_error("everything") ==
        "no system call is named \"everything\" | the names are those of syscalls(2), for example "
        "\"socketpair\"");
}

TEST_CASE("names that were not checked stop the launch instead of weakening the filter") {
  CHECK_THROWS_AS(plan::seccomp_program({"terminal"}, {}), std::invalid_argument);
  CHECK_THROWS_AS(plan::seccomp_program({}, {"nonsense"}), std::invalid_argument);
}

TEST_CASE("the ranges of judged numbers ascend, begin at 0 and have gaps between") {
  for (const auto architecture : {plan::Architecture::x86_64, plan::Architecture::aarch64}) {
    const auto ranges = plan::judged_numbers(architecture);
    REQUIRE_FALSE(ranges.empty());
    CHECK(ranges[0].first == 0);
    for (std::size_t i = 0; i < ranges.size(); ++i) {
      CHECK(ranges[i].first <= ranges[i].last);
      if (i > 0) CHECK(ranges[i].first > ranges[i - 1].last + 1);
    }
  }
}
