#include <csignal>

#include <sched.h>
#include <sys/resource.h>

#include <catch2/catch.hpp>

#include "agentbox/base/error.hpp"

#include "doctor.hpp"
#include "look_support.hpp"

using namespace agentbox;
using namespace agentbox::launch;

TEST_CASE("each way of switching user namespaces off is known, with the words that mend it") {
  auto told = [](const UserNamespaceSwitches& switches) { return explain_user_namespaces(switches, "bwrap: no"); };
  Explanation off = told({.max_user_namespaces = "0"});
  CHECK(off.text == "they are switched off (user.max_user_namespaces is 0), so no room can be made without root");
  CHECK(off.mend ==
        "echo user.max_user_namespaces=15000 | sudo tee /etc/sysctl.d/60-userns.conf\nsudo sysctl --system");
  Explanation debian = told({.max_user_namespaces = "1000", .unprivileged_userns_clone = "0"});
  CHECK(debian.text.find("kernel.unprivileged_userns_clone is 0") != std::string::npos);
  CHECK(debian.mend.starts_with("echo kernel.unprivileged_userns_clone=1"));
  Explanation ubuntu =
      told({.max_user_namespaces = "1000", .unprivileged_userns_clone = "1", .apparmor_restrict = "1"});
  CHECK(ubuntu.text.find("AppArmor") != std::string::npos);
  CHECK(ubuntu.mend.find("profile bwrap /usr/bin/bwrap flags=(unconfined) { userns, }") != std::string::npos);
  Explanation installed = told({.max_user_namespaces = "1000",
                                .unprivileged_userns_clone = "1",
                                .apparmor_restrict = "1",
                                .apparmor_profile = "/usr/share/agentbox/apparmor/agentbox"});
  CHECK(installed.text == ubuntu.text);
  CHECK(installed.mend ==
        "load the AppArmor profile that came with agentbox:\n"
        "sudo install -m 644 /usr/share/agentbox/apparmor/agentbox /etc/apparmor.d/agentbox\n"
        "sudo apparmor_parser --replace /etc/apparmor.d/agentbox");
  CHECK(told({.max_user_namespaces = "1000", .apparmor_restrict = "0", .in_container = true}).mend.find("podman") !=
        std::string::npos);
  CHECK(told({.max_user_namespaces = "1000"}).text == "bubblewrap can't make one: bwrap: no");
}

TEST_CASE("the doctor says how a room is frozen, and what is refused where it can't be") {
  Finding finding = explain_freezing(std::nullopt, OwnGroup::none);
  CHECK(finding.state == Finding::State::ok);
  CHECK(finding.text == "a room is frozen by ptrace");
  CHECK(explain_freezing(std::nullopt, OwnGroup::possible).text ==
        "a room is frozen by ptrace, or by its cgroup where the profile sets `memory` or `cpu`");
  const Trouble refused{EPERM, "ptrace: Operation not permitted", ""};
  finding = explain_freezing(refused, OwnGroup::possible);
  CHECK(finding.state == Finding::State::warning);
  CHECK(finding.text.starts_with("a room without a cgroup can't be frozen (ptrace: Operation not permitted)"));
  CHECK(finding.mend.starts_with("set `memory` or `cpu` in [limits]"));
  finding = explain_freezing(refused, OwnGroup::none);
  CHECK(finding.text.starts_with("a room can't be frozen (ptrace: Operation not permitted): it gets no git"));
  CHECK(finding.mend.starts_with("where kernel.yama.ptrace_scope is 3"));
  CHECK_FALSE(try_in_child(&try_tracing));
}

TEST_CASE("what fails in a child is told, and stays there") {
  CHECK_FALSE(try_in_child([] {}));
  std::optional<Trouble> refused = try_in_child([] { throw base::SystemError(EPERM, "cannot mount", "be root"); });
  REQUIRE(refused);
  CHECK(refused->code == EPERM);
  CHECK(refused->what == "cannot mount: Operation not permitted");
  CHECK(refused->hint == "be root");
  std::optional<Trouble> killed = try_in_child([] { ::raise(SIGKILL); });
  REQUIRE(killed);
  CHECK(killed->what == "it was killed by signal 9");
  CHECK(try_in_child([] { throw std::bad_alloc(); }));
}

TEST_CASE("the doctor's attempts fail where the thing is taken away") {
  // Positive controls first: on this machine they work.
  REQUIRE_FALSE(try_in_child(&try_paths_and_processes));
  REQUIRE_FALSE(try_in_child(&try_seccomp));
  REQUIRE_FALSE(try_in_child(&try_inotify));
#ifndef AGENTBOX_SANITIZED  // AddressSanitizer needs a descriptor to throw an exception
  auto without_descriptors = [] {
    rlimit none{.rlim_cur = 3, .rlim_max = 3};
    ::setrlimit(RLIMIT_NOFILE, &none);
  };
  CHECK(try_in_child([&] { without_descriptors(), try_inotify(); })->what == "inotify_init1: Too many open files");
  CHECK(try_in_child([&] { without_descriptors(), try_paths_and_processes(); })->what ==
        "cannot open /usr: Too many open files");
#endif
  if (try_in_child([] { enter_own_namespaces(CLONE_NEWNS); })) return;  // no user namespaces here
  CHECK_FALSE(try_in_child(&try_mount_calls));
  auto without_namespaces = [] {
    enter_own_namespaces(CLONE_NEWNS);
    std::ofstream("/proc/sys/user/max_user_namespaces") << "0";
  };
  std::optional<Trouble> none = try_in_child([&] { without_namespaces(), try_mount_calls(); });
  REQUIRE(none);
  CHECK(none->what == "cannot make a user namespace: No space left on device");
}

TEST_CASE("a diagnosis holds rooms possible only if nothing that they need is missing") {
  Diagnosis diagnosis;
  diagnosis.findings.push_back({.group = Finding::Group::room, .state = Finding::State::warning});
  diagnosis.findings.push_back({.group = Finding::Group::later, .state = Finding::State::missing});
  CHECK(diagnosis.can_build_rooms());
  diagnosis.findings.push_back({.group = Finding::Group::room, .state = Finding::State::missing});
  CHECK_FALSE(diagnosis.can_build_rooms());
}
