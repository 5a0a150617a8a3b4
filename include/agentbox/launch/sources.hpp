#pragma once

// Finds and reads a profile's file and those that it extends.

#include <string>
#include <string_view>
#include <vector>

#include "agentbox/base/diagnostic.hpp"
#include "agentbox/base/path.hpp"
#include "agentbox/profile/parse.hpp"

namespace agentbox::launch {

// Where profiles are looked up, in this order: the user's, the system's, the shipped folder; never the workspace.
// $AGENTBOX_PROFILES, an absolute path, stands in for the shipped folder (an uninstalled build).
[[nodiscard]] std::vector<base::AbsPath> profile_folders();

// `profile` with a '/' is a path, anything else a name. Reads, follows `extends`, merges. A profile that the workspace
// could have planted is never found: `.agentbox.toml` is read only by `load_workspace_file`.
[[nodiscard]] base::Result<profile::Profile> load(std::string_view profile);

// Tightens by `.agentbox.toml` in the workspace, if there is one. It is hostile input: opened O_NOFOLLOW | O_NONBLOCK,
// a regular file, size capped.
[[nodiscard]] base::Result<profile::Profile> tighten_by_workspace(profile::Profile profile,
                                                                  const base::AbsPath& workspace);

struct ProfileEntry {
  std::string name;
  base::AbsPath file;
  enum class Place { user, system, shipped } place = Place::shipped;
  bool hidden_by_earlier = false;  // an earlier folder has the same name
};
[[nodiscard]] std::vector<ProfileEntry> list_profiles();

}  // namespace agentbox::launch
