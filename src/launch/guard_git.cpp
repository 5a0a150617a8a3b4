#include "guard_git.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <string_view>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"

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
  return std::string(first_line(read_regular(directory->get(), "HEAD", 4096).value_or("")));
}

// ---- links --------------------------------------------------------------------------------------------------

// Folders that hold what git or its helpers address by hash, by the hundred thousand: their own entries are
// looked at, not what is in those.
bool is_shallow(std::string_view name) {
  return name == "objects" || name == "lfs" || name == "annex";
}

struct LinkWalk {
  std::vector<std::string> found;  // relative
  std::size_t left = git_entries_limit;

  void run(int directory, const std::string& prefix, int depth, bool shallow) {
    std::vector<ListedEntry> names;
    if (!list(directory, names, left) || depth > depth_limit) {
      throw SystemError(0, "a git directory has too many entries to look through");
    }
    for (const ListedEntry& name : names) {
      if (name.kind == FileKind::symlink) found.push_back(prefix + name.name);
      if (name.kind != FileKind::directory || shallow) continue;
      UniqueFd inside = open_listing(directory, name.name.c_str());
      if (!inside && errno == EACCES) {
        std::expected<UniqueFd, int> locked = open_directory(directory, name.name);
        if (locked && unlock(locked->get())) inside = open_listing(directory, name.name.c_str());
      }
      if (!inside) {
        if (errno == ENOENT) continue;
        throw SystemError(errno, "cannot look into " + base::escape(prefix + name.name));
      }
      run(inside.get(), prefix + name.name + "/", depth + 1, is_shallow(name.name));
    }
  }
};

}  // namespace

std::vector<GitRecord> record_git(const Tree& tree, const std::vector<policy::GitFact>& repositories) {
  std::vector<GitRecord> records;
  for (const policy::GitFact& fact : repositories) {
    GitRecord record{.entry = fact.entry,
                     .directory = fact.git_dir,
                     .head = read_head(tree, fact.git_dir),
                     .modules = fact.modules,
                     .links = {}};
    for (const AbsPath& link : fact.links) {
      if (!link.is_below(fact.git_dir)) continue;
      std::expected<UniqueFd, int> parent = tree.directory(link.parent());
      if (!parent) continue;
      std::optional<Entry> entry = look_at(parent->get(), std::string(link.name()));
      if (!entry || entry->kind != FileKind::symlink) continue;
      record.links.emplace_back(link.relative_to(fact.git_dir), read_link(parent->get(), std::string(link.name())));
    }
    records.push_back(std::move(record));
  }
  return records;
}

std::vector<GuardEvent> take_git_links(Settling& settling, const GitRecord& git) {
  std::vector<GuardEvent> events;
  std::expected<UniqueFd, int> directory = settling.tree.directory(git.directory);
  if (!directory) {
    if (directory.error() == ENOENT || directory.error() == ENOTDIR) return events;
    throw SystemError(directory.error(), "cannot open " + base::escape(git.directory.str()));
  }
  UniqueFd listing = open_listing(directory->get(), ".");
  if (!listing) throw SystemError(errno, "cannot list " + base::escape(git.directory.str()));
  LinkWalk walk;
  walk.run(listing.get(), "", 0, false);
  for (const std::string& relative : walk.found) {
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
