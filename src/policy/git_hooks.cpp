// Makes git say so when the room keeps it from its work. git ends with 0 in some cases where a file could not be
// written (a switch to a branch with another .envrc), and a silent difference is worse than a loud failure. Hooks can
// say it: git takes the exit status of post-checkout and pre-push as its own (githooks(5)). No security rests on this:
// an agent can tell git to use other hooks; what is protected is protected by mounts.

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

#include <fmt/format.h>

#include "draft.hpp"

namespace agentbox::policy {

namespace {

constexpr std::string_view folder = "/run/agentbox/git";

// The repository's own hooks, which core.hooksPath would otherwise switch off.
constexpr std::string_view dispatch = R"sh(#!/bin/sh
own=$(git rev-parse --git-common-dir)/hooks/${0##*/}
[ ! -x "$own" ] || exec "$own" "$@"
)sh";

// $1: the old commit, $2: the new one; $1 is all zeros for a new tree (clone, worktree add).
constexpr std::string_view post_checkout = R"sh(#!/bin/sh
own=$(git rev-parse --git-common-dir)/hooks/post-checkout status=0
if [ -x "$own" ]; then "$own" "$@"; status=$?; fi
device() { stat -c %d -- "$1"; }
case $1 in
  *[!0]*) ;;
  *)
    if [ "$(device .)" = "$(device /run/agentbox)" ] || [ "$(device .)" = "$(device "$HOME")" ]; then
      echo "agentbox: this folder belongs to the room and ends with it: $PWD" >&2
      status=1
    fi
    exit $status ;;
esac
# What differs between the two commits, and is not on disk as the new one has it.
left=$(
  { git diff --name-only "$1" "$2" -- | LC_ALL=C sort; git diff --name-only -- | LC_ALL=C sort; } | LC_ALL=C sort | uniq -d
  git diff --name-only --diff-filter=D -z "$1" "$2" -- | xargs -0r -n1 sh -c \
    '[ ! -e "$0" ] || git ls-files --error-unmatch -- "$0" >/dev/null 2>&1 || printf "%s\n" "$0"'
)
if [ -n "$left" ]; then
  printf 'agentbox: git could not change what this room protects; it keeps its old content:\n%s\n' "$left" >&2
  status=1
fi
exit $status
)sh";

constexpr std::string_view pre_push = R"sh(#!/bin/sh
# git push -u ends with 0 although it could not write .git/config.
if tr '\0' '\n' < "/proc/$PPID/cmdline" | grep -qxE -e '-u|--set-upstream|-[a-zA-Z]*u[a-zA-Z]*'; then
  echo 'agentbox: .git/config is protected, so no upstream can be set: push without -u' >&2
  exit 1
fi
own=$(git rev-parse --git-common-dir)/hooks/pre-push
[ ! -x "$own" ] || exec "$own" "$@"
)sh";

// githooks(5), without those of a server's side that no command in a room calls by itself.
constexpr std::array dispatched = {"applypatch-msg",
                                   "commit-msg",
                                   "post-applypatch",
                                   "post-commit",
                                   "post-merge",
                                   "post-receive",
                                   "post-rewrite",
                                   "post-update",
                                   "pre-applypatch",
                                   "pre-auto-gc",
                                   "pre-commit",
                                   "pre-merge-commit",
                                   "pre-rebase",
                                   "pre-receive",
                                   "prepare-commit-msg",
                                   "push-to-checkout",
                                   "reference-transaction",
                                   "sendemail-validate",
                                   "update"};

base::AbsPath hook(std::string_view name) {
  return *base::AbsPath::parse(folder) / "hooks" / name;
}

// The empty directories that are reserved in the workspace, as lines of a gitignore: `git clean` and `git stash -u`
// would try to remove them.
std::string ignored_ghosts(const Policy& policy, const HostFacts& facts) {
  std::string lines;
  for (const Mount& mount : policy.mounts) {
    if (mount.why != Mount::Why::ghost) continue;
    const base::AbsPath* root = nullptr;
    for (const GitFact& repository : facts.repositories) {
      bool is_inner = root == nullptr || repository.root.is_below(*root);
      if (mount.target.is_below(repository.root) && is_inner) root = &repository.root;
    }
    if (root != nullptr) lines += "/" + std::string(mount.target.relative_to(*root)) + "/\n";
  }
  return lines;
}

}  // namespace

std::string git_hooks_config() {
  return fmt::format("[core]\n\thooksPath = {0}/hooks\n\texcludesFile = {0}/ignore\n", folder);
}

void place_git_hooks(Draft& draft) {
  Policy& policy = draft.policy;
  constexpr std::uint32_t executable = 0555;
  auto file = [&](base::AbsPath target, std::string content, std::uint32_t mode) {
    policy.room_files.push_back({.target = std::move(target), .content = std::move(content), .mode = mode});
  };
  file(hook("post-checkout"), std::string(post_checkout), executable);
  file(hook("pre-push"), std::string(pre_push), executable);
  file(hook(dispatched.front()), std::string(dispatch), executable);
  for (std::string_view name : std::span(dispatched).subspan(1)) {
    policy.room_links.push_back({.target = hook(name), .to = dispatched.front()});
  }
  std::string ignore = draft.facts.git_ignore;
  if (!ignore.empty() && ignore.back() != '\n') ignore += '\n';
  file(*base::AbsPath::parse(folder) / "ignore", ignore + ignored_ghosts(policy, draft.facts), 0444);
}

}  // namespace agentbox::policy
