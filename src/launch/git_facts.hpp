#pragma once

// Which git directories belong to the workspace, and which of them may be believed.
//
// Trust: all of it is hostile. A .git file may name any directory of the machine, be a gigabyte long or a
// FIFO; a `commondir` may lead to "/". So files are read only if they are regular and small, directories are
// listed with one budget for all of them, and a git directory outside the workspace counts only if it names
// the workspace's own .git back, from a place that the agent of this workspace could not write.

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "agentbox/policy/facts.hpp"

namespace agentbox::launch {

struct GitLook {
  std::vector<policy::GitFact> repositories;
  // Submodules where the walk does not look (vendor/x): roots as well, since git enters them by itself.
  std::vector<policy::Root> more_roots;
  // The workspace is a folder inside this repository's working tree, and has no .git of its own.
  std::optional<base::AbsPath> enclosing;
  std::string stopped;  // as Walked::stopped
};

// `workspace` and all of `roots` and `bare` are real paths.
[[nodiscard]] GitLook look_at_git(const base::AbsPath& workspace, std::span<const policy::Root> roots,
                                  std::span<const base::AbsPath> bare, const base::AbsPath& home, policy::Disk& disk);

}  // namespace agentbox::launch
