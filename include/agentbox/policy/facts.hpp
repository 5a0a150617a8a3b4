#pragma once

// What the machine looked like when agentbox looked at it: plain values, taken once by `launch`, loadable from JSON
// in a test. Everything after this is a function of Profile × HostFacts × Flags.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agentbox/base/path.hpp"

namespace agentbox::policy {

enum class FileKind { missing, regular, directory, symlink, socket, fifo, character_device, block_device, unreadable };

// One directory entry, as lstat(2) and readlink(2) say it.
struct FileFact {
  FileKind kind = FileKind::missing;
  std::string target;  // of a symlink, raw
  std::uint32_t uid = 0;
  std::uint32_t mode = 0;  // permission bits
  friend bool operator==(const FileFact&, const FileFact&) = default;
};

// Every entry that was looked at; what is not in it was not asked for (and counts as missing).
using Snapshot = std::map<base::AbsPath, FileFact>;

// How to look: from the disk (recording what it sees) or from a Snapshot. One resolver serves both.
class Disk {
 public:
  virtual ~Disk() = default;
  [[nodiscard]] virtual FileFact look(const base::AbsPath& path) = 0;
};
class SnapshotDisk final : public Disk {
 public:
  explicit SnapshotDisk(const Snapshot& snapshot) : snapshot_(snapshot) {}
  [[nodiscard]] FileFact look(const base::AbsPath& path) override;

 private:
  const Snapshot& snapshot_;
};

// A path followed component by component through all symbolic links.
struct Resolution {
  FileKind kind = FileKind::missing;  // of what it finally names; never symlink, but for a loop (40 links, as Linux)
  base::AbsPath path;                 // where that really is; when missing: the real place where it would be
  struct Link {
    base::AbsPath at;    // where the link is, itself already resolved
    std::string target;  // raw
  };
  std::vector<Link> links;  // each link passed, in order
  base::AbsPath deepest;    // the deepest real directory on the way that exists
  FileFact fact;            // of `path`
};
[[nodiscard]] Resolution resolve(const base::AbsPath& path, Disk& disk);
// As `resolve`, but does not follow the last component.
[[nodiscard]] Resolution resolve_parent(const base::AbsPath& path, Disk& disk);

struct User {
  std::uint32_t uid = 0, gid = 0;
  std::string name, group;
  base::AbsPath home;
  base::AbsPath shell;
};

// A root at which "${roots}" kinds count: the workspace's own root, and each repository's and package's root in it.
struct Root {
  base::AbsPath path;
  bool repository = false;  // it has a .git
  bool package = false;     // it has a package.json, Cargo.toml, pyproject.toml, go.mod, ...
};

// A git directory that belongs to the workspace.
enum class GitLayout { directory, worktree, submodule, bare, linked };  // linked: .git is a symlink
struct GitFact {
  base::AbsPath root;   // the working tree's root (a bare repository: its git directory)
  base::AbsPath entry;  // root/.git (bare: the git directory itself)
  GitLayout layout = GitLayout::directory;
  base::AbsPath git_dir;     // resolved
  base::AbsPath common_dir;  // resolved; equals git_dir but for worktrees
  // For a worktree or submodule whose git directory lies outside the workspace: true when that directory names this
  // root back (its `gitdir` file or core.worktree), so that a planted .git file cannot have a foreign folder granted.
  bool confirmed = false;
  // Git directories below common_dir/modules, and the administrative ones of linked worktrees (common_dir/worktrees/x).
  std::vector<base::AbsPath> modules;
  std::vector<base::AbsPath> links;  // symbolic links found inside, which git follows when it writes
  // What git executes from elsewhere: the resolved targets of links in hooks/, and the directory core.hooksPath.
  std::vector<base::AbsPath> hook_places;
};

// A file or directory that a pattern of the profile names. `pattern` is the PatternText's text. `path` is what the walk
// met, below the real workspace, with no link on the way to it; where it is a link itself, `files` tells where it leads.
struct Match {
  std::string pattern;
  base::AbsPath path;
  FileKind kind = FileKind::missing;
};

struct BwrapFact {
  base::AbsPath path;
  std::uint32_t uid = 0, mode = 0;
  // The first reason why this bwrap can't be trusted, empty if none: setuid, or it or a directory on the way is
  // writable by a user other than root.
  std::string distrust;
};

// cgroup v2: a directory in which this user may make groups.
struct CgroupFact {
  base::AbsPath path;                    // below /sys/fs/cgroup
  std::vector<std::string> controllers;  // delegated to it: "memory", "cpu", "pids"
  bool through_systemd = false;          // not there yet: a user scope would give it
};

struct DeviceFact {
  std::vector<base::AbsPath> gpu_nodes;          // /dev/dri/renderD128, /dev/nvidia0, /dev/kfd, ...
  std::optional<base::AbsPath> pipewire_socket;  // $XDG_RUNTIME_DIR/pipewire-0
  std::optional<base::AbsPath> wayland_socket;
};

struct HostFacts {
  User user;
  std::map<std::string, std::string> environment;
  base::AbsPath workspace;  // as given, made absolute, lexical
  Snapshot files;
  std::vector<Root> roots;
  std::vector<GitFact> repositories;
  // The workspace is a folder of this repository's working tree: its .git lies outside and is not granted.
  std::optional<base::AbsPath> enclosing_repository;
  std::vector<Match> matches;
  // False when the walk met its bound: entries beyond it were not compared with any pattern.
  bool walk_complete = true;
  std::string walk_stopped, walk_hint;  // why not: one clause whose subject is the workspace; what to do
  std::uint64_t walk_entries = 0;
  // `git config --global --list`: only read when the profile's [git] block asks for it. May repeat keys.
  std::vector<std::pair<std::string, std::string>> git_config;
  // With it: the owner's own core.excludesFile, so that git in the room ignores what it ignores outside.
  std::string git_ignore;
  std::optional<BwrapFact> bwrap;
  std::optional<CgroupFact> cgroup;
  DeviceFact devices;
  base::AbsPath config_home, state_home, cache_home, data_home;  // XDG, with their defaults applied
  std::optional<base::AbsPath> runtime_dir;
};

}  // namespace agentbox::policy
