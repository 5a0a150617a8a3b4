#include "agentbox/policy/git_folders.hpp"

#include <algorithm>

namespace agentbox::policy {

namespace {

bool are_hex_digits(std::string_view name) noexcept {
  return std::ranges::all_of(name, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool are_letters(std::string_view name) noexcept {
  return std::ranges::all_of(
      name, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); });
}

// The one name below `parent` that `folder` consists of; empty: it is another folder.
std::string_view child_in(std::string_view folder, std::string_view parent) noexcept {
  if (!folder.starts_with(parent)) return {};
  std::string_view name = folder.substr(parent.size());
  return name.find('/') == std::string_view::npos ? name : std::string_view();
}

}  // namespace

bool holds_only_objects(std::string_view folder) noexcept {
  for (std::string_view parent : {"objects/", "lfs/objects/"}) {
    std::string_view name = child_in(folder, parent);
    if (name.size() == 2 && are_hex_digits(name)) return true;
  }
  // git-annex: two or three letters, by two different hashes.
  std::string_view name = child_in(folder, "annex/objects/");
  return (name.size() == 2 || name.size() == 3) && are_letters(name);
}

bool begins_git_directory(std::string_view folder, GitSigns signs) noexcept {
  if (!child_in(folder, "worktrees/").empty()) return true;
  return folder.starts_with("modules/") && signs.head && signs.objects && signs.refs;
}

}  // namespace agentbox::policy
