#include "agentbox/launch/look.hpp"

#include <algorithm>
#include <set>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/base/join.hpp"
#include "agentbox/policy/look.hpp"

#include "bwrap_facts.hpp"
#include "cgroup.hpp"
#include "devices.hpp"
#include "files.hpp"
#include "git_facts.hpp"
#include "host_program.hpp"
#include "look_disk.hpp"
#include "walk.hpp"
#include "walk_store.hpp"

namespace agentbox::launch {

using base::AbsPath;
using policy::FileKind;
using policy::HostFacts;
using policy::PatternSet;

namespace {

// ---- git's own configuration of the owner
// -----------------------------------------------------------------------

// Runs while the disk is looked at. It reads the owner's files only, and "/" is no repository of an agent's.
std::optional<HostProgram> start_git_config(const HostFacts& facts) {
  std::optional<AbsPath> git = find_program("git");
  if (!git) return std::nullopt;
  return std::make_optional<HostProgram>(
      std::vector<std::string>{git->str(), "config", "--global", "--includes", "--null", "--list"},
      std::vector<std::string>{"HOME=" + facts.user.home.str(), "XDG_CONFIG_HOME=" + facts.config_home.str()});
}

base::Result<std::vector<std::pair<std::string, std::string>>> finish_git_config(std::optional<HostProgram> program) {
  using namespace std::chrono_literals;
  std::vector<std::pair<std::string, std::string>> settings;
  if (!program) return settings;
  HostProgram::Answer answer = program->finish(3s, 1 << 20);
  if (answer.end != HostProgram::Answer::End::exited) {
    return base::fail("git did not list your global configuration: it took more than 3 s or 1 MiB",
                      "try 'git config --global --includes --list', or leave out [git] config");
  }
  if (answer.status != 0) return settings;  // no ~/.gitconfig, or one that git itself can't read
  std::string_view rest = answer.output;
  while (!rest.empty()) {
    std::string_view item = rest.substr(0, rest.find('\0'));
    rest.remove_prefix(std::min(item.size() + 1, rest.size()));
    std::size_t end = std::min(item.find('\n'), item.size());
    settings.emplace_back(item.substr(0, end), item.substr(std::min(end + 1, item.size())));
  }
  return settings;
}

// ---- the workspace
// ----------------------------------------------------------------------------------------------

// The first components of "${roots}" patterns, where they are plain: where a root has none of these, nothing need be looked
// for.
std::vector<std::string> kinds_of(const PatternSet& patterns) {
  std::set<std::string> kinds;
  for (const PatternSet::Pattern& pattern : patterns.patterns()) {
    const std::string& first = pattern.components.front();
    if (pattern.base == PatternSet::Base::roots && first.find('*') == std::string::npos) kinds.insert(first);
  }
  return {kinds.begin(), kinds.end()};
}

class WorkspaceLook {
 public:
  WorkspaceLook(const profile::Profile& profile, const policy::Looks& looks, HostFacts& facts, HostDisk& disk,
                std::shared_ptr<WalkStore>* walks)
      : profile_(profile),
        looks_(looks),
        facts_(facts),
        disk_(disk),
        walks_(walks),
        patterns_(profile, policy::places_of(facts)) {}

  void run() {
    policy::Resolution real = policy::resolve(facts_.workspace, disk_);
    if (real.kind != FileKind::directory) {
      throw base::SystemError(ENOTDIR,
                              fmt::format("the workspace {} is no directory", base::escape(facts_.workspace.str())));
    }
    top_ = real.path;
    std::vector<AbsPath> bare;
    if (looks_.walk || looks_.roots) {
      bare = walk_it();
    } else {
      bool has_git = disk_.look(top_ / ".git").kind != FileKind::missing;
      facts_.roots.push_back({.path = top_, .repository = has_git});
    }
    look_at_repositories(bare);
    look_at_kinds();
    for (const policy::Match& match : facts_.matches) (void)policy::resolve(match.path, disk_);
  }

 private:
  std::vector<AbsPath> walk_it();
  void look_at_repositories(const std::vector<AbsPath>& bare);
  void look_at_kinds();
  void expand(const PatternSet::Pattern& pattern, std::size_t at, const AbsPath& folder, unsigned depth);
  void expand_entry(const PatternSet::Pattern& pattern, std::size_t at, const AbsPath& path, FileKind kind,
                    unsigned depth);
  const std::vector<ListedEntry>& list(const AbsPath& folder);
  void stop(std::string why, std::string hint) {
    if (!facts_.walk_complete || why.empty()) return;  // the first reason stands
    facts_.walk_complete = false;
    facts_.walk_stopped = std::move(why);
    facts_.walk_hint = std::move(hint);
  }

  const profile::Profile& profile_;
  const policy::Looks& looks_;
  HostFacts& facts_;
  HostDisk& disk_;
  std::shared_ptr<WalkStore>* walks_;
  const PatternSet patterns_;
  AbsPath top_;
  // For wildcards below roots and git directories: a folder is listed once, however many patterns ask for it.
  std::unordered_map<AbsPath, std::vector<ListedEntry>> listed_;
  std::size_t entries_left_ = 100'000;
};

std::vector<AbsPath> WorkspaceLook::walk_it() {
  WalkRequest request{.top = top_,
                      .roots = looks_.roots,
                      .foreign = policy::foreign_directories(),
                      .markers = policy::package_markers(),
                      .kinds = kinds_of(patterns_)};
  if (looks_.walk) {
    request.patterns = patterns_.patterns();
    request.match = [this](std::string_view relative, std::vector<std::size_t>& out) {
      patterns_.match(relative, out);
    };
  }
  auto store = std::make_shared<WalkStore>(facts_.state_home / "agentbox", request);
  request.memory = store->load();
  if (walks_ != nullptr) request.noting = WalkRequest::Noting::yes;
  Walked walked = walk(request);
  if (walks_ != nullptr) {
    store->note(std::move(walked.notes));
    *walks_ = std::move(store);
  }
  facts_.walk_entries = walked.entries;
  stop(std::move(walked.stopped), std::move(walked.hint));
  for (FoundMatch& found : walked.matches) {
    facts_.matches.push_back({patterns_.patterns()[found.pattern].text, std::move(found.path), found.kind});
  }
  for (FoundRoot& found : walked.roots) {
    std::vector<bool> is_there(request.kinds.size());
    for (std::uint32_t kind : found.kinds) is_there[kind] = true;
    for (std::size_t i = 0; i < request.kinds.size(); ++i) {
      std::optional<AbsPath> path = is_there[i] ? std::nullopt : base::join(found.root.path, request.kinds[i]);
      if (path) disk_.set_missing(*path);
    }
    facts_.roots.push_back(std::move(found.root));
  }
  return std::move(walked.bare);
}

void WorkspaceLook::look_at_repositories(const std::vector<AbsPath>& bare) {
  GitLook git = look_at_git(top_, facts_.roots, bare, facts_.user.home, disk_);
  facts_.repositories = std::move(git.repositories);
  facts_.enclosing_repository = std::move(git.enclosing);
  facts_.roots.insert(facts_.roots.end(), git.more_roots.begin(), git.more_roots.end());
  std::ranges::sort(facts_.roots, {}, &policy::Root::path);
  stop(std::move(git.stopped), "start in a smaller folder");
}

void WorkspaceLook::look_at_kinds() {
  for (const AbsPath& path : policy::kind_places(profile_, facts_)) {
    if (!disk_.is_known_missing(path)) (void)policy::resolve(path, disk_);
  }
  std::set<AbsPath> git_dirs;
  for (const policy::GitFact& repository : facts_.repositories) {
    git_dirs.insert({repository.git_dir, repository.common_dir});
    git_dirs.insert(repository.modules.begin(), repository.modules.end());
  }
  for (const PatternSet::Pattern& pattern : patterns_.patterns()) {
    if (pattern.literal) continue;
    if (pattern.base == PatternSet::Base::roots) {
      for (const policy::Root& root : facts_.roots) expand(pattern, 0, root.path, 0);
    } else if (pattern.base == PatternSet::Base::gitdirs) {
      for (const AbsPath& git_dir : git_dirs) expand(pattern, 0, git_dir, 0);
    }
  }
  if (entries_left_ == 0) stop("patterns below its roots have more than 100000 entries to be compared with", "");
}

const std::vector<ListedEntry>& WorkspaceLook::list(const AbsPath& folder) {
  auto [found, is_new] = listed_.try_emplace(folder);
  if (is_new) found->second = list_directory(folder, entries_left_).value_or(std::vector<ListedEntry>());
  return found->second;
}

// All that `pattern` names in `folder`, a real directory, from its component `at` on. No link is gone through.
void WorkspaceLook::expand(const PatternSet::Pattern& pattern, std::size_t at, const AbsPath& folder, unsigned depth) {
  const std::string& component = pattern.components[at];
  bool is_any = component == "**";
  if (is_any && at + 1 < pattern.components.size()) expand(pattern, at + 1, folder, depth);  // it may be none at all
  if (depth > 64) {
    stop("its folders are too deep", "");
    return;
  }
  if (component.find('*') == std::string::npos) {
    std::optional<AbsPath> path = base::join(folder, component);
    if (path) expand_entry(pattern, at, *path, disk_.look(*path).kind, depth);
    return;
  }
  for (const ListedEntry& entry : list(folder)) {
    if (!is_any && !policy::matches_component(component, entry.name)) continue;
    std::optional<AbsPath> path = base::join(folder, entry.name);
    if (path) expand_entry(pattern, at, *path, entry.kind, depth);
  }
}

// `path` is what the component `at` names. What lies below a match of a final "**" is named by it already.
void WorkspaceLook::expand_entry(const PatternSet::Pattern& pattern, std::size_t at, const AbsPath& path, FileKind kind,
                                 unsigned depth) {
  if (kind == FileKind::missing) return;
  if (at + 1 == pattern.components.size()) {
    facts_.matches.push_back({pattern.text, path, kind});
  } else if (kind == FileKind::directory) {
    expand(pattern, pattern.components[at] == "**" ? at : at + 1, path, depth + 1);
  }
}

// The file that core.excludesFile names, else git's default place for it (gitignore(5)). It may be a link, as
// home-manager makes them: the owner's own, so it is followed.
std::string read_git_ignore(const HostFacts& facts, HostDisk& disk) {
  constexpr std::size_t limit = 64 * 1024;
  std::optional<AbsPath> path = facts.config_home / "git/ignore";
  for (const auto& [key, value] : facts.git_config) {
    if (key != "core.excludesfile") continue;
    path = AbsPath::parse(value.starts_with("~/") ? facts.user.home.str() + value.substr(1) : value);
  }
  return path ? read_regular(policy::resolve(*path, disk).path, limit).value_or("") : "";
}

}  // namespace

base::Result<HostFacts> look(HostFacts facts, const profile::Profile& written, const policy::Flags& flags,
                             std::shared_ptr<WalkStore>* walks) {
  const std::shared_ptr<const profile::Profile> merged = policy::with_flags(written, flags);
  const profile::Profile& profile = *merged;
  base::Result<policy::Looks> looks = policy::looks(profile, policy::places_of(facts));
  if (!looks) return std::unexpected(std::move(looks.error()));
  std::optional<HostProgram> git_config = looks->git_config ? start_git_config(facts) : std::nullopt;

  HostDisk disk;
  for (const AbsPath& path : looks->paths) (void)policy::resolve(path, disk);
  // Before the walk, which could be of all that the owner has.
  facts.files = disk.snapshot();
  base::Diagnostics problems = policy::check_workspace(policy::resolve(facts.workspace, disk).path, facts);
  if (!problems.empty()) {
    if (git_config) (void)finish_git_config(std::move(git_config));
    return std::unexpected(std::move(problems));
  }
  WorkspaceLook(profile, *looks, facts, disk, walks).run();
  facts.bwrap = look_at_bwrap(disk);
  facts.cgroup = look_at_cgroup(facts.runtime_dir, facts.user.uid);
  facts.devices = look_at_devices(facts.environment, facts.runtime_dir, facts.user.uid, disk);
  facts.files = disk.snapshot();

  auto settings = finish_git_config(std::move(git_config));
  if (!settings) return std::unexpected(std::move(settings.error()));
  facts.git_config = *std::move(settings);
  if (looks->git_config) facts.git_ignore = read_git_ignore(facts, disk);
  return facts;
}

}  // namespace agentbox::launch
