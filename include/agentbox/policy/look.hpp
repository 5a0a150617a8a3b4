#pragma once

// Which paths and patterns of a profile `launch` must look at before `decide` can decide. Pure.

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "agentbox/policy/facts.hpp"
#include "agentbox/profile/profile.hpp"

namespace agentbox::policy {

// What `~` and variables mean: known before the machine is looked at any closer.
struct Places {
  base::AbsPath home, workspace, config_home, state_home, cache_home, data_home;
};
[[nodiscard]] Places places_of(const HostFacts& facts);

// "~/x", "$XDG_CACHE_HOME/x", "${workspace}/x" → an absolute path. An unknown variable, "~other" or a ".."
// fails.
[[nodiscard]] base::Result<base::AbsPath> expand(const profile::Located<profile::PathText>& text, const Places& places);

// What must be looked at: every path is followed to its end through all links.
struct Looks {
  std::vector<base::AbsPath> paths;
  // Does any pattern need the workspace to be walked (one with a wildcard, or one that matches at any depth)?
  bool walk = false;
  bool roots = false;  // any "${roots}" or "${gitdirs}" pattern
  bool git_config = false;
};
// Names every path of the profile, of the system floor (/usr, /bin, /nix/store, ...) and of the room's /etc.
// `profile` as `with_flags` gives it.
[[nodiscard]] base::Result<Looks> looks(const profile::Profile& profile, const Places& places);

// Once facts.roots and facts.repositories are known: every place that a literal "${roots}/x" or
// "${gitdirs}/x" names. Each must be followed to its end as well (most are missing, and that is a fact too).
[[nodiscard]] std::vector<base::AbsPath> kind_places(const profile::Profile& profile, const HostFacts& facts);

// The patterns of one profile, compiled for a walk that asks about millions of names.
class PatternSet {
 public:
  // What a pattern counts from.
  enum class Base { workspace, roots, gitdirs };
  struct Pattern {
    std::string text;                     // as PatternText says it
    std::vector<std::string> components;  // below the base; "**" alone is any number of components
    Base base = Base::workspace;
    bool any_depth = false;
    bool directory = false;  // says only what to do when it is missing; it matches files as well
    bool hides = false;      // a match that is a directory need not be descended into
    bool literal = false;    // no wildcard in it
  };
  // Absolute patterns that lie outside the workspace are not in it: they are literal, and `looks` names them.
  PatternSet(const profile::Profile& profile, const Places& places);

  [[nodiscard]] const std::vector<Pattern>& patterns() const { return patterns_; }
  // Which patterns match `relative` ("a/b/.env", below the workspace, a root or a git directory)? Appends
  // their indices. Allocates nothing beyond `out`. Does not compare symbolic links' targets: `relative` is
  // what readdir says.
  void match(std::string_view relative, std::vector<std::size_t>& out, Base base = Base::workspace) const;
  void match(std::string_view relative, bool /*is_directory*/, std::vector<std::size_t>& out) const {
    match(relative, out);
  }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
  };
  // Patterns by their last component: a hash for literal ones, a list for the others.
  struct Index {
    std::unordered_map<std::string, std::vector<std::size_t>, Hash, std::equal_to<>> by_name;
    std::vector<std::size_t> others;
  };
  std::vector<Pattern> patterns_;
  Index indices_[3];
};

// '*' is any bytes of one component.
[[nodiscard]] bool matches_component(std::string_view pattern, std::string_view name) noexcept;

// Directories into which no walk for roots and kinds descends: packages ship such files by the thousand.
[[nodiscard]] std::span<const std::string_view> foreign_directories();  // node_modules, vendor, target, .venv, ...
// A file of this name makes its directory a package's root.
[[nodiscard]] std::span<const std::string_view> package_markers();  // package.json, Cargo.toml, ...

}  // namespace agentbox::policy
