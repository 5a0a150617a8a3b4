#include "watcher.hpp"

#include <algorithm>
#include <cerrno>
#include <string_view>

#include <sys/inotify.h>
#include <unistd.h>

#include <fmt/format.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"

namespace agentbox::launch {

namespace {

using base::AbsPath;
using base::SystemError;

constexpr unsigned events = IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM | IN_MOVE_SELF | IN_DELETE_SELF;
constexpr unsigned appearances = IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM;

}  // namespace

Watcher::Watcher(const Tree& tree, const std::vector<AbsPath>& names)
    : tree_(tree), names_(names), inotify_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)), state_(names.size(), 0) {
  if (!inotify_) {
    throw SystemError(errno, "cannot watch the workspace",
                      errno == EMFILE ? "raise fs.inotify.max_user_instances with sysctl" : "");
  }
  for (std::size_t i = 0; i < names_.size(); ++i) {
    AbsPath parent = names_[i].parent();
    directories_[parent].names.push_back(i);
    while (parent.is_below(tree_.workspace())) {
      parent = parent.parent();
      directories_[parent];
    }
  }
}

void Watcher::watch(Directories::iterator directory) {
  if (directory->second.watch >= 0) {
    auto known = by_watch_.find(directory->second.watch);
    if (known != by_watch_.end()) {
      std::erase(known->second, directory->first);
      // The directory that stood here is somebody else's now, or gone.
      if (known->second.empty()) {
        ::inotify_rm_watch(inotify_.get(), known->first);
        by_watch_.erase(known);
      }
    }
    directory->second.watch = -1;
  }
  std::expected<base::UniqueFd, int> found = tree_.directory(directory->first);
  if (!found) {
    // A link here is the caller's business: he is told that every name below was touched.
    if (found.error() == ENOENT || found.error() == ENOTDIR || found.error() == ELOOP) return;
    throw SystemError(found.error(), "cannot watch " + base::escape(directory->first.str()));
  }
  std::string own = fmt::format("/proc/self/fd/{}", found->get());
  int watch = ::inotify_add_watch(inotify_.get(), own.c_str(), events | IN_ONLYDIR);
  if (watch < 0 && errno == EACCES && unlock(found->get())) {
    watch = ::inotify_add_watch(inotify_.get(), own.c_str(), events | IN_ONLYDIR);
  }
  if (watch < 0) {
    int error = errno;
    throw SystemError(error, "cannot watch " + base::escape(directory->first.str()),
                      error == ENOSPC ? "raise fs.inotify.max_user_watches with sysctl" : "");
  }
  directory->second.watch = watch;
  std::vector<AbsPath>& paths = by_watch_[watch];
  if (std::ranges::find(paths, directory->first) == paths.end()) paths.push_back(directory->first);
}

void Watcher::start() {
  for (auto directory = directories_.begin(); directory != directories_.end(); ++directory) watch(directory);
}

// Parents first: what appears in one of them from now on is an event.
void Watcher::watch_below(const AbsPath& path) {
  for (auto directory = directories_.lower_bound(path);
       directory != directories_.end() && directory->first.is_within(path); ++directory) {
    watch(directory);
    for (std::size_t name : directory->second.names) state_[name] = 2;
  }
}

void Watcher::touch(const Directory& directory, std::string_view event_name) {
  for (std::size_t name : directory.names) {
    char how = names_[name].name() == event_name ? 2 : 1;
    state_[name] = std::max(state_[name], how);
  }
}

void Watcher::handle(int watch, unsigned mask, std::string_view name, Report& report) {
  if ((mask & IN_Q_OVERFLOW) != 0) {
    report.overflow = true;
    return;
  }
  auto known = by_watch_.find(watch);
  if (known == by_watch_.end()) return;  // from before it was given up
  std::vector<AbsPath> paths = known->second;
  if ((mask & IN_IGNORED) != 0) {
    by_watch_.erase(known);
    for (const AbsPath& path : paths) directories_[path].watch = -1;
    return;
  }
  for (const AbsPath& path : paths) {
    if ((mask & (IN_MOVE_SELF | IN_DELETE_SELF | IN_UNMOUNT)) != 0) {
      watch_below(path);
      continue;
    }
    touch(directories_[path], name);
    if ((mask & appearances) == 0 || name.empty()) continue;
    std::optional<AbsPath> child = below(path, name);
    if (child && directories_.contains(*child)) watch_below(*child);
  }
}

Watcher::Report Watcher::read() {
  Report report;
  alignas(inotify_event) char buffer[65536];
  while (true) {
    ssize_t got = ::read(inotify_.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) break;
    if (got <= 0) throw SystemError(errno, "cannot read what happened in the workspace");
    for (ssize_t at = 0; at < got;) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
      at += static_cast<ssize_t>(sizeof *event + event->len);
      std::string_view name = event->len > 0 ? std::string_view(event->name) : std::string_view();
      handle(event->wd, event->mask, name, report);
    }
  }
  if (report.overflow) {
    // What is left of the queue tells no story: watch everything anew, and say that all was touched. Events
    // that come after this are in the next report.
    start();
    for (char& state : state_) state = std::max(state, char{1});
  }
  for (std::size_t i = 0; i < state_.size(); ++i) {
    if (state_[i] != 0) report.touched.push_back({i, state_[i] == 2});
    state_[i] = 0;
  }
  return report;
}

}  // namespace agentbox::launch
