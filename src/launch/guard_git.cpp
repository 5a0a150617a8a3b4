#include "guard_git.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <set>
#include <string_view>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/policy/git_folders.hpp"

#include "files.hpp"

namespace agentbox::launch {

namespace {

using base::AbsPath;
using base::SystemError;
using base::UniqueFd;
using policy::FileKind;

constexpr std::size_t git_entries_limit = 200'000;
constexpr int depth_limit = 64;

UniqueFd open_listing(int parent, const char* name) {
  return UniqueFd(::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

// False when there is more than `left`.
bool list(int directory, std::vector<ListedEntry>& entries, std::size_t& left) {
  int error = list_entries(directory, entries, left);
  if (error != 0 && error != E2BIG) throw SystemError(error, "cannot list a directory");
  return error == 0;
}

std::string_view first_line(std::string_view text) {
  text = text.substr(0, text.find('\n'));
  while (!text.empty() && (text.back() == '\r' || text.back() == ' ')) text.remove_suffix(1);
  return text;
}

std::string read_head(const Tree& tree, const AbsPath& git_directory) {
  std::expected<UniqueFd, int> directory = tree.directory(git_directory);
  if (!directory) return {};
  return std::string(first_line(read_start(directory->get(), "HEAD", 4096).value_or("")));
}

// ---- links --------------------------------------------------------------------------------------------------

struct LinkWalk {
  std::vector<std::string> found;  // relative
  std::size_t left = git_entries_limit;

  // `inside` is the directory as the git directory around it sees it: `prefix`, or less in a submodule's.
  void run(int directory, const std::string& prefix, std::string inside, int depth) {
    std::vector<ListedEntry> names;
    if (!list(directory, names, left) || depth > depth_limit) {
      throw SystemError(0, "a git directory has too many entries to look through");
    }
    policy::GitSigns signs;
    for (const ListedEntry& name : names) {
      signs.head |= name.name == "HEAD";
      signs.objects |= name.name == "objects";
      signs.refs |= name.name == "refs";
    }
    if (policy::begins_git_directory(inside, signs)) inside.clear();
    for (const ListedEntry& name : names) {
      if (name.kind == FileKind::symlink) found.push_back(prefix + name.name);
      if (name.kind != FileKind::directory) continue;
      std::string below = inside.empty() ? name.name : inside + "/" + name.name;
      if (policy::holds_only_objects(below)) continue;
      UniqueFd child = open_listing(directory, name.name.c_str());
      if (!child && errno == EACCES) {
        std::expected<UniqueFd, int> locked = open_directory(directory, name.name);
        if (locked && unlock(locked->get())) child = open_listing(directory, name.name.c_str());
        if (!child) errno = EACCES;
      }
      if (!child) {
        if (errno == ENOENT) continue;
        throw SystemError(errno, "cannot look into " + base::escape(prefix + name.name));
      }
      run(child.get(), prefix + name.name + "/", std::move(below), depth + 1);
    }
  }
};

// Nothing when there is no such directory.
std::vector<std::string> links_in(const Tree& tree, const AbsPath& git_directory) {
  std::expected<UniqueFd, int> directory = tree.directory(git_directory);
  if (!directory) {
    if (directory.error() == ENOENT || directory.error() == ENOTDIR) return {};
    throw SystemError(directory.error(), "cannot open " + base::escape(git_directory.str()));
  }
  UniqueFd listing = open_listing(directory->get(), ".");
  if (!listing) throw SystemError(errno, "cannot list " + base::escape(git_directory.str()));
  LinkWalk walk;
  walk.run(listing.get(), "", "", 0);
  return std::move(walk.found);
}

GitRecord record_one(const Tree& tree, const policy::GitFact& fact, const AbsPath& directory) {
  GitRecord record{.entry = directory == fact.git_dir ? fact.entry : directory,
                   .directory = directory,
                   .head = read_head(tree, directory),
                   .modules = fact.modules,
                   .links = {}};
  // By the walk that looks at the end: what it finds then and didn't find now is the agent's.
  for (std::string& relative : links_in(tree, directory)) {
    std::optional<AbsPath> path = below(directory, relative);
    std::expected<UniqueFd, int> parent = path ? tree.directory(path->parent()) : std::unexpected(ENAMETOOLONG);
    if (!parent) throw SystemError(parent.error(), "cannot open a link in " + base::escape(directory.str()));
    std::string target = read_link(parent->get(), std::string(path->name()));
    record.links.emplace_back(std::move(relative), std::move(target));
  }
  return record;
}

}  // namespace

std::vector<GitRecord> record_git(const Tree& tree, const std::vector<policy::GitFact>& repositories) {
  std::vector<GitRecord> records;
  std::set<AbsPath> looked_at;
  for (const policy::GitFact& fact : repositories) {
    // A worktree's are two, and the room may write both.
    for (const AbsPath* directory : {&fact.git_dir, &fact.common_dir}) {
      // On the word of a file that the agent could have written no foreign folder is looked into. The .git file itself
      // is known all the same.
      bool is_ours = fact.confirmed || directory->is_within(tree.workspace());
      if (!is_ours && directory == &fact.git_dir) {
        records.push_back({.entry = fact.entry, .directory = fact.entry, .head = {}, .modules = {}, .links = {}});
      }
      if (is_ours && looked_at.insert(*directory).second) records.push_back(record_one(tree, fact, *directory));
    }
  }
  return records;
}

std::vector<GuardEvent> take_git_links(Settling& settling, const GitRecord& git) {
  std::vector<GuardEvent> events;
  for (const std::string& relative : links_in(settling.tree, git.directory)) {
    std::optional<AbsPath> path = below(git.directory, relative);
    if (!path) throw SystemError(ENAMETOOLONG, "cannot open a link in " + base::escape(git.directory.str()));
    std::expected<UniqueFd, int> parent = settling.tree.directory(path->parent());
    if (!parent) continue;
    auto known = std::ranges::find(git.links, relative, &std::pair<std::string, std::string>::first);
    if (known != git.links.end() && known->second == read_link(parent->get(), std::string(path->name()))) continue;
    std::optional<GuardEvent> event = take_away(
        settling, *path, "it is a symbolic link in a git directory, and git on the host would write through it");
    if (event) events.push_back(*std::move(event));
  }
  return events;
}

std::string switched_note(const Tree& tree, const std::vector<GitRecord>& git) {
  for (const GitRecord& record : git) {
    std::string now = read_head(tree, record.directory);
    if (now == record.head || now.empty()) continue;
    auto name = [](std::string_view head) {
      return base::escape(head.starts_with("ref: refs/heads/") ? head.substr(16) : head.substr(0, 12));
    };
    return fmt::format(" (the branch was switched during the run, from {} to {}: `git restore` takes its version)",
                       name(record.head), name(now));
  }
  return {};
}

}  // namespace agentbox::launch
