#include "guard_search.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <expected>
#include <optional>
#include <set>
#include <string_view>

#include <fcntl.h>

#include "agentbox/base/escape.hpp"
#include "agentbox/policy/look.hpp"

#include "files.hpp"
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
constexpr std::size_t entries_limit = 200'000;

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

}  // namespace

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
    UniqueFd listing(top ? ::openat(top->get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1);
    std::vector<ListedEntry> names;
    std::size_t left = entries_limit;
    if (!listing || list_entries(listing.get(), names, left) != 0) return;
    for (const ListedEntry& name : names) {
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
    std::optional<std::string> there = parse_gitfile(read_regular(directory, ".git", 4096).value_or(""));
    std::optional<AbsPath> target = there ? resolve_text(path, *there) : std::nullopt;
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
    std::optional<std::string> common = parse_path_line(read_regular(directory->get(), "commondir", 4096).value_or(""));
    std::optional<AbsPath> elsewhere = common ? resolve_text(path, *common) : std::nullopt;
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
