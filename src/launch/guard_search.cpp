#include "guard_search.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <expected>
#include <iterator>
#include <optional>
#include <set>
#include <string_view>

#include <fmt/format.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/policy/look.hpp"

#include "git_text.hpp"
#include "guard_config.hpp"
#include "walk.hpp"
#include "walk_store.hpp"

namespace agentbox::launch {

namespace {

using base::AbsPath;
using base::UniqueFd;
using policy::FileKind;

constexpr WalkBounds search_bounds{.entries = 300'000, .depth = 64, .time = std::chrono::milliseconds(2000)};
constexpr std::size_t told_limit = 64;      // lines; what is beyond them is a number
constexpr std::size_t listed_limit = 1000;  // entries of a folder of hooks or submodules
constexpr std::size_t config_limit = 256 * 1024;
constexpr std::size_t pointer_limit = 8192;  // .git files and commondir hold one path
constexpr std::size_t todo_limit = 1 << 20;
constexpr std::size_t text_limit = 2000;

// Who acts on a kind by himself.
struct Program {
  std::string_view first, who;
};
constexpr std::array programs = {
    Program{".envrc", "direnv"},   Program{".direnv", "direnv"},
    Program{".vscode", "VS Code"}, Program{".devcontainer", "VS Code"},
    Program{".npmrc", "npm"},      Program{".vimrc", "vim"},
    Program{".exrc", "vim"},       Program{".gdbinit", "gdb"},
    Program{".husky", "git"},      Program{".githooks", "git"},
};
std::string_view executor_of(std::string_view kind) {
  const auto* found = std::ranges::find(programs, kind.substr(0, kind.find('/')), &Program::first);
  return found == programs.end() ? "a program outside" : found->who;
}

// Of a rebase's list: has it a line that is a command? Blanks before it are git's.
bool has_exec(std::string_view todo) {
  while (!todo.empty()) {
    std::size_t end = std::min(todo.find('\n'), todo.size());
    std::string_view line = todo.substr(0, end);
    todo.remove_prefix(std::min(end + 1, todo.size()));
    line.remove_prefix(std::min(line.find_first_not_of(" \t\r"), line.size()));
    std::string_view word = line.substr(0, line.find_first_of(" \t\r"));
    if (word == "exec" || word == "x") return true;
  }
  return false;
}

}  // namespace

Kinds kinds_of(const policy::Policy& policy) {
  Kinds kinds;
  std::set<std::string> executed, obeyed;
  auto add = [&](std::set<std::string>& to, const AbsPath& path) {
    kinds.guarded.insert(path);
    if (!path.is_below(policy.workspace)) return;
    AbsPath root = policy.workspace;
    for (const policy::GitFact& fact : policy.repositories) {
      if (path.is_below(fact.root) && fact.root.is_below(root)) root = fact.root;
    }
    std::string_view relative = path.relative_to(root);
    if (relative.starts_with(".git/") || relative == ".git" || relative.empty()) return;
    if (relative.starts_with(".") || relative.find('/') == std::string_view::npos) to.emplace(relative);
  };
  for (const policy::Watched& watched : policy.watched) {
    if (watched.why == policy::Watched::Why::protect) add(executed, watched.directory / watched.name);
  }
  for (const policy::Mount& mount : policy.mounts) {
    if (mount.why == policy::Mount::Why::protect || mount.why == policy::Mount::Why::ghost) add(executed, mount.target);
  }
  for (const policy::Held& held : policy.held) add(obeyed, held.path);
  kinds.executed.assign(executed.begin(), executed.end());
  std::ranges::set_difference(obeyed, executed, std::back_inserter(kinds.obeyed));
  return kinds;
}

namespace {

class Search {
 public:
  Search(const Tree& tree, const std::vector<GitRecord>& known, const Kinds& kinds, std::int64_t since_ns,
         const WalkStore* walks)
      : tree_(tree), kinds_(kinds), since_ns_(since_ns), walks_(walks) {
    for (const GitRecord& record : known) {
      known_.insert(record.entry.str());
      known_.insert(record.directory.str());
      for (const AbsPath& module : record.modules) known_.insert(module.str());
    }
  }

  std::vector<GuardEvent> run(const std::vector<GitRecord>& known) {
    everywhere();
    std::set<AbsPath> git_directories;
    for (const GitRecord& record : known) {
      git_directories.insert(record.directory);
      git_directories.insert(record.modules.begin(), record.modules.end());
      if (std::optional<AbsPath> modules = below(record.directory, "modules")) new_modules(*modules);
      if (std::optional<AbsPath> worktrees = below(record.directory, "worktrees")) new_worktrees(*worktrees);
    }
    for (const AbsPath& directory : git_directories) rebase_in(directory);
    if (more_ != 0) {
      events_.push_back(
          {.kind = GuardEvent::Kind::would_execute,
           .path = tree_.workspace(),
           .detail = fmt::format("has {} more files and folders that programs outside would act upon, made "
                                 "or changed during the run",
                                 more_),
           .id = {}});
    }
    return std::move(events_);
  }

 private:
  void everywhere() {
    std::set<std::string> firsts;
    for (const std::vector<std::string>* some : {&kinds_.executed, &kinds_.obeyed}) {
      for (const std::string& kind : *some) firsts.insert(kind.substr(0, kind.find('/')));
    }
    WalkRequest request{.top = tree_.workspace(),
                        .roots = true,
                        .foreign = policy::foreign_directories(),
                        .markers = policy::package_markers(),
                        .kinds = {firsts.begin(), firsts.end()},
                        .everywhere = true,
                        .patterns = {},
                        .match = {},
                        .bounds = search_bounds};
    // It was made for this and for the profile's patterns. What it lacks was there at the start.
    if (walks_ != nullptr) request.memory = walks_->load();
    Walked walked = walk(request);
    for (const FoundRoot& found : walked.roots) {
      if (found.root.repository) look_into(found.root.path);
    }
    for (const AbsPath& bare : walked.bare) {
      std::expected<UniqueFd, int> directory = tree_.directory(bare);
      if (!directory || known_.contains(bare.str()) || !is_touched(directory->get())) continue;
      tell_git(bare, git_directory(bare, 0));
    }
    for (const FoundKind& found : walked.kinds) look_at_kinds(found.path.parent(), request.kinds[found.kind]);
    if (walked.stopped.empty()) return;
    tell(tree_.workspace(), "was not searched as a whole for what programs outside would execute: " + walked.stopped);
  }

  // Nothing can be made in a directory without changing its ctime, which no program can set.
  [[nodiscard]] bool is_touched(int directory) const {
    constexpr std::int64_t coarse_clock_ns = 100'000'000;
    return look_at(directory).changed_ns >= since_ns_ - coarse_clock_ns;
  }

  // What has a .git: a new repository?
  void look_into(const AbsPath& path) {
    std::expected<UniqueFd, int> directory = tree_.directory(path);
    if (!directory || !is_touched(directory->get())) return;
    std::optional<Entry> git = look_at(directory->get(), ".git");
    if (git && !known_.contains(path.str() + "/.git")) tell_git(path, repository(directory->get(), path, git->kind));
  }

  // All kinds in `folder` that begin with `first`.
  void look_at_kinds(const AbsPath& folder, const std::string& first) {
    for (const std::vector<std::string>* some : {&kinds_.executed, &kinds_.obeyed}) {
      for (const std::string& kind : *some) {
        if (kind != first && !kind.starts_with(first + "/")) continue;
        std::optional<AbsPath> path = below(folder, kind);
        if (!path || kinds_.guarded.contains(*path)) continue;
        std::string_view how = how_touched(*path);
        if (how.empty()) continue;
        bool executed = some == &kinds_.executed;
        tell(*path,
             fmt::format("was {} during the run; {} would {} it", how,
                         executed ? executor_of(kind) : "an agent that works there", executed ? "execute" : "obey"));
      }
    }
  }

  // "made", "changed"; empty: neither. An empty directory is nothing: one that another room keeps a name with.
  [[nodiscard]] std::string_view how_touched(const AbsPath& path) const {
    std::expected<UniqueFd, int> parent = tree_.directory(path.parent());
    if (!parent) return {};
    const std::string name(path.name());
    std::optional<Entry> entry = look_at(parent->get(), name);
    if (!entry) return {};
    bool changed = entry->changed_ns >= since_ns_;
    if (entry->kind == FileKind::directory) {
      std::expected<UniqueFd, int> inside = open_directory(parent->get(), name);
      std::optional<std::vector<std::string>> names;
      if (inside) names = names_in(inside->get(), listed_limit);
      if (names && names->empty()) return {};
      for (const std::string& child : names.value_or(std::vector<std::string>{})) {
        if (changed) break;
        std::optional<Entry> seen = look_at(inside->get(), child);
        changed = seen && seen->changed_ns >= since_ns_;
      }
    }
    if (!changed) return {};
    return entry->born_ns == 0 || entry->born_ns >= since_ns_ ? "made" : "changed";
  }

  void tell(const AbsPath& path, std::string detail) {
    if (events_.size() >= told_limit) {
      ++more_;
      return;
    }
    events_.push_back({.kind = GuardEvent::Kind::would_execute, .path = path, .detail = std::move(detail), .id = {}});
  }
  void tell_git(const AbsPath& path, const std::string& texts) {
    if (!texts.empty()) tell(path, "was made during the run; git would execute " + texts.substr(2));
  }

  std::string repository(int directory, const AbsPath& path, FileKind kind) {
    std::optional<AbsPath> own = below(path, ".git"), modules = below(path, ".git/modules");
    if (!own || !modules) return {};
    if (kind == FileKind::directory) return git_directory(*own, 0) + modules_in(*modules);
    if (kind != FileKind::regular) return ", .git (a link)";
    std::string trouble;
    std::optional<std::string> text = content(directory, ".git", pointer_limit, trouble);
    std::optional<std::string> there = text ? parse_gitfile(*text) : std::nullopt;
    std::optional<AbsPath> target = there ? resolve_text(path, *there) : std::nullopt;
    if (!target) return trouble.empty() ? ", .git (where it leads can't be told)" : trouble;
    if (!target->is_within(tree_.workspace()) && !of_known(*target)) {
      return ", its git directory is outside: " + base::escape(target->str());
    }
    return git_directory(*target, 0);
  }

  // Where a path that a file names leads. Nothing when that can't be told: out of the root, or back from what is no
  // directory, a link perhaps.
  [[nodiscard]] std::optional<AbsPath> resolve_text(const AbsPath& from, std::string_view text) const {
    AbsPath at = text.starts_with('/') ? AbsPath() : from;
    for (std::size_t begin = 0; begin < text.size();) {
      std::size_t end = std::min(text.find('/', begin), text.size());
      std::string_view part = text.substr(begin, end - begin);
      begin = end + 1;
      if (part.empty() || part == ".") continue;
      if (part == "..") {
        if (!tree_.directory(at)) return std::nullopt;
        at = at.parent();
      } else {
        std::optional<AbsPath> next = below(at, part);
        if (!next) return std::nullopt;
        at = *next;
      }
    }
    return at;
  }

  // Below a git directory that was there before: a worktree or submodule of it.
  [[nodiscard]] bool of_known(const AbsPath& path) const {
    for (AbsPath at = path; !at.is_root(); at = at.parent()) {
      if (known_.contains(at.str())) return true;
    }
    return false;
  }

  // A regular file's content. Nothing when it isn't there, or with words for `trouble`: who makes it unreadable must
  // not make it unseen.
  static std::optional<std::string> content(int directory, const std::string& name, std::size_t limit,
                                            std::string& trouble) {
    std::optional<Entry> entry = look_at(directory, name);
    if (!entry) return std::nullopt;
    const char* why = nullptr;
    if (entry->kind == FileKind::symlink) {
      why = "a link";
    } else if (entry->kind != FileKind::regular) {
      why = "not a file";
    } else {
      std::expected<std::string, int> text = read_start(directory, name, limit + 1);
      if (text && text->size() <= limit) return *std::move(text);
      why = text ? "too big to be looked at" : "can't be read";
    }
    trouble += fmt::format(", {} ({})", base::escape(name), why);
    return std::nullopt;
  }

  static std::string hooks_in(int directory) {
    std::optional<Entry> entry = look_at(directory, "hooks");
    if (!entry) return {};
    if (entry->kind == FileKind::symlink) return ", hooks (a link)";
    if (entry->kind != FileKind::directory) return {};
    std::expected<UniqueFd, int> hooks = open_directory(directory, "hooks");
    if (!hooks) return ", hooks (can't be opened)";
    std::optional<std::vector<std::string>> names;
    try {
      names = names_in(hooks->get(), listed_limit);
    } catch (const base::SystemError&) {
      return ", hooks (can't be listed)";
    }
    if (!names) return ", hooks (too many to list)";
    std::string texts;
    for (const std::string& name : *names) {
      std::optional<Entry> hook = look_at(hooks->get(), name);
      if (!hook || name.ends_with(".sample") || (hook->mode & 0111) == 0) continue;
      if (texts.size() > text_limit) return texts + ", and more hooks";
      texts += ", " + base::escape("hooks/" + name);
    }
    return texts;
  }

  std::string git_directory(const AbsPath& path, int depth) {
    std::expected<UniqueFd, int> directory = tree_.directory(path);
    if (!directory || depth > 4) return ", what can't be looked at: " + base::escape(path.str());
    std::string texts = hooks_in(directory->get());
    for (const char* file : {"config", "config.worktree"}) {
      constexpr std::size_t most = 32;
      std::vector<std::string> keys =
          executing_keys(content(directory->get(), file, config_limit, texts).value_or(""), most);
      for (const std::string& key : keys) texts += ", " + base::escape(key);
      if (keys.size() == most) texts += ", and more keys";
    }
    std::expected<UniqueFd, int> rebase = open_directory(directory->get(), "rebase-merge");
    if (rebase ? !commands_in(rebase->get()).empty() : rebase.error() == ELOOP)
      texts += ", rebase-merge/git-rebase-todo";
    std::string trouble;
    std::optional<std::string> text = content(directory->get(), "commondir", pointer_limit, trouble);
    if (!text) return texts + trouble;
    std::optional<std::string> common = parse_path_line(*text);
    std::optional<AbsPath> elsewhere = common ? resolve_text(path, *common) : std::nullopt;
    if (!elsewhere) return texts + ", commondir (where it leads can't be told)";
    if (!known_.contains(elsewhere->str())) texts += git_directory(*elsewhere, depth + 1);
    return texts;
  }

  std::string modules_in(const AbsPath& folder) {
    std::string texts;
    if (!each_module(folder, 0, [&](const AbsPath& module) {
          if (texts.size() <= text_limit) texts += git_directory(module, 0);
        })) {
      texts += ", modules (not all can be looked at)";
    }
    return texts.size() > text_limit ? texts + ", and more" : texts;
  }
  void new_modules(const AbsPath& folder) {
    if (!each_module(folder, 0, [&](const AbsPath& module) {
          if (!known_.contains(module.str())) tell_git(module, git_directory(module, 0));
        })) {
      tell(folder, "can't be looked at as a whole: git would execute the hooks and settings of what is new in it");
    }
  }
  // Each is a git directory's private part: the rest is where its commondir leads.
  void new_worktrees(const AbsPath& folder) {
    std::expected<UniqueFd, int> directory = tree_.directory(folder);
    if (!directory) return;  // a link was taken before
    std::optional<std::vector<std::string>> names = names_in(directory->get(), listed_limit);
    if (!names) tell(folder, "has too many entries to be looked at: git would act upon what is new in it");
    for (const std::string& name : names.value_or(std::vector<std::string>{})) {
      std::optional<AbsPath> path = below(folder, name);
      if (path && !known_.contains(path->str()) && tree_.directory(*path)) tell_git(*path, git_directory(*path, 0));
    }
  }
  // A submodule's name may have slashes, and a submodule may have submodules: so every directory with a HEAD
  // is one. False when something was not looked at.
  template <class Visit>
  bool each_module(const AbsPath& folder, int depth, Visit visit) {
    std::expected<UniqueFd, int> directory = tree_.directory(folder);
    if (!directory) return directory.error() == ENOENT || directory.error() == ENOTDIR;
    if (depth > 8) return false;
    std::optional<std::vector<std::string>> names = names_in(directory->get(), listed_limit);
    if (!names) return false;
    bool all = true;
    for (const std::string& name : *names) {
      std::optional<Entry> entry = look_at(directory->get(), name);
      if (entry && entry->kind == FileKind::symlink) all = false;
      if (!entry || entry->kind != FileKind::directory) continue;
      std::optional<AbsPath> path = below(folder, name), nested = below(folder, name + "/modules");
      std::expected<UniqueFd, int> inside = open_directory(directory->get(), name);
      if (!inside || !path || !nested) {
        all = false;
      } else if (look_at(inside->get(), "HEAD")) {
        visit(*path);
        all = each_module(*nested, depth + 1, visit) && all;
      } else {
        all = each_module(*path, depth + 1, visit) && all;
      }
    }
    return all;
  }

  // A list of git's that can hold commands. It can't be protected: to rebase in the room is the agent's work.
  // (sequencer/todo takes nothing but picks.)
  void rebase_in(const AbsPath& git_directory) {
    std::optional<AbsPath> folder = below(git_directory, "rebase-merge");
    std::expected<UniqueFd, int> directory = folder ? tree_.directory(*folder) : std::unexpected(ENAMETOOLONG);
    if (!directory && (directory.error() == ENOENT || directory.error() == ENOTDIR)) return;
    constexpr const char* would = "was made or changed during the run; `git rebase --continue` would execute {}";
    if (!directory) {
      tell(folder.value_or(git_directory), fmt::format(would, "what it leads to"));
      return;
    }
    std::optional<Entry> entry = look_at(directory->get(), "git-rebase-todo");
    std::optional<AbsPath> path = below(*folder, "git-rebase-todo");
    if (!entry || !path) return;
    // A folder that was moved there holds an old file.
    if (entry->changed_ns < since_ns_ && look_at(directory->get()).changed_ns < since_ns_) return;
    std::string what = commands_in(directory->get());
    if (!what.empty()) tell(*path, fmt::format(would, what));
  }
  static std::string commands_in(int rebase) {
    std::string trouble;
    std::optional<std::string> todo = content(rebase, "git-rebase-todo", todo_limit, trouble);
    if (!todo) return trouble.empty() ? trouble : trouble.substr(2);
    return has_exec(*todo) ? "its `exec` lines" : "";
  }

  const Tree& tree_;
  const Kinds& kinds_;
  std::int64_t since_ns_;
  const WalkStore* walks_;
  std::set<std::string> known_;
  std::vector<GuardEvent> events_;
  std::size_t more_ = 0;
};

}  // namespace

std::vector<GuardEvent> find_executing(const Tree& tree, const std::vector<GitRecord>& known, const Kinds& kinds,
                                       std::int64_t since_ns, const WalkStore* walks) {
  return Search(tree, known, kinds, since_ns, walks).run(known);
}

}  // namespace agentbox::launch
