#pragma once

// Which folders of a git directory need no look for symbolic links. One answer for all who look. Pure.

#include <string_view>

namespace agentbox::policy {

// Does this folder, seen from its git directory ("objects/ab"), hold nothing but what is read by its hash, and never
// written through? There may be a hundred thousand files in such folders.
[[nodiscard]] bool holds_only_objects(std::string_view folder) noexcept;

// What the entries of a folder say about it.
struct GitSigns {
  bool head = false, objects = false, refs = false;
};
// Does a git directory of its own begin at this folder of another one: a submodule's, or what is a linked worktree's
// own? Nowhere else, whatever an agent lays there.
[[nodiscard]] bool begins_git_directory(std::string_view folder, GitSigns signs) noexcept;

}  // namespace agentbox::policy
