// Who runs agentbox, and where his things are. Trust: the environment is the owner's own, but it may be odd
// (sudo, cron, a container without passwd entries), and everything later counts on $HOME and the XDG folders
// being his.

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string_view>

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <fmt/format.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/launch/look.hpp"

namespace agentbox::launch {

using base::AbsPath;
using base::SystemError;
using policy::HostFacts;

namespace {

struct Account {
  std::string name, home, shell;
};

// An account that no database knows (a container started with --user 4711) goes by its number.
Account account_of(uid_t uid) {
  std::vector<char> room(16384);
  passwd entry{};
  passwd* found = nullptr;
  int error = ::getpwuid_r(uid, &entry, room.data(), room.size(), &found);
  while (error == ERANGE && room.size() < (1u << 20)) {
    room.resize(room.size() * 4);
    error = ::getpwuid_r(uid, &entry, room.data(), room.size(), &found);
  }
  if (error != 0 || found == nullptr) return {.name = fmt::to_string(uid)};
  return {.name = entry.pw_name, .home = entry.pw_dir, .shell = entry.pw_shell};
}

std::string group_of(gid_t gid) {
  std::vector<char> room(65536);  // a group's members are listed in it; one that doesn't fit goes by its number
  group entry{};
  group* found = nullptr;
  if (::getgrgid_r(gid, &entry, room.data(), room.size(), &found) != 0 || found == nullptr) return fmt::to_string(gid);
  return entry.gr_name;
}

std::map<std::string, std::string> read_environment() {
  std::map<std::string, std::string> all;
  for (char** item = ::environ; item != nullptr && *item != nullptr; ++item) {
    std::string_view text = *item;
    std::size_t equals = text.find('=');
    if (equals == 0 || equals == std::string_view::npos) continue;
    all.try_emplace(std::string(text.substr(0, equals)),
                    text.substr(equals + 1));  // the first one, as getenv(3)
  }
  return all;
}

std::string_view variable(const HostFacts& facts, const char* name) {
  auto found = facts.environment.find(name);
  return found == facts.environment.end() ? std::string_view() : std::string_view(found->second);
}

bool same_file(const struct stat& left, const struct stat& right) {
  return left.st_dev == right.st_dev && left.st_ino == right.st_ino;
}

// $HOME need not be passwd's (a test's home, a second profile of the same person), but it must be this user's
// own: a home that another may write is a home whose start-up files another may write.
AbsPath home_of(std::string_view set, const Account& account, uid_t uid) {
  std::string_view text = set.empty() ? std::string_view(account.home) : set;
  std::string shown = base::escape(text);
  if (text.empty()) throw SystemError(0, "no home directory is known for this user", "set HOME to an absolute path");
  auto home = AbsPath::parse(text);
  if (!home || home->is_root()) {
    throw SystemError(0, fmt::format("$HOME is '{}', which cannot be a home directory", shown),
                      "set HOME to an absolute path without '..'");
  }
  struct stat seen{};
  if (::stat(home->c_str(), &seen) != 0) {
    throw SystemError(errno, fmt::format("cannot look at the home directory {}", shown),
                      "set HOME to a directory of your own");
  }
  if (!S_ISDIR(seen.st_mode)) {
    throw SystemError(0, fmt::format("$HOME is {}, which is not a directory", shown),
                      "set HOME to a directory of your own");
  }
  if (seen.st_uid != uid) {
    throw SystemError(0,
                      fmt::format("the home directory {} belongs to user {}, not to you ({})", shown, seen.st_uid, uid),
                      "after sudo use 'sudo -H', else set HOME to a directory of your own");
  }
  if ((seen.st_mode & S_IWOTH) != 0) {
    throw SystemError(0, fmt::format("everyone may write to the home directory {}", shown),
                      fmt::format("chmod o-w {}", base::quote(text)));
  }
  return *home;
}

// Where HOME names another place than passwd, the real home must be guarded as well: `check_workspace` knows
// only one.
void guard_real_home(const AbsPath& home, const Account& account, const AbsPath& workspace) {
  auto real = AbsPath::parse(account.home);
  struct stat named{}, known{};
  if (!real || real->is_root() || ::stat(real->c_str(), &known) != 0) return;
  if (::stat(home.c_str(), &named) == 0 && same_file(named, known)) return;
  // The real home or a directory above it: both are met on the way up from it, whatever they are called.
  struct stat work{}, above{};
  if (::stat(workspace.c_str(), &work) != 0) return;
  for (std::string up = real->str();; up += "/..") {
    if (::stat(up.c_str(), &above) != 0) return;
    if (same_file(above, work)) {
      throw SystemError(0,
                        fmt::format("the workspace {} holds your home directory {}", base::escape(workspace.str()),
                                    base::escape(real->str())),
                        "choose a project's folder; HOME names another directory, but this one is yours too");
    }
    struct stat root{};
    if (::stat("/", &root) != 0 || same_file(above, root)) return;
  }
}

// The XDG base directory specification says to ignore a relative path. One with ".." means a place, though:
// another program would use it, so to ignore it would protect the wrong folder.
AbsPath xdg(const HostFacts& facts, const char* name, std::string_view fallback) {
  std::string_view text = variable(facts, name);
  if (text.empty() || text.front() != '/') return facts.user.home / fallback;
  auto path = AbsPath::parse(text);
  if (path && !path->is_root()) return *path;
  throw SystemError(0, fmt::format("${} is '{}', which is not a plain absolute path", name, base::escape(text)),
                    "write it without '..', or unset it");
}

// Only a folder that is surely this user's alone may hold sockets that answer questions.
std::optional<AbsPath> runtime_dir_of(const HostFacts& facts) {
  std::string text(variable(facts, "XDG_RUNTIME_DIR"));
  if (text.empty()) text = fmt::format("/run/user/{}", facts.user.uid);  // su and cron lose the variable
  auto path = AbsPath::parse(text);
  struct stat seen{};
  if (!path || ::lstat(path->c_str(), &seen) != 0 || !S_ISDIR(seen.st_mode)) return std::nullopt;
  if (seen.st_uid != facts.user.uid || (seen.st_mode & 07777) != 0700) return std::nullopt;
  return path;
}

AbsPath shell_of(const HostFacts& facts, const Account& account) {
  for (std::string_view text : {variable(facts, "SHELL"), std::string_view(account.shell)}) {
    auto path = AbsPath::parse(text);
    struct stat seen{};
    if (path && ::stat(path->c_str(), &seen) == 0 && S_ISREG(seen.st_mode) && (seen.st_mode & 0111) != 0) return *path;
  }
  return *AbsPath::parse("/bin/sh");
}

}  // namespace

HostFacts look_at_user() {
  HostFacts facts;
  facts.environment = read_environment();
  facts.user.uid = ::geteuid();
  facts.user.gid = ::getegid();
  Account account = account_of(facts.user.uid);
  facts.user.name = account.name;
  facts.user.group = group_of(facts.user.gid);
  facts.user.home = home_of(variable(facts, "HOME"), account, facts.user.uid);
  facts.user.shell = shell_of(facts, account);
  facts.config_home = xdg(facts, "XDG_CONFIG_HOME", ".config");
  facts.state_home = xdg(facts, "XDG_STATE_HOME", ".local/state");
  facts.cache_home = xdg(facts, "XDG_CACHE_HOME", ".cache");
  facts.data_home = xdg(facts, "XDG_DATA_HOME", ".local/share");
  facts.runtime_dir = runtime_dir_of(facts);
  return facts;
}

HostFacts look_at_user(const AbsPath& workspace) {
  return with_workspace(look_at_user(), workspace);
}

HostFacts with_workspace(HostFacts user, const AbsPath& workspace) {
  struct stat seen{};
  std::string shown = base::escape(workspace.str());
  if (::stat(workspace.c_str(), &seen) != 0) {
    throw SystemError(errno, fmt::format("cannot look at the workspace {}", shown));
  }
  if (!S_ISDIR(seen.st_mode)) throw SystemError(ENOTDIR, fmt::format("the workspace {} is no directory", shown));
  guard_real_home(user.user.home, account_of(user.user.uid), workspace);
  user.workspace = workspace;
  return user;
}

AbsPath current_directory() {
  char text[PATH_MAX];
  if (::getcwd(text, sizeof text) == nullptr) {
    throw SystemError(errno, "cannot tell the current directory", "it may have been removed: cd to one that exists");
  }
  // "(unreachable)/..." comes from a directory outside this process's root.
  auto path = AbsPath::parse(text);
  if (!path) throw SystemError(ENOENT, "the current directory cannot be reached from '/'", "cd to one that can");
  return *path;
}

std::string path_as_typed(const std::string& text) {
  std::string path = text.starts_with('/') ? text : current_directory().str() + "/" + text;
  // Only the file system can tell what a ".." means, and only where its components are there.
  if (("/" + path + "/").find("/../") == std::string::npos) return path;
  std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr), &std::free);
  if (!real) return path;
  return std::string(real.get()) + (path.ends_with('/') ? "/" : "");
}

}  // namespace agentbox::launch
