#pragma once

// Says when something happened to one of many names in a tree, from outside, by inotify. It decides nothing:
// who gets its report looks for himself. It promises that no change goes unreported: a directory that is
// replaced is found again by its parent, and a queue that overflowed is reported as everything.

#include <cstddef>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "agentbox/base/path.hpp"
#include "agentbox/base/unique_fd.hpp"

#include "guard_tree.hpp"

namespace agentbox::launch {

class Watcher {
 public:
  // The names are known by their index from now on. Throws base::SystemError when inotify can't be had.
  Watcher(const Tree& tree, const std::vector<base::AbsPath>& names);

  // Readable when there is a report.
  [[nodiscard]] int descriptor() const noexcept { return inotify_.get(); }

  // Watches every directory that there is. Throws when the system's limit is met: then nothing is watched for
  // sure.
  void start();

  struct Touched {
    std::size_t name = 0;
    bool replaced = false;  // an event was about this very name; else only its directory changed
  };
  struct Report {
    std::vector<Touched> touched;  // by index, each once
    bool overflow = false;         // events were lost: everything is touched
    [[nodiscard]] bool empty() const { return touched.empty(); }
  };
  // All that is queued, without waiting. Throws as `start` does.
  [[nodiscard]] Report read();

 private:
  struct Directory {
    int watch = -1;
    std::vector<std::size_t> names;  // whose parent it is
  };
  using Directories = std::map<base::AbsPath, Directory>;

  void watch(Directories::iterator directory);
  void watch_below(const base::AbsPath& path);
  void touch(const Directory& directory, std::string_view event_name);
  void handle(int watch, unsigned mask, std::string_view name, Report& report);

  const Tree& tree_;
  std::vector<base::AbsPath> names_;
  base::UniqueFd inotify_;
  Directories directories_;  // parents before children; every one up to the workspace
  // Several paths may be one directory (a bind mount of the host): inotify knows it once.
  std::unordered_map<int, std::vector<base::AbsPath>> by_watch_;
  std::vector<char> state_;  // while a report is made: 0 not in it, 1 touched, 2 replaced
};

}  // namespace agentbox::launch
