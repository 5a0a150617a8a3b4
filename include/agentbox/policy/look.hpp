#pragma once

// Which paths and patterns of a profile `launch` must look at before `decide` can decide. Pure.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agentbox/policy/facts.hpp"
#include "agentbox/profile/profile.hpp"

namespace agentbox::policy {

// What `~` and variables mean: known before the machine is looked at any closer.
struct Places {
  base::AbsPath home, workspace, config_home, state_home, cache_home, data_home;
};
[[nodiscard]] Places places_of(const HostFacts& facts);

// "~/x", "$XDG_CACHE_HOME/x", "${workspace}/x" → an absolute path. An unknown variable, "~other" or a ".." fails.
[[nodiscard]] base::Result<base::AbsPath> expand(const profile::Located<profile::PathText>& text, const Places& places);

// What must be looked at: every path is followed to its end through all links.
struct Looks {
  std::vector<base::AbsPath> paths;
  // Does any pattern need the workspace to be walked (one with a wildcard, or one that matches at any depth)?
  bool walk = false;
  bool roots = false;       // any "${roots}" or "${gitdirs}" pattern
  bool git_config = false;
};
// Names every path of the profile, of the system floor (/usr, /bin, /nix/store, ...) and of the room's /etc.
[[nodiscard]] base::Result<Looks> looks(const profile::Profile& profile, const Places& places);

// The patterns of one profile, compiled for a walk that asks about millions of names.
class PatternSet {
 public:
  struct Pattern {
    std::string text;                     // as PatternText says it
    std::vector<std::string> components;  // "**" alone is any number of components
    bool any_depth = false;
    bool directory = false;
    bool hides = false;                   // a match that is a directory need not be descended into
  };
  PatternSet(const profile::Profile& profile, const Places& places);

  [[nodiscard]] const std::vector<Pattern>& patterns() const { return patterns_; }
  // Which patterns match `relative` ("a/b/.env", below the workspace)? Appends their indices.
  void match(std::string_view relative, bool is_directory, std::vector<std::size_t>& out) const;

 private:
  std::vector<Pattern> patterns_;
};

// Directories into which no walk for roots and kinds descends: packages ship such files by the thousand.
[[nodiscard]] std::span<const std::string_view> foreign_directories();  // node_modules, vendor, target, .venv, ...
// A file of this name makes its directory a package's root.
[[nodiscard]] std::span<const std::string_view> package_markers();      // package.json, Cargo.toml, ...

}  // namespace agentbox::policy
