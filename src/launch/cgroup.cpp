// Looking for a group; cgroup_room.cpp makes one.

#include "cgroup.hpp"

#include <algorithm>
#include <array>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "agentbox/launch/look.hpp"

#include "files.hpp"
#include "host_program.hpp"

namespace agentbox::launch {

using base::AbsPath;
using policy::CgroupFact;

namespace {

constexpr std::array wanted{"memory", "cpu", "pids"};

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    std::size_t end = std::min(text.find(separator), text.size());
    if (end > 0) parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

// mountinfo writes blank, tab, newline and backslash as \ooo.
std::string unescape(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    bool is_code = text[i] == '\\' && i + 3 < text.size() &&
                   text.substr(i + 1, 3).find_first_not_of("01234567") == std::string_view::npos;
    if (!is_code) {
      plain += text[i];
      continue;
    }
    plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
    i += 3;
  }
  return plain;
}

struct CgroupMount {
  std::string root, point;  // which part of the hierarchy is mounted where
};

std::optional<CgroupMount> cgroup2_mount(std::string_view mountinfo) {
  for (std::string_view line : split(mountinfo, '\n')) {
    std::size_t dash = line.find(" - ");
    if (dash == std::string_view::npos || !line.substr(dash + 3).starts_with("cgroup2 ")) continue;
    std::vector<std::string_view> fields = split(line.substr(0, dash), ' ');
    if (fields.size() >= 5) return CgroupMount{unescape(fields[3]), unescape(fields[4])};
  }
  return std::nullopt;
}

// Where the group `path` of the hierarchy is in the file system.
std::optional<AbsPath> place_of(const CgroupMount& mount, std::string_view path) {
  if (mount.root != "/") {
    if (!path.starts_with(mount.root)) return std::nullopt;
    path.remove_prefix(mount.root.size());
    if (!path.empty() && path.front() != '/') return std::nullopt;
  }
  return AbsPath::parse(mount.point + std::string(path));  // a "/.." (outside this cgroup namespace) is none
}

bool is_writable(const AbsPath& path) {
  return ::faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) == 0;
}

// What groups made below `group` would be given.
std::vector<std::string> controllers_below(const AbsPath& group, const char* file) {
  std::string text = read_kernel_file((group / file).c_str()).value_or("");
  std::replace(text.begin(), text.end(), '\n', ' ');
  std::vector<std::string> found;
  for (std::string_view name : split(text, ' ')) {
    if (std::ranges::find(wanted, name) != wanted.end()) found.emplace_back(name);
  }
  return found;
}

// A group in which this user may make others and move his processes between them.
bool is_delegated(const AbsPath& group) {
  return is_writable(group) && is_writable(group / "cgroup.procs") && is_writable(group / "cgroup.subtree_control");
}

std::optional<CgroupFact> direct(const AbsPath& own) {
  if (!is_delegated(own)) return std::nullopt;
  CgroupFact fact{.path = own, .controllers = controllers_below(own, "cgroup.subtree_control")};
  // Our own group holds our process, so its controllers can't be handed on ("no internal processes"). The one
  // above may do it, unless it is a slice: those are systemd's to manage.
  AbsPath above = own.parent();
  if (fact.controllers.empty() && !above.name().ends_with(".slice") && is_delegated(above)) {
    std::vector<std::string> more = controllers_below(above, "cgroup.subtree_control");
    if (!more.empty()) return CgroupFact{.path = above, .controllers = std::move(more)};
  }
  return fact;
}

std::optional<CgroupFact> through_systemd(const CgroupMount& mount, const std::optional<AbsPath>& runtime_dir,
                                          std::uint32_t uid) {
  if (!runtime_dir || !find_program("busctl")) return std::nullopt;
  struct stat bus{};
  if (::lstat((*runtime_dir / "bus").c_str(), &bus) != 0 || !S_ISSOCK(bus.st_mode) || bus.st_uid != uid) {
    return std::nullopt;
  }
  auto manager = place_of(mount, fmt::format("/user.slice/user-{0}.slice/user@{0}.service", uid));
  if (!manager || ::lstat(manager->c_str(), &bus) != 0) return std::nullopt;
  return CgroupFact{
      .path = *manager, .controllers = controllers_below(*manager, "cgroup.controllers"), .through_systemd = true};
}

bool has(const CgroupFact& fact, std::string_view controller) {
  return std::ranges::find(fact.controllers, controller) != fact.controllers.end();
}

}  // namespace

std::optional<AbsPath> own_cgroup(std::string_view mountinfo, std::string_view cgroup) {
  std::optional<CgroupMount> mount = cgroup2_mount(mountinfo);
  if (!mount) return std::nullopt;
  for (std::string_view line : split(cgroup, '\n')) {
    if (line.starts_with("0::")) return place_of(*mount, line.substr(3));
  }
  return std::nullopt;
}

std::optional<CgroupFact> look_at_cgroup(const std::optional<AbsPath>& runtime_dir, std::uint32_t uid) {
  std::string mountinfo = read_kernel_file("/proc/self/mountinfo", 16 << 20).value_or("");
  std::optional<CgroupMount> mount = cgroup2_mount(mountinfo);
  if (!mount) return std::nullopt;
  std::optional<AbsPath> own = own_cgroup(mountinfo, read_kernel_file("/proc/self/cgroup").value_or(""));
  std::optional<CgroupFact> here = own ? direct(*own) : std::nullopt;
  if (here && has(*here, "memory") && has(*here, "cpu")) return here;
  std::optional<CgroupFact> scope = through_systemd(*mount, runtime_dir, uid);
  return scope ? scope : here;
}

std::optional<base::Diagnostic> cgroup_problem(const policy::HostFacts& facts, const policy::Limits& limits) {
  std::string missing;
  auto want = [&](std::uint64_t limit, const char* controller) {
    if (limit == 0 || (facts.cgroup && has(*facts.cgroup, controller))) return;
    missing += missing.empty() ? "" : " and ";
    missing += controller;
  };
  want(limits.memory, "memory");
  want(limits.cpu, "cpu");
  if (missing.empty()) return std::nullopt;
  std::string hint = "remove it from [limits], or log in through systemd-logind so that a user manager is running";
  if (facts.cgroup && facts.cgroup->through_systemd) {
    hint = fmt::format(
        "delegate it: 'sudo systemctl edit user@.service', add '[Service]' and 'Delegate=memory cpu pids', "
        "log in again");
  }
  return base::Diagnostic{
      .message = fmt::format("the limit on {} can't be enforced: this session may not divide the {} of its cgroup",
                             missing, missing),
      .hint = std::move(hint)};
}

}  // namespace agentbox::launch
