#include "doctor.hpp"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/launch/look.hpp"
#include "agentbox/launch/reap.hpp"
#include "agentbox/launch/sources.hpp"

#include "bwrap_facts.hpp"
#include "cgroup.hpp"
#include "files.hpp"
#include "host_program.hpp"
#include "look_disk.hpp"
#include "record.hpp"

namespace agentbox::launch {

using base::AbsPath;
using base::SystemError;
using policy::HostFacts;
using Group = Finding::Group;
using State = Finding::State;

ScratchFolder::ScratchFolder() {
  std::string name = "/tmp/agentbox-doctor-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) throw SystemError(errno, "cannot make a folder in /tmp");
  path_ = name;
}

ScratchFolder::~ScratchFolder() {
  // An overlay's work folder is left with mode 000.
  std::error_code ignored;
  std::filesystem::permissions(path_ + "/work/work", std::filesystem::perms::owner_all, ignored);
  std::filesystem::remove_all(path_, ignored);
}

bool Diagnosis::can_build_rooms() const {
  return std::ranges::none_of(
      findings, [](const Finding& finding) { return finding.group == Group::room && finding.state == State::missing; });
}

namespace {

// ---- limits -------------------------------------------------------------------------------------------------------

// A child that waits until it is killed.
pid_t start_idler() {
  const pid_t parent = ::getpid();
  pid_t child = ::fork();
  if (child < 0) throw SystemError(errno, "cannot start a process");
  if (child != 0) return child;
  // Killed with whoever would kill it, also if he was gone before it could be said.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::getppid() != parent) ::_exit(0);
  while (true) ::pause();
}

// Makes a group with each limit that this user may set, freezes it and takes it away again.
std::optional<std::string> try_cgroup(const HostFacts& facts) {
  const std::vector<std::string>& controllers = facts.cgroup->controllers;
  auto has = [&](const char* name) { return std::ranges::find(controllers, name) != controllers.end(); };
  policy::Limits limits;
  limits.memory = has("memory") ? 64 << 20 : 0;
  limits.cpu = has("cpu") ? 50 : 0;
  pid_t idler = start_idler();
  std::optional<std::string> trouble;
  try {
    RoomCgroup group = RoomCgroup::create(facts, fmt::format("agentbox-doctor-{}", ::getpid()), limits, idler);
    group.freeze();
    group.thaw();
    group.kill();
  } catch (const SystemError& error) {
    trouble = error.what();
  }
  ::kill(idler, SIGKILL);
  launch::reap(idler);
  return trouble;
}

void examine_cgroup(const HostFacts& facts, Findings& findings) {
  Finding finding{.id = "cgroup", .group = Group::limits, .what = "memory and cpu"};
  policy::Limits both;
  both.memory = both.cpu = 1;
  std::optional<base::Diagnostic> problem = cgroup_problem(facts, both);
  std::optional<std::string> trouble = facts.cgroup ? try_cgroup(facts) : std::nullopt;
  if (trouble) {
    finding.state = State::warning;
    finding.text = "a cgroup for a room can't be made: " + *trouble;
    finding.mend = problem ? problem->hint : "profiles that set `memory` or `cpu` are refused here; others work";
  } else if (problem) {
    finding.state = State::warning;
    finding.text = facts.cgroup ? "a room's memory and cpu share can't both be limited"
                                : "no cgroup is delegated to you: profiles that set `memory` or `cpu` are refused here";
    finding.mend = problem->hint;
  } else {
    finding.text = fmt::format("a room's memory and cpu share can be limited{}",
                               facts.cgroup->through_systemd ? ", by a scope of your systemd" : "");
  }
  findings.push_back(std::move(finding));
  const bool has_any = facts.cgroup && !facts.cgroup->controllers.empty() && !trouble;
  findings.push_back(explain_freezing(try_in_child(&try_tracing), has_any ? OwnGroup::possible : OwnGroup::none));
}

void examine_watches(Findings& findings) {
  std::string text = read_kernel_file("/proc/sys/fs/inotify/max_user_watches", 64).value_or("0");
  unsigned long watches = std::strtoul(text.c_str(), nullptr, 10);
  Finding finding{.id = "inotify-watches", .group = Group::limits, .what = "watched folders"};
  finding.text = fmt::format("{} in all", watches);
  if (watches < 8192) {
    finding.state = State::warning;
    finding.text += ": a large workspace may need more, and its room would be refused";
    finding.mend =
        "echo fs.inotify.max_user_watches=524288 | sudo tee /etc/sysctl.d/60-inotify.conf\nsudo sysctl --system";
  }
  findings.push_back(std::move(finding));
}

// ---- folders ------------------------------------------------------------------------------------------------------

// Whoever can write to a folder of profiles writes what rooms hold.
void examine_profile_folders(const HostFacts& facts, Findings& findings) {
  for (const AbsPath& folder : profile_folders()) {
    struct stat seen{};
    if (::stat(folder.c_str(), &seen) != 0) continue;  // none need exist but the shipped one
    std::string shown = base::escape(folder.str());
    Finding finding{.id = "profiles", .group = Group::folders, .what = "profiles"};
    if (seen.st_uid != 0 && seen.st_uid != facts.user.uid) {
      finding.state = State::warning;
      finding.text = fmt::format("{} belongs to user {}, who can change your rooms", shown, seen.st_uid);
      finding.mend = fmt::format("sudo chown -R {} {}", facts.user.uid, base::quote(folder.str()));
    } else if ((seen.st_mode & S_IWOTH) != 0 || ((seen.st_mode & S_IWGRP) != 0 && seen.st_gid != facts.user.gid)) {
      finding.state = State::warning;
      finding.text = fmt::format("others can write to {}, and so change your rooms", shown);
      finding.mend = fmt::format("chmod go-w {}", base::quote(folder.str()));
    } else {
      finding.text = fmt::format("{} can be changed only by {}", shown, seen.st_uid == 0 ? "root" : "you");
    }
    findings.push_back(std::move(finding));
  }
}

void examine_state_folder(const HostFacts& facts, Findings& findings) {
  AbsPath folder = facts.state_home / "agentbox";
  std::string shown = base::escape(folder.str());
  struct stat seen{};
  Finding finding{.id = "state", .group = Group::folders, .what = "records"};
  if (::lstat(folder.c_str(), &seen) != 0) {
    finding.text = fmt::format("{} is made by the first run", shown);
  } else if (!S_ISDIR(seen.st_mode) || seen.st_uid != facts.user.uid || (seen.st_mode & 0077) != 0) {
    finding.state = State::missing;
    finding.text = fmt::format("{} must be a folder that only you can open; no room is built before it is", shown);
    finding.mend = fmt::format("chmod 700 {}", base::quote(folder.str()));
  } else {
    finding.text = fmt::format("{} can be opened only by you", shown);
  }
  findings.push_back(std::move(finding));
}

void examine_runtime_folder(const HostFacts& facts, Findings& findings) {
  Finding finding{.id = "runtime", .group = Group::folders, .what = "running rooms"};
  if (facts.runtime_dir) {
    finding.text = fmt::format("{} is yours alone", base::escape(facts.runtime_dir->str()));
  } else {
    finding.state = State::warning;
    finding.text = "there is no runtime folder of yours ($XDG_RUNTIME_DIR): they are kept in a folder in /tmp";
    finding.mend = "log in through systemd-logind or elogind; su and cron lose the folder";
  }
  findings.push_back(std::move(finding));
}

}  // namespace

Finding explain_freezing(const std::optional<Trouble>& tracing, OwnGroup group) {
  Finding finding{.id = "freezing", .group = Group::limits, .what = "freezing"};
  const bool has_group = group == OwnGroup::possible;
  if (!tracing) {
    finding.text = fmt::format("a room is frozen by ptrace{}",
                               has_group ? ", or by its cgroup where the profile sets `memory` or `cpu`" : "");
    return finding;
  }
  finding.state = State::warning;
  finding.text = fmt::format(
      "a room {}can't be frozen ({}): it gets no git on the host and no change, and a run whose guard has to act ends "
      "as unverified",
      has_group ? "without a cgroup " : "", base::escape(tracing->what));
  finding.mend = has_group ? "set `memory` or `cpu` in [limits]; or, " : "";
  finding.mend += "where kernel.yama.ptrace_scope is 3: set it to 1 or 2 in /etc/sysctl.d and start the machine anew";
  return finding;
}

void examine_limits(const HostFacts& facts, Findings& findings) {
  examine_cgroup(facts, findings);
  examine_watches(findings);
  std::optional<Trouble> trouble = try_in_child(&try_keyring);
  findings.push_back({.id = "keyring",
                      .group = Group::limits,
                      .state = State::ok,
                      .what = "session keyring",
                      .text = trouble ? "the kernel has no keys, so there are none to keep from the agent"
                                      : "the agent starts with an empty one, not with yours"});
  if (trouble && trouble->code != ENOSYS) {
    findings.back().group = Group::room;
    findings.back().state = State::missing;
    findings.back().text = "a fresh one can't be joined: " + base::escape(trouble->what);
    findings.back().mend = "raise kernel.keys.maxkeys, or look whether a container filters keyctl";
  }
}

void examine_killed_runs(const AbsPath& state_folder, Findings& findings) {
  constexpr std::size_t most = 12;
  std::size_t runs = 0, folders = 0;
  std::string names;
  for (const Record& record : dead_records(state_folder)) {
    ++runs;
    for (const AbsPath& ghost : record.ghosts) {
      struct stat seen{};
      if (::lstat(ghost.c_str(), &seen) != 0 || !S_ISDIR(seen.st_mode) || ++folders > most) continue;
      names += (names.empty() ? "" : ", ") + base::escape(ghost.str()) + "/";
    }
  }
  if (runs == 0) return;
  std::string text = runs == 1 ? "a run was killed" : fmt::format("{} runs were killed", runs);
  text += folders == 0 ? "; what is held in their workspaces is not settled yet"
                       : "; the empty folders that stood in the workspace for missing ones are still there: " + names;
  if (folders > most) text += fmt::format(", and {} more", folders - most);
  findings.push_back({.id = "killed-runs",
                      .group = Group::folders,
                      .state = State::warning,
                      .what = "killed runs",
                      .text = std::move(text),
                      .mend =
                          "`agentbox doctor --sweep` removes them as far as they are empty, and settles the rest; so "
                          "does the next run"});
}

void examine_folders(const HostFacts& facts, Findings& findings) {
  examine_profile_folders(facts, findings);
  examine_state_folder(facts, findings);
  examine_runtime_folder(facts, findings);
  examine_killed_runs(facts.state_home / "agentbox", findings);
}

// Without it a room still starts, with the proxies alone.
void examine_network(Findings& findings) {
  if (try_in_child([] { enter_own_namespaces(CLONE_NEWNET); })) return;
  const std::optional<Trouble> trouble = try_in_child(&try_capture);
  Finding finding{.id = "nftables", .group = Group::limits, .state = State::ok, .what = "network gate"};
  finding.text = "every connection of a room comes to the gate, the rest is refused";
  if (trouble) {
    finding.state = State::warning;
    finding.text = "only programs that use the proxy variables reach the network: " + base::escape(trouble->what);
    finding.mend =
        "install libnftables (libnftables1 on Debian), or load the modules: sudo modprobe -a nf_tables nft_redir "
        "nft_reject nf_nat";
  }
  findings.push_back(std::move(finding));
}

void examine_later(Findings& findings) {
  auto add = [&](const char* id, const char* what, const std::optional<Trouble>& trouble, const char* good,
                 std::string mend) {
    findings.push_back({.id = id,
                        .group = Group::later,
                        .state = trouble ? State::warning : State::ok,
                        .what = what,
                        .text = trouble ? base::escape(trouble->what) : good,
                        .mend = trouble ? std::move(mend) : ""});
  };
  // Where a process can't make namespaces of its own, none of these can be tried.
  if (try_in_child([] { enter_own_namespaces(CLONE_NEWNS); })) return;
  // Nobody need open a device to all users for what nothing uses yet.
  add("fuse", "files gate", try_in_child(&try_fuse), "a folder can be served from outside, one question an open",
      "nothing needs it yet");
  ScratchFolder scratch;
  add("overlay", "review workspace", try_in_child([&] { try_overlay(scratch.path()); }),
      "a copy-on-write workspace can be mounted", "Linux 5.11 or newer is needed, and /tmp on a local file system");
}

Diagnosis examine() {
  Diagnosis diagnosis;
  HostFacts facts;
  try {
    facts = look_at_user();
  } catch (const SystemError& error) {
    diagnosis.findings.push_back({.id = "user",
                                  .group = Group::room,
                                  .state = State::missing,
                                  .what = "user",
                                  .text = error.what(),
                                  .mend = error.hint()});
    return diagnosis;
  }
  HostDisk disk;
  facts.bwrap = look_at_bwrap(disk);
  facts.cgroup = look_at_cgroup(facts.runtime_dir, facts.user.uid);
  examine_rooms(facts, diagnosis.findings);
  examine_limits(facts, diagnosis.findings);
  examine_network(diagnosis.findings);
  examine_folders(facts, diagnosis.findings);
  examine_later(diagnosis.findings);
  std::ranges::stable_sort(diagnosis.findings, {}, &Finding::group);
  return diagnosis;
}

}  // namespace agentbox::launch
