#include "agentbox/policy/standing.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"

namespace agentbox::policy {

namespace {

using base::AbsPath;
using Names = std::vector<std::string_view>;
using Grade = Standing::Grade;

struct Known {
  std::string_view name;  // of a file, or of a folder on the way to it; with '*' at its end: a beginning
  std::string_view becomes;
};
// What agentbox's own profiles guard. The first that fits.
constexpr std::array known_names = std::to_array<Known>({
    {".agentbox.toml", "agentbox obeys it at the next start: it can only tighten"},
    {".gitconfig", "git may obey it, and run programs that it names"},
    {".husky", "git runs the hooks in it"},
    {".githooks", "git runs the hooks in it"},
    {".git-hooks", "git runs the hooks in it"},
    {".lefthook*", "a hook manager runs what it says when you commit or push"},
    {"lefthook*", "a hook manager runs what it says when you commit or push"},
    {".pre-commit-*", "a hook manager runs what it says when you commit or push"},
    {".overcommit.yml", "a hook manager runs what it says when you commit or push"},
    {".simple-git-hooks*", "a hook manager runs what it says when you commit or push"},
    {"simple-git-hooks*", "a hook manager runs what it says when you commit or push"},
    {".lintstagedrc*", "a hook manager runs what it says when you commit"},
    {"lint-staged.config*", "a hook manager runs what it says when you commit"},
    {".envrc", "direnv runs it when your shell enters the folder"},
    {".direnv", "direnv runs what is in it when your shell enters the folder"},
    {"mise*", "mise obeys it, and runs what it says when your shell enters the folder"},
    {".mise*", "mise obeys it, and runs what it says when your shell enters the folder"},
    {".tool-versions", "a version manager obeys it when your shell enters the folder"},
    {".devenv", "devenv runs what is in it when your shell enters the folder"},
    {".autoenv*", "autoenv runs it when your shell enters the folder"},
    {".rvmrc", "rvm runs it when your shell enters the folder"},
    {".vscode", "your editor obeys it, and runs programs and tasks that it names"},
    {".devcontainer*", "your editor obeys it, and runs commands that it names"},
    {".idea", "your editor obeys it, and runs programs and tasks that it names"},
    {".zed", "your editor obeys it, and runs programs and tasks that it names"},
    {".helix", "your editor obeys it, and runs programs that it names"},
    {".vim*", "your editor runs it when it starts here"},
    {".nvim*", "your editor runs it when it starts here"},
    {".exrc", "your editor runs it when it starts here"},
    {".dir-locals*", "Emacs obeys it when it opens a file here"},
    {".gdbinit", "a debugger runs it when it starts here"},
    {".lldbinit", "a debugger runs it when it starts here"},
    {".pdbrc*", "a debugger runs it when it starts here"},
    {".npmrc", "npm obeys it: where packages come from, which scripts run"},
    {".yarnrc*", "yarn obeys it, and runs programs that it names"},
    {".yarn", "yarn runs what is in it"},
    {".cargo", "cargo obeys it, and runs programs that it names"},
    {".mvn", "Maven obeys it, and runs what it names"},
    {".mcp.json", "your agents outside obey it: it names programs that they start"},
    {"mcp.json", "your agents outside obey it: it names programs that they start"},
    {".claude", "Claude Code obeys it outside: settings, hooks and commands that it runs"},
    {".codex", "Codex obeys it outside: settings, and programs that it starts"},
    {".cursor", "Cursor obeys it: rules, hooks, and programs that it starts"},
    {".gemini", "Gemini obeys it outside: settings, and programs that it starts"},
    {".pi", "pi obeys it outside: settings, extensions and skills that it runs"},
    {".agents", "your agents outside obey it: skills, settings and what they run"},
    {".bash*", "your shell runs it"},
    {".profile", "your shell runs it"},
    {".zsh*", "your shell runs it"},
    {".ssh", "ssh obeys it, and runs programs that it names"},
    {"AGENTS*.md", "the next agent takes it for its orders"},
    {"AGENT.md", "the next agent takes it for its orders"},
    {"CLAUDE*.md", "the next agent takes it for its orders"},
    {"GEMINI.md", "the next agent takes it for its orders"},
    {"QWEN.md", "the next agent takes it for its orders"},
    {"WARP.md", "the next agent takes it for its orders"},
    {".cursorrules", "the next agent takes it for its orders"},
    {"copilot-instructions.md", "the next agent takes it for its orders"},
    {"workflows", "your server runs it with its own secrets after the next push"},
    {"actions", "your server runs it with its own secrets after the next push"},
    {".gitlab*", "your server runs it with its own secrets after the next push"},
    {".circleci", "your server runs it with its own secrets after the next push"},
    {".forgejo", "your server runs it with its own secrets after the next push"},
    {".gitea", "your server runs it with its own secrets after the next push"},
    {".woodpecker*", "your server runs it with its own secrets after the next push"},
    {"Jenkinsfile", "your server runs it with its own secrets after the next push"},
    {"CODEOWNERS", "it says whose review a change needs"},
});

bool fits(std::string_view name, std::string_view known) {
  std::size_t star = known.find('*');
  if (star == std::string_view::npos) return name == known;
  std::string_view before = known.substr(0, star), after = known.substr(star + 1);
  return name.size() >= before.size() + after.size() && name.starts_with(before) && name.ends_with(after);
}

std::string becomes(const Names& names, Grade grade) {
  for (const Known& known : known_names) {
    if (std::ranges::any_of(names, [&](std::string_view name) { return fits(name, known.name); })) {
      return std::string(known.becomes);
    }
  }
  switch (grade) {
    case Grade::protected_: return "a program outside runs it, or obeys it";
    case Grade::held: return "people or programs outside obey it";
    case Grade::ordinary: break;
  }
  return {};
}

// ---- git ------------------------------------------------------------------------------------------------------------

// The path below a git directory; nothing when it lies in none.
std::optional<Names> in_git(const Policy& policy, const AbsPath& path) {
  Names names = path.components();
  if (auto git = std::ranges::find(names, ".git"); git != names.end()) return Names(git + 1, names.end());
  for (const GitFact& repository : policy.repositories) {
    std::vector<AbsPath> directories = repository.modules;
    directories.push_back(repository.git_dir);
    directories.push_back(repository.common_dir);
    for (const AbsPath& directory : directories) {
      if (directory.is_root() || !path.is_within(directory)) continue;
      return Names(names.begin() + static_cast<std::ptrdiff_t>(directory.depth()), names.end());
    }
  }
  return std::nullopt;
}

// What a person may well want to change by hand. All else (objects, refs, index, HEAD, where the git directory lies) is
// git's own: a wrong byte there makes git read or write elsewhere.
std::optional<std::string> what_git_does(const Names& names) {
  if (names.size() == 2 && names[0] == "hooks") {
    return fmt::format("git runs it as the hook {}, if it is executable", base::escape(names[1]));
  }
  if (names.size() == 1 && (names[0] == "config" || names[0] == "config.worktree")) {
    return "git obeys it, and runs programs that it names";
  }
  if (names.size() == 2 && names[0] == "info" && names[1] == "attributes") {
    return "git obeys it: which filters and drivers it runs on which files";
  }
  if (names.size() == 2 && names[0] == "info" && names[1] == "exclude") return "git obeys it: what it does not list";
  return std::nullopt;
}

// ---- the mounts -----------------------------------------------------------------------------------------------------

template <class T, class Counts>
const T* deepest(const std::vector<T>& places, const AbsPath& path, Counts counts) {
  const T* found = nullptr;
  for (const T& place : places) {
    bool deeper = found == nullptr || place.target.depth() >= found->target.depth();
    if (deeper && path.is_within(place.target) && counts(place)) found = &place;
  }
  return found;
}

bool is_grant(const Mount& mount) {
  return mount.why == Mount::Why::grant || mount.why == Mount::Why::workspace || mount.why == Mount::Why::git;
}
bool is_protection(const Mount& mount) {
  return mount.why == Mount::Why::protect || mount.why == Mount::Why::ghost || mount.why == Mount::Why::pin;
}
std::optional<profile::Origin> line_of(const profile::Origin& origin) {
  return origin.file.empty() ? std::nullopt : std::optional(origin);
}

bool is_hidden(const Policy& policy, const AbsPath& path) {
  return std::ranges::any_of(policy.mounts,
                             [&](const Mount& mount) {
                               return mount.access == Access::hidden && mount.why != Mount::Why::ghost &&
                                      path.is_within(mount.target);
                             }) ||
         std::ranges::any_of(policy.watched, [&](const Watched& watched) {
           return watched.why == Watched::Why::hide &&
                  (path.is_within(watched.directory / watched.name) || path.is_within(watched.wanted));
         });
}

std::expected<AbsPath, std::string> root_of(const Policy& policy, const AbsPath& path, const std::string& name) {
  const auto* own = deepest(policy.tmpfs, path, [](const Tmpfs&) { return true; });
  const auto* mount = deepest(policy.mounts, path, is_grant);
  if (mount == nullptr || (own != nullptr && own->target.depth() > mount->target.depth())) {
    return std::unexpected(name + " is no file of the owner's project or granted folders");
  }
  if (mount->access != Access::write) {
    return std::unexpected(name + " lies in what is granted for reading only: tell the owner what to change, and why");
  }
  if (mount->kind != FileKind::directory || mount->target == path) {
    return std::unexpected(name + " is granted itself: write to it");
  }
  return mount->target;
}

}  // namespace

std::expected<Standing, std::string> standing_of(const Policy& policy, const AbsPath& path) {
  const std::string name = base::escape(path.str());
  // First: nothing else is said about what is hidden.
  if (is_hidden(policy, path)) return std::unexpected(name + " is hidden from this room, and not changed from here");
  std::expected<AbsPath, std::string> root = root_of(policy, path, name);
  if (!root) return std::unexpected(root.error());
  Standing standing{.root = *std::move(root)};

  if (const auto* mount = deepest(policy.mounts, path, is_protection)) {
    standing.grade = Grade::protected_;
    standing.origin = line_of(mount->origin);
  }
  for (const Watched& watched : policy.watched) {
    if (watched.why != Watched::Why::protect || !path.is_within(watched.directory / watched.name)) continue;
    standing.grade = Grade::protected_;
    standing.origin = line_of(watched.origin);
  }
  for (const Held& held : policy.held) {
    if (standing.grade != Grade::ordinary || !path.is_within(held.path)) continue;
    standing.grade = Grade::held;
    standing.origin = line_of(held.origin);
  }

  if (std::optional<Names> names = in_git(policy, path)) {
    std::optional<std::string> known = what_git_does(*names);
    if (!known) return std::unexpected(name + " is git's own: use git in the room, or tell the owner what to change");
    standing.becomes = *std::move(known);
  } else {
    Names below = path.components();
    below.erase(below.begin(), below.begin() + static_cast<std::ptrdiff_t>(standing.root.depth()));
    standing.becomes = becomes(below, standing.grade);
  }
  return standing;
}

}  // namespace agentbox::policy
