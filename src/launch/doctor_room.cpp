// Can a room be built here? bwrap first, then what the launch does around it, at last a whole room.

#include <array>
#include <filesystem>

#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/launch/look.hpp"
#include "agentbox/launch/run.hpp"
#include "agentbox/plan/plan.hpp"

#include "doctor.hpp"
#include "files.hpp"
#include "host_program.hpp"
#include "installed.hpp"

namespace agentbox::launch {

using base::AbsPath;
using policy::HostFacts;
using State = Finding::State;

namespace {

Finding room_finding(std::string id, State state, std::string what, std::string text, std::string mend = {}) {
  return {.id = std::move(id),
          .group = Finding::Group::room,
          .state = state,
          .what = std::move(what),
          .text = std::move(text),
          .mend = std::move(mend)};
}

std::string first_line(const std::string& text) {
  return base::escape(text.substr(0, text.find('\n')));
}

// What `bwrap OPTIONS -- /usr/bin/true` says when it fails; empty if it succeeds.
std::string failure_of(const AbsPath& bwrap, std::vector<std::string> options) {
  std::vector<std::string> argv{bwrap.str()};
  argv.insert(argv.end(), std::make_move_iterator(options.begin()), std::make_move_iterator(options.end()));
  // NixOS has no /usr/bin/true; everyone has a shell.
  argv.insert(argv.end(), {"--", "/bin/sh", "-c", "exit 0"});
  HostProgram program(argv, {}, HostProgram::Errors::in_output);
  HostProgram::Answer answer = program.finish(std::chrono::seconds(5), 65536);
  if (answer.succeeded()) return {};
  std::string said = first_line(answer.output);
  return said.empty() ? "it ended without a word" : said;
}

std::string read_switch(const char* path) {
  std::string text = read_kernel_file(path, 256).value_or("");
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

UserNamespaceSwitches read_switches() {
  return {.max_user_namespaces = read_switch("/proc/sys/user/max_user_namespaces"),
          .unprivileged_userns_clone = read_switch("/proc/sys/kernel/unprivileged_userns_clone"),
          .apparmor_restrict = read_switch("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
          .apparmor_profile = ::access(shipped_apparmor_profile(), R_OK) == 0 ? shipped_apparmor_profile() : "",
          .in_container = ::access("/.dockerenv", F_OK) == 0 || ::access("/run/.containerenv", F_OK) == 0};
}

// The host's own tree stands in for the room's floor: what is asked here is the option, not the room.
std::vector<std::string> with_floor(std::vector<std::string> options) {
  options.insert(options.end(), {"--ro-bind", "/", "/"});
  return options;
}

struct OptionCheck {
  const char* name;
  std::vector<std::string> words;
};
const std::vector<OptionCheck>& option_checks() {
  static const std::vector<OptionCheck> checks{
      {"--unshare-ipc", {"--unshare-ipc"}},
      {"--unshare-pid", {"--unshare-pid"}},
      {"--unshare-net", {"--unshare-net"}},
      {"--unshare-uts", {"--unshare-uts", "--hostname", "agentbox"}},
      {"--unshare-cgroup", {"--unshare-cgroup"}},
      {"--disable-userns", {"--disable-userns"}},
      {"--cap-drop", {"--cap-drop", "ALL"}},
      {"--die-with-parent", {"--die-with-parent"}},
      {"--as-pid-1", {"--unshare-pid", "--as-pid-1"}},
      {"--proc", {"--unshare-pid", "--proc", "/proc"}},
      {"--dev", {"--dev", "/dev"}},
      {"--dir and --symlink", {"--tmpfs", "/tmp", "--dir", "/tmp/a", "--symlink", "a", "/tmp/b"}},
      {"--args", {"--args", "0"}},
      {"--info-fd and --block-fd", {"--info-fd", "1", "--block-fd", "0"}},
  };
  return checks;
}

// True if bwrap can make a user namespace, which everything else stands on. A bwrap that can't be trusted is not even
// run: then this process tries for itself.
bool examine_user_namespaces(const AbsPath* bwrap, Findings& findings) {
  std::string said;
  if (bwrap != nullptr) {
    said = failure_of(*bwrap, with_floor({"--unshare-user"}));
  } else if (std::optional<Trouble> trouble = try_in_child([] { enter_own_namespaces(CLONE_NEWNS); })) {
    said = base::escape(trouble->what);
  }
  if (said.empty()) {
    findings.push_back(room_finding("user-namespaces", State::ok, "user namespaces",
                                    "they may be made here, so rooms need no privileges"));
    return true;
  }
  Explanation why = explain_user_namespaces(read_switches(), said);
  findings.push_back(room_finding("user-namespaces", State::missing, "user namespaces", why.text, why.mend));
  return false;
}

void examine_options(const AbsPath& bwrap, Findings& findings) {
  std::string missing, mend;
  for (const OptionCheck& check : option_checks()) {
    std::vector<std::string> options{"--unshare-user"};
    std::vector<std::string> floor = with_floor({});
    options.insert(options.end(), floor.begin(), floor.end());
    options.insert(options.end(), check.words.begin(), check.words.end());
    std::string said = failure_of(bwrap, std::move(options));
    if (said.empty()) continue;
    missing += fmt::format("{}{} ({})", missing.empty() ? "" : "; ", check.name, said);
    if (said.find("nknown option") != std::string::npos) {
      mend = "install bubblewrap 0.8 or newer";
    } else if (mend.empty() && std::string_view(check.name) == "--proc") {
      mend =
          "a container that masks parts of /proc forbids it: run the container with unmasked paths "
          "(podman: --security-opt unmask=ALL, docker: --security-opt systempaths=unconfined)";
    }
  }
  if (missing.empty()) {
    findings.push_back(
        room_finding("bwrap-options", State::ok, "its options", "every namespace and option that a room needs works"));
  } else {
    if (mend.empty()) mend = "look at what it says; a newer bubblewrap or kernel may be needed";
    findings.push_back(room_finding("bwrap-options", State::missing, "its options", "these fail: " + missing, mend));
  }
}

// Tries one thing that has no switches, only a kernel that has it or not.
void examine_call(Findings& findings, const char* id, const char* what, const char* good, void (*attempt)(),
                  const char* mend) {
  std::optional<Trouble> trouble = try_in_child(attempt);
  findings.push_back(trouble ? room_finding(id, State::missing, what, base::escape(trouble->what), mend)
                             : room_finding(id, State::ok, what, good));
}

// The truest test: an empty profile, furnished by the code that furnishes every room, in a folder of its own.
void examine_whole_room(const HostFacts& facts, Findings& findings) {
  ScratchFolder scratch;
  std::optional<Trouble> trouble = try_in_child([&] {
    HostFacts user = facts;
    user.workspace = *AbsPath::parse(scratch.path());
    policy::Flags flags{.command = {"/bin/sh", "-c", "echo furnished > here"}};
    profile::Profile profile;
    profile.name = "doctor";
    auto told = [](const base::Diagnostics& problems) {
      return problems.empty() ? "refused" : problems.front().message;
    };
    auto seen = look(std::move(user), profile, flags);
    if (!seen) throw base::SystemError(0, told(seen.error()));
    auto decided = policy::decide(profile, *seen, flags);
    if (!decided) throw base::SystemError(0, told(decided.error()));
    RunRequest request{.policy = *std::move(decided), .facts = *std::move(seen)};
    request.plan = plan::make(request.policy);
    int code = run(request);
    if (code != 0) throw base::SystemError(0, fmt::format("the command in it ended with {}", code));
  });
  bool has_left_word = ::access((scratch.path() + "/here").c_str(), F_OK) == 0;
  if (!trouble && !has_left_word) trouble = Trouble{0, "the command in it could not write to its workspace", ""};
  findings.push_back(
      trouble ? room_finding("room", State::missing, "a whole room", base::escape(trouble->what),
                             "mend what is missing above, if anything is")
              : room_finding("room", State::ok, "a whole room", "one was built, furnished, entered and cleared away"));
}

}  // namespace

Explanation explain_user_namespaces(const UserNamespaceSwitches& switches, const std::string& said) {
  if (switches.max_user_namespaces == "0") {
    return {"they are switched off (user.max_user_namespaces is 0), so no room can be made without root",
            "echo user.max_user_namespaces=15000 | sudo tee /etc/sysctl.d/60-userns.conf\nsudo sysctl --system"};
  }
  if (switches.unprivileged_userns_clone == "0") {
    return {"they are kept for root (kernel.unprivileged_userns_clone is 0), so no room can be made without root",
            "echo kernel.unprivileged_userns_clone=1 | sudo tee /etc/sysctl.d/60-userns.conf\nsudo sysctl --system"};
  }
  if (switches.apparmor_restrict == "1") {
    // Without it agentbox isn't installed: then the profile is for bubblewrap, whose place is known.
    std::string mend = switches.apparmor_profile.empty()
                           ? "give bubblewrap a profile that allows them, in /etc/apparmor.d/bwrap:\n"
                             "  abi <abi/4.0>,\n  include <tunables/global>\n"
                             "  profile bwrap /usr/bin/bwrap flags=(unconfined) { userns, }\n"
                             "sudo apparmor_parser --replace /etc/apparmor.d/bwrap"
                           : fmt::format(
                                 "load the AppArmor profile that came with agentbox:\n"
                                 "sudo install -m 644 {} /etc/apparmor.d/agentbox\n"
                                 "sudo apparmor_parser --replace /etc/apparmor.d/agentbox",
                                 base::quote(switches.apparmor_profile));
    return {
        "AppArmor takes their powers away from programs that have no profile "
        "(kernel.apparmor_restrict_unprivileged_userns is 1, Ubuntu's default)",
        std::move(mend)};
  }
  if (switches.in_container) {
    return {fmt::format("the container in which this runs forbids them ({})", said),
            "run agentbox on the host, or allow them: podman or docker run --security-opt seccomp=unconfined "
            "--security-opt apparmor=unconfined"};
  }
  return {fmt::format("bubblewrap can't make one: {}", said),
          "the kernel needs CONFIG_USER_NS; if it has it, a security module or a container forbids them"};
}

void examine_rooms(const HostFacts& facts, Findings& findings) {
  if (facts.user.uid == 0) {
    findings.push_back(room_finding("user", State::warning, "user",
                                    "this is root: what a room can't stop is done with root's powers",
                                    "run agentbox as an ordinary user"));
  }
  std::optional<base::Diagnostic> problem = bwrap_problem(facts);
  if (problem) findings.push_back(room_finding("bwrap", State::missing, "bubblewrap", problem->message, problem->hint));
  const AbsPath* bwrap = problem ? nullptr : &facts.bwrap->path;
  if (bwrap != nullptr) {
    HostProgram asking({bwrap->str(), "--version"}, {});
    std::string version = first_line(asking.finish(std::chrono::seconds(5), 4096).output);
    findings.push_back(
        room_finding("bwrap", State::ok, "bubblewrap",
                     fmt::format("{}, at {}, which only root can change", version, base::escape(bwrap->str()))));
  }
  bool has_user_namespaces = examine_user_namespaces(bwrap, findings);
  if (bwrap != nullptr && has_user_namespaces) examine_options(*bwrap, findings);
  // In namespaces of this process's own. Where those fail but bwrap's work (AppArmor knows bwrap by name), the whole
  // room below is the test.
  if (!try_in_child([] { enter_own_namespaces(CLONE_NEWNS); })) {
    examine_call(findings, "mounts", "mounts by descriptor", "folders can be placed in a waiting room, read-only",
                 &try_mount_calls, "Linux 5.12 or newer is needed");
  }
  examine_call(findings, "paths", "paths and processes",
               "paths can't be swapped while they are opened, processes are named without doubt",
               &try_paths_and_processes, "Linux 5.9 or newer is needed, and a container must not filter these calls");
  examine_call(findings, "seccomp", "system call filter", "a filter was loaded, and it denies", &try_seccomp,
               "the kernel needs CONFIG_SECCOMP_FILTER");
  examine_call(findings, "terminal", "pseudo-terminal", "the agent gets a terminal of its own", &try_terminal,
               "mount devpts on /dev/pts");
  examine_call(findings, "inotify", "watching files", "files that appear at protected places are noticed", &try_inotify,
               "raise fs.inotify.max_user_instances: echo fs.inotify.max_user_instances=512 | sudo tee "
               "/etc/sysctl.d/60-inotify.conf; sudo sysctl --system");
  if (bwrap == nullptr || !has_user_namespaces) return;  // it would only say the same again
  examine_whole_room(facts, findings);
}

}  // namespace agentbox::launch
