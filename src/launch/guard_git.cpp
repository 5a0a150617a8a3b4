#include "guard_git.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <set>

#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/policy/look.hpp"

#include "guard_config.hpp"
#include "walk.hpp"
#include "walk_store.hpp"

namespace agentbox::launch {

namespace {

using base::AbsPath;
using base::SystemError;
using base::UniqueFd;
using policy::FileKind;

constexpr std::size_t git_entries_limit = 200'000;
constexpr WalkBounds search_bounds{.entries = 300'000, .depth = 64, .time = std::chrono::milliseconds(2000)};
constexpr int depth_limit = 64;

struct Name {
  std::string name;
  FileKind kind = FileKind::regular;
};

FileKind kind_of_type(unsigned char type) {
  switch (type) {
    case DT_DIR: return FileKind::directory;
    case DT_LNK: return FileKind::symlink;
    case DT_REG: return FileKind::regular;
    default: return FileKind::unreadable;
  }
}

UniqueFd open_listing(int parent, const char* name) {
  return UniqueFd(::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

// The names with their kinds, unsorted, straight from the kernel: a workspace has tens of thousands. `left`
// counts down; false when it is used up.
bool list(int directory, std::vector<Name>& names, std::size_t& left) {
  alignas(dirent64) char buffer[32768];
  while (true) {
    long got = ::syscall(SYS_getdents64, directory, buffer, sizeof buffer);
    if (got < 0) throw SystemError(errno, "cannot list a directory");
    if (got == 0) return true;
    for (long at = 0; at < got;) {
      const auto* entry = reinterpret_cast<const dirent64*>(buffer + at);
      at += entry->d_reclen;
      std::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      if (left == 0) return false;
      --left;
      FileKind kind = kind_of_type(entry->d_type);
      if (entry->d_type == DT_UNKNOWN) {
        std::optional<Entry> seen = look_at(directory, std::string(name));
        if (!seen) continue;
        kind = seen->kind;
      }
      names.push_back({std::string(name), kind});
    }
  }
}

// Where a path that a file names leads, by its text alone. Nothing when it leaves the root.
std::optional<AbsPath> resolve_text(const AbsPath& from, std::string_view text) {
  AbsPath at = text.starts_with('/') ? AbsPath() : from;
  for (std::size_t begin = 0; begin < text.size();) {
    std::size_t end = std::min(text.find('/', begin), text.size());
    std::string_view part = text.substr(begin, end - begin);
    begin = end + 1;
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      at = at.parent();
    } else {
      std::optional<AbsPath> next = below(at, part);
      if (!next) return std::nullopt;
      at = *next;
    }
  }
  return at;
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
    std::vector<Name> names;
    if (!list(directory, names, left) || depth > depth_limit) {
      throw SystemError(0, "a git directory has too many entries to look through");
    }
    for (const Name& name : names) {
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

std::vector<std::string> kinds_of(const policy::Policy& policy) {
  std::set<std::string> kinds;
  auto add = [&](const AbsPath& path) {
    if (!path.is_below(policy.workspace)) return;
    AbsPath root = policy.workspace;
    for (const policy::GitFact& fact : policy.repositories) {
      if (path.is_below(fact.root) && fact.root.is_below(root)) root = fact.root;
    }
    std::string_view relative = path.relative_to(root);
    if (relative.starts_with(".git/") || relative == ".git" || relative.empty()) return;
    if (relative.starts_with(".") || relative.find('/') == std::string_view::npos) kinds.emplace(relative);
  };
  for (const policy::Watched& watched : policy.watched) {
    if (watched.why == policy::Watched::Why::protect) add(watched.directory / watched.name);
  }
  for (const policy::Mount& mount : policy.mounts) {
    if (mount.why == policy::Mount::Why::protect || mount.why == policy::Mount::Why::ghost) add(mount.target);
  }
  return {kinds.begin(), kinds.end()};
}

namespace {

class Search {
 public:
  Search(const Tree& tree, const std::vector<GitRecord>& known, const std::vector<std::string>& kinds,
         std::int64_t since_ns, const WalkStore* walks)
      : tree_(tree), kinds_(kinds), since_ns_(since_ns), walks_(walks) {
    for (const GitRecord& record : known) {
      known_.insert(record.entry.str());
      known_.insert(record.directory.str());
      for (const AbsPath& module : record.modules) known_.insert(module.str());
    }
  }

  std::vector<GuardEvent> run(const std::vector<GitRecord>& known, SearchDepth depth) {
    if (depth == SearchDepth::whole) {
      everywhere();
    } else {
      near_the_top();
    }
    for (const GitRecord& record : known) {
      if (std::optional<AbsPath> modules = below(record.directory, "modules")) new_modules(*modules, 0);
    }
    return std::move(events_);
  }

 private:
  void everywhere() {
    WalkRequest request{.top = tree_.workspace(),
                        .roots = true,
                        .foreign = policy::foreign_directories(),
                        .markers = policy::package_markers(),
                        .kinds = {},
                        .patterns = {},
                        .match = {},
                        .bounds = search_bounds};
    // It was made for this and for the profile's patterns.
    if (walks_ != nullptr) request.memory = walks_->load();
    Walked walked = walk(request);
    for (const FoundRoot& found : walked.roots) look_into(found.root.path);
    for (const AbsPath& bare : walked.bare) {
      std::expected<UniqueFd, int> directory = tree_.directory(bare);
      if (!directory || known_.contains(bare.str()) || !is_touched(directory->get())) continue;
      tell(bare, git_directory(bare, 0));
    }
    if (walked.stopped.empty()) return;
    events_.push_back({.kind = GuardEvent::Kind::would_execute,
                       .path = tree_.workspace(),
                       .detail = "not all of it was searched for new repositories: " + walked.stopped,
                       .id = {}});
  }

  void near_the_top() {
    look_into(tree_.workspace());
    std::expected<UniqueFd, int> top = tree_.directory(tree_.workspace());
    UniqueFd listing = top ? open_listing(top->get(), ".") : UniqueFd();
    std::vector<Name> names;
    std::size_t left = git_entries_limit;
    if (!listing || !list(listing.get(), names, left)) return;
    for (const Name& name : names) {
      std::optional<AbsPath> path = below(tree_.workspace(), name.name);
      if (name.kind != FileKind::directory || name.name == ".git" || !path) continue;
      if (std::ranges::find(policy::foreign_directories(), name.name) == policy::foreign_directories().end()) {
        look_into(*path);
      }
    }
  }

  // Nothing can be made in a directory without changing its ctime, which no program can set.
  [[nodiscard]] bool is_touched(int directory) const {
    constexpr std::int64_t coarse_clock_ns = 100'000'000;
    return look_at(directory).changed_ns >= since_ns_ - coarse_clock_ns;
  }

  // What may be the root of a new repository or package.
  void look_into(const AbsPath& path) {
    std::expected<UniqueFd, int> directory = tree_.directory(path);
    if (!directory || !is_touched(directory->get())) return;
    bool fresh = false;
    std::string texts;
    std::optional<Entry> git = look_at(directory->get(), ".git");
    if (git && !known_.contains(path.str() + "/.git")) {
      fresh = true;
      texts = repository(directory->get(), path, git->kind);
    } else if (!git && !known_.contains(path.str()) && look_at(directory->get(), "HEAD") &&
               look_at(directory->get(), "objects") && look_at(directory->get(), "refs")) {
      texts = git_directory(path, 0);
    }
    for (std::string_view name : policy::package_markers()) {
      std::optional<Entry> marker = fresh ? std::nullopt : look_at(directory->get(), std::string(name));
      fresh = fresh || (marker && marker->born_ns >= since_ns_);
    }
    tell(path, texts + (fresh ? kinds_at(path) : ""));
  }

  void tell(const AbsPath& path, const std::string& texts) {
    if (texts.empty() || events_.size() == 64) return;
    events_.push_back({.kind = GuardEvent::Kind::would_execute,
                       .path = path,
                       .detail = "made during the run, and would execute on the host: " + texts.substr(2),
                       .id = {}});
  }

  std::string repository(int directory, const AbsPath& path, FileKind kind) {
    std::optional<AbsPath> own = below(path, ".git"), modules = below(path, ".git/modules");
    if (!own || !modules) return {};
    if (kind == FileKind::directory) return git_directory(*own, 0) + modules_in(*modules, 0);
    if (kind != FileKind::regular) return ", .git (a link)";
    std::string_view line;
    std::string text = read_regular(directory, ".git", 4096).value_or("");
    line = first_line(text);
    if (!line.starts_with("gitdir: ")) return {};
    std::optional<AbsPath> target = resolve_text(path, line.substr(8));
    if (!target) return {};
    if (!target->is_within(tree_.workspace()) && !of_known(*target)) {
      return ", its git directory is outside: " + base::escape(target->str());
    }
    return git_directory(*target, 0);
  }

  // Below a git directory that was there before: a worktree or submodule of it.
  [[nodiscard]] bool of_known(const AbsPath& path) const {
    for (AbsPath at = path; !at.is_root(); at = at.parent()) {
      if (known_.contains(at.str())) return true;
    }
    return false;
  }

  std::string git_directory(const AbsPath& path, int depth) {
    std::string texts;
    std::expected<UniqueFd, int> directory = tree_.directory(path);
    if (!directory || depth > 4) return texts;
    if (std::expected<UniqueFd, int> hooks = open_directory(directory->get(), "hooks")) {
      for (const std::string& name : names_in(hooks->get(), 1000).value_or(std::vector<std::string>{})) {
        std::optional<Entry> hook = look_at(hooks->get(), name);
        if (!hook || name.ends_with(".sample") || (hook->mode & 0111) == 0) continue;
        texts += ", " + base::escape("hooks/" + name);
        if (texts.size() > 2000) break;
      }
    }
    for (const char* file : {"config", "config.worktree"}) {
      for (const std::string& key : executing_keys(read_regular(directory->get(), file, 256 * 1024).value_or(""))) {
        texts += ", " + base::escape(key);
      }
    }
    std::string common = read_regular(directory->get(), "commondir", 4096).value_or("");
    std::optional<AbsPath> elsewhere = common.empty() ? std::nullopt : resolve_text(path, first_line(common));
    if (elsewhere && !known_.contains(elsewhere->str())) texts += git_directory(*elsewhere, depth + 1);
    return texts;
  }

  std::string modules_in(const AbsPath& folder, int depth) {
    std::string texts;
    each_module(folder, depth, [&](const AbsPath& module) { texts += git_directory(module, 0); });
    return texts;
  }
  void new_modules(const AbsPath& folder, int depth) {
    each_module(folder, depth, [&](const AbsPath& module) {
      if (!known_.contains(module.str())) tell(module, git_directory(module, 0));
    });
  }
  // A submodule's name may have slashes, and a submodule may have submodules: so every directory with a HEAD
  // is one.
  template <class Visit>
  void each_module(const AbsPath& folder, int depth, Visit visit) {
    std::expected<UniqueFd, int> directory = tree_.directory(folder);
    if (!directory || depth > 8) return;
    for (const std::string& name : names_in(directory->get(), 1000).value_or(std::vector<std::string>{})) {
      std::optional<AbsPath> path = below(folder, name), nested = below(folder, name + "/modules");
      std::expected<UniqueFd, int> inside = open_directory(directory->get(), name);
      if (!inside || !path || !nested) continue;
      if (look_at(inside->get(), "HEAD")) {
        visit(*path);
        each_module(*nested, depth + 1, visit);
      } else {
        each_module(*path, depth + 1, visit);
      }
    }
  }

  std::string kinds_at(const AbsPath& path) const {
    std::string texts;
    for (const std::string& kind : kinds_) {
      std::optional<AbsPath> there = below(path, kind);
      if (!there) continue;
      std::expected<UniqueFd, int> parent = tree_.directory(there->parent());
      if (parent && look_at(parent->get(), std::string(there->name()))) texts += ", " + base::escape(kind);
    }
    return texts;
  }

  const Tree& tree_;
  const std::vector<std::string>& kinds_;
  std::int64_t since_ns_;
  const WalkStore* walks_;
  std::set<std::string> known_;
  std::vector<GuardEvent> events_;
};

}  // namespace

std::vector<GuardEvent> find_executing(const Tree& tree, const std::vector<GitRecord>& known,
                                       const std::vector<std::string>& kinds, std::int64_t since_ns, SearchDepth depth,
                                       const WalkStore* walks) {
  return Search(tree, known, kinds, since_ns, walks).run(known, depth);
}

}  // namespace agentbox::launch
