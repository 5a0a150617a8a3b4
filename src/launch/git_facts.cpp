#include "git_facts.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"
#include "agentbox/policy/git_folders.hpp"

#include "files.hpp"
#include "git_text.hpp"

namespace agentbox::launch {

using base::AbsPath;
using policy::Disk;
using policy::FileKind;
using policy::GitFact;
using policy::GitLayout;
using policy::Resolution;

namespace {

// One .git file or commondir; git itself takes up to a megabyte, but they hold one path.
constexpr std::size_t pointer_limit = 8192;
constexpr std::size_t config_limit = 1 << 20;
// Entries of git directories that are listed for one launch: the loose refs of a hundred big clones.
constexpr std::size_t entry_budget = 200'000;
constexpr unsigned module_depth = 16;

// Follows a path as it stands in one of git's files, seen from the real directory `from`: component by
// component, ".." included. Nothing if it doesn't exist.
std::optional<Resolution> follow(const AbsPath& from, std::string_view text, Disk& disk) {
  Resolution at{.kind = FileKind::directory, .path = text.starts_with('/') ? AbsPath() : from};
  while (!text.empty()) {
    std::size_t slash = std::min(text.find('/'), text.size());
    std::string_view part = text.substr(0, slash);
    text.remove_prefix(std::min(slash + 1, text.size()));
    if (part.empty() || part == ".") continue;
    if (at.kind != FileKind::directory) return std::nullopt;
    if (part == "..") {
      at.path = at.path.parent();
      continue;
    }
    auto next = AbsPath::parse(at.path.str() + "/" + std::string(part));
    if (!next) return std::nullopt;
    at = policy::resolve(*next, disk);
    if (at.kind == FileKind::missing || at.kind == FileKind::symlink) return std::nullopt;
  }
  return at;
}

std::optional<AbsPath> follow_to_directory(const AbsPath& from, std::string_view text, Disk& disk) {
  std::optional<Resolution> at = follow(from, text, disk);
  if (!at || at->kind != FileKind::directory) return std::nullopt;
  return std::move(at->path);
}

// The path that a one-line file of a git directory holds.
std::optional<std::string> pointer(const AbsPath& file) {
  std::optional<std::string> bytes = read_regular(file, pointer_limit);
  return bytes ? parse_path_line(*bytes) : std::nullopt;
}

std::optional<std::string> setting(const AbsPath& git_dir, std::string_view key) {
  std::optional<std::string> bytes = read_regular(git_dir / "config", config_limit);
  return bytes ? config_value(*bytes, "core", key) : std::nullopt;
}

bool looks_like_git_directory(const AbsPath& path, Disk& disk) {
  FileKind head = disk.look(path / "HEAD").kind;
  return (head == FileKind::regular || head == FileKind::symlink) &&
         policy::resolve(path / "objects", disk).kind == FileKind::directory &&
         policy::resolve(path / "refs", disk).kind == FileKind::directory;
}

class Looker {
 public:
  Looker(const AbsPath& workspace, const AbsPath& home, Disk& disk) : workspace_(workspace), home_(home), disk_(disk) {}

  // Nothing if `root`/.git is nothing that git would use.
  std::optional<GitFact> repository(const AbsPath& root);
  GitFact bare(const AbsPath& path);
  [[nodiscard]] bool met_bound() const { return left_ == 0 || too_deep_; }

 private:
  // Paths from here on grow by names that an agent may have chosen; AbsPath takes 4095 bytes.
  [[nodiscard]] bool is_too_long(const AbsPath& path) {
    bool too_long = path.str().size() > 3500;
    too_deep_ |= too_long;
    return too_long;
  }
  [[nodiscard]] bool is_inside(const AbsPath& path) const { return path.is_within(workspace_); }
  void set_common_dir(GitFact& fact);
  [[nodiscard]] bool names_root_back(const GitFact& fact);
  void look_inside(GitFact& fact);
  void find_modules(const AbsPath& folder, unsigned depth, GitFact& fact);
  void find_worktrees(GitFact& fact);
  void find_links(const AbsPath& git_dir, GitFact& fact);
  void find_links_in_objects(const AbsPath& objects, GitFact& fact);
  void find_links_below(const AbsPath& folder, unsigned depth, GitFact& fact);
  void find_hook_places(const AbsPath& git_dir, GitFact& fact);
  std::vector<ListedEntry> list(const AbsPath& path) {
    if (is_too_long(path)) return {};
    return list_directory(path, left_).value_or(std::vector<ListedEntry>());
  }

  const AbsPath& workspace_;
  const AbsPath& home_;
  Disk& disk_;
  std::size_t left_ = entry_budget;
  bool too_deep_ = false;
};

std::optional<GitFact> Looker::repository(const AbsPath& root) {
  if (is_too_long(root)) return std::nullopt;
  GitFact fact{.root = root, .entry = root / ".git"};
  Resolution real = policy::resolve(fact.entry, disk_);
  bool is_linked = disk_.look(fact.entry).kind == FileKind::symlink;
  if (real.kind == FileKind::directory) {
    fact.layout = is_linked ? GitLayout::linked : GitLayout::directory;
    fact.git_dir = real.path;
  } else if (real.kind == FileKind::regular) {
    std::optional<std::string> bytes = read_regular(real.path, pointer_limit);
    std::optional<std::string> text = bytes ? parse_gitfile(*bytes) : std::nullopt;
    std::optional<AbsPath> target = text ? follow_to_directory(root, *text, disk_) : std::nullopt;
    if (!target) return std::nullopt;
    fact.layout = GitLayout::submodule;
    fact.git_dir = *std::move(target);
  } else {
    return std::nullopt;
  }
  if (is_too_long(fact.git_dir)) return std::nullopt;
  set_common_dir(fact);
  // What lies in the workspace is granted anyway: there is nothing to confirm.
  fact.confirmed = (is_inside(fact.git_dir) && is_inside(fact.common_dir)) || names_root_back(fact);
  // A foreign folder is not even listed on the word of a file that the agent could write.
  if (fact.confirmed) look_inside(fact);
  return fact;
}

GitFact Looker::bare(const AbsPath& path) {
  GitFact fact{.root = path, .entry = path, .layout = GitLayout::bare, .git_dir = path};
  set_common_dir(fact);
  fact.layout = GitLayout::bare;
  fact.confirmed = is_inside(fact.common_dir);
  if (fact.confirmed) look_inside(fact);
  return fact;
}

// A `commondir` makes any git directory the private part of another one; git reads it whatever .git itself
// is.
void Looker::set_common_dir(GitFact& fact) {
  fact.common_dir = fact.git_dir;
  std::optional<std::string> text = pointer(fact.git_dir / "commondir");
  std::optional<AbsPath> common = text ? follow_to_directory(fact.git_dir, *text, disk_) : std::nullopt;
  if (!common) return;
  if (is_too_long(*common)) return;
  fact.common_dir = *std::move(common);
  if (fact.layout == GitLayout::submodule) fact.layout = GitLayout::worktree;
}

// Only for what lies outside the workspace, and never on the word of anything inside it.
bool Looker::names_root_back(const GitFact& fact) {
  if (is_inside(fact.git_dir) || is_inside(fact.common_dir) || workspace_.is_within(fact.common_dir)) return false;
  if (!looks_like_git_directory(fact.common_dir, disk_)) return false;
  if (fact.git_dir != fact.common_dir) {
    // git makes a worktree's directory at just one place; no other commondir is believed.
    if (fact.git_dir.parent() != fact.common_dir / "worktrees") return false;
    std::optional<std::string> text = pointer(fact.git_dir / "gitdir");
    std::optional<Resolution> back = text ? follow(fact.git_dir, *text, disk_) : std::nullopt;
    return back && back->path == policy::resolve(fact.entry, disk_).path;
  }
  std::optional<std::string> text = setting(fact.git_dir, "worktree");
  std::optional<AbsPath> back = text ? follow_to_directory(fact.git_dir, *text, disk_) : std::nullopt;
  return back == fact.root;
}

void Looker::look_inside(GitFact& fact) {
  find_modules(fact.common_dir / "modules", 0, fact);
  find_worktrees(fact);
  std::vector<AbsPath> places{fact.git_dir};
  if (fact.common_dir != fact.git_dir) places.push_back(fact.common_dir);
  places.insert(places.end(), fact.modules.begin(), fact.modules.end());
  for (const AbsPath& place : places) {
    find_links(place, fact);
    find_hook_places(place, fact);
  }
  // hooksPath counts from where the hooks run: the working tree's root, or the git directory of a bare
  // repository.
  if (std::optional<std::string> text = setting(fact.common_dir, "hookspath")) {
    bool is_home = text->starts_with("~/");
    std::string_view rest = is_home ? std::string_view(*text).substr(2) : std::string_view(*text);
    if (std::optional<Resolution> at = follow(is_home ? home_ : fact.root, rest, disk_)) {
      fact.hook_places.push_back(std::move(at->path));
    }
  }
  for (std::vector<AbsPath>* all : {&fact.modules, &fact.links, &fact.hook_places}) {
    std::ranges::sort(*all);
    auto repeated = std::ranges::unique(*all);
    all->erase(repeated.begin(), repeated.end());
  }
}

// A submodule's name may hold slashes: modules/vendor/lib is one git directory, modules/vendor none.
void Looker::find_modules(const AbsPath& folder, unsigned depth, GitFact& fact) {
  if (depth == module_depth) {
    too_deep_ = true;
    return;
  }
  for (const ListedEntry& entry : list(folder)) {
    AbsPath path = folder / entry.name;
    if (entry.kind == FileKind::symlink) {
      fact.links.push_back(std::move(path));
    } else if (entry.kind == FileKind::directory && disk_.look(path / "HEAD").kind != FileKind::missing) {
      fact.modules.push_back(path);
      find_modules(path / "modules", depth + 1, fact);
    } else if (entry.kind == FileKind::directory) {
      find_modules(path, depth + 1, fact);
    }
  }
}

void Looker::find_worktrees(GitFact& fact) {
  AbsPath folder = fact.common_dir / "worktrees";
  for (const ListedEntry& entry : list(folder)) {
    AbsPath path = folder / entry.name;
    if (entry.kind == FileKind::symlink) {
      fact.links.push_back(std::move(path));
    } else if (entry.kind == FileKind::directory && path != fact.git_dir) {
      fact.modules.push_back(std::move(path));
    }
  }
}

// Where git writes: at the top (HEAD, index, config, packed-refs, *_HEAD, *_MSG and the folders themselves),
// in info/, refs/, logs/ and objects/ at every level, but for the objects themselves.
void Looker::find_links(const AbsPath& git_dir, GitFact& fact) {
  for (const ListedEntry& entry : list(git_dir)) {
    AbsPath path = git_dir / entry.name;
    if (entry.kind == FileKind::symlink) {
      fact.links.push_back(std::move(path));
    } else if (entry.kind == FileKind::directory) {
      if (entry.name == "refs" || entry.name == "logs" || entry.name == "info")
        find_links_below(path, module_depth, fact);
      if (entry.name == "objects") find_links_in_objects(path, fact);
    }
  }
}

void Looker::find_links_in_objects(const AbsPath& objects, GitFact& fact) {
  for (const ListedEntry& entry : list(objects)) {
    if (entry.kind == FileKind::symlink) fact.links.push_back(objects / entry.name);
    if (entry.kind != FileKind::directory || policy::holds_only_objects("objects/" + entry.name)) continue;
    find_links_below(objects / entry.name, module_depth, fact);
  }
}

void Looker::find_links_below(const AbsPath& folder, unsigned depth, GitFact& fact) {
  for (const ListedEntry& entry : list(folder)) {
    if (entry.kind == FileKind::symlink) {
      fact.links.push_back(folder / entry.name);
    } else if (entry.kind == FileKind::directory && depth > 1) {
      find_links_below(folder / entry.name, depth - 1, fact);
    } else if (entry.kind == FileKind::directory) {
      too_deep_ = true;  // a ref sixteen levels down
    }
  }
}

void Looker::find_hook_places(const AbsPath& git_dir, GitFact& fact) {
  AbsPath hooks = git_dir / "hooks";
  for (const ListedEntry& entry : list(hooks)) {
    if (entry.kind != FileKind::symlink) continue;
    Resolution real = policy::resolve(hooks / entry.name, disk_);
    if (real.kind != FileKind::symlink) fact.hook_places.push_back(std::move(real.path));
  }
}

// git enters a submodule by itself, wherever it is checked out.
void add_submodule_roots(Looker& looker, const AbsPath& workspace, Disk& disk, std::set<AbsPath>& known,
                         GitLook& look) {
  for (std::size_t i = 0; i < look.repositories.size(); ++i) {  // grows while it is walked: submodules of submodules
    const std::vector<AbsPath> modules = look.repositories[i].modules;
    for (const AbsPath& module : modules) {
      std::optional<std::string> text = setting(module, "worktree");
      std::optional<AbsPath> root = text ? follow_to_directory(module, *text, disk) : std::nullopt;
      if (!root || !root->is_below(workspace) || known.contains(*root)) continue;
      std::optional<GitFact> fact = looker.repository(*root);
      if (!fact || fact->git_dir != module) continue;
      known.insert(*root);
      look.more_roots.push_back({.path = *root, .repository = true});
      look.repositories.push_back(*std::move(fact));
    }
  }
}

std::optional<AbsPath> enclosing_repository(const AbsPath& workspace, Disk& disk) {
  for (AbsPath folder = workspace; !folder.is_root();) {
    folder = folder.parent();
    FileKind kind = disk.look(folder / ".git").kind;
    if (kind == FileKind::directory || kind == FileKind::regular || kind == FileKind::symlink) return folder;
  }
  return std::nullopt;
}

}  // namespace

GitLook look_at_git(const AbsPath& workspace, std::span<const policy::Root> roots, std::span<const AbsPath> bare,
                    const AbsPath& home, Disk& disk) {
  GitLook look;
  Looker looker(workspace, home, disk);
  std::set<AbsPath> known;
  for (const policy::Root& root : roots) {
    if (!root.repository) continue;
    known.insert(root.path);
    if (std::optional<GitFact> fact = looker.repository(root.path)) look.repositories.push_back(*std::move(fact));
  }
  for (const AbsPath& path : bare) look.repositories.push_back(looker.bare(path));
  add_submodule_roots(looker, workspace, disk, known, look);
  std::ranges::sort(look.repositories, {}, &GitFact::root);
  std::ranges::sort(look.more_roots, {}, &policy::Root::path);
  bool is_repository = std::ranges::any_of(look.repositories, [&](const GitFact& it) { return it.root == workspace; });
  if (!is_repository) look.enclosing = enclosing_repository(workspace, disk);
  if (looker.met_bound()) {
    look.stopped = fmt::format("its git directories hold more than {} entries, or are too deep", entry_budget);
  }
  return look;
}

}  // namespace agentbox::launch
