#include <algorithm>
#include <array>
#include <utility>

#include "agentbox/policy/look.hpp"
#include "agentbox/policy/policy.hpp"

#include "expand.hpp"
#include "floor.hpp"

namespace agentbox::policy {

namespace {

using base::AbsPath;
using std::string_view_literals::operator""sv;

constexpr std::array foreign_table = {
    "node_modules"sv, "bower_components"sv,
    "vendor"sv,       "third_party"sv,
    "target"sv,       ".venv"sv,
    "venv"sv,         "site-packages"sv,
    "__pycache__"sv,  ".tox"sv,
    ".nox"sv,         ".gradle"sv,
    ".cargo"sv,       ".npm"sv,
    ".pnpm-store"sv,  ".yarn"sv,
    ".git"sv,         ".direnv"sv,
    "dist"sv,         "build"sv,
    "_build"sv,       ".cache"sv,
    "Pods"sv,         ".terraform"sv,
};

constexpr std::array marker_table = {
    "package.json"sv, "deno.json"sv,     "Cargo.toml"sv, "pyproject.toml"sv, "setup.py"sv,
    "go.mod"sv,       "composer.json"sv, "Gemfile"sv,    "pom.xml"sv,        "build.gradle"sv,
    "mix.exs"sv,      "stack.yaml"sv,    "flake.nix"sv,
};

class Collector {
 public:
  explicit Collector(const Places& places) : places_(places) {}

  void add(std::string_view path) { looks_.paths.push_back(*AbsPath::parse(path)); }
  void add(const AbsPath& path) { looks_.paths.push_back(path); }

  void add(const profile::List<profile::PathText>& list) {
    for (const auto& item : list) {
      base::Result<AbsPath> path = expand(item, places_);
      if (path) {
        add(*path);
      } else {
        fail(path.error());
      }
    }
  }

  void add(const profile::List<profile::PatternText>& list) {
    for (const auto& item : list) {
      base::Result<PatternPlace> place = place_of(item, places_);
      if (!place) {
        fail(place.error());
        continue;
      }
      switch (place->base) {
        case PatternPlace::Base::roots:
        case PatternPlace::Base::gitdirs: looks_.roots = true; break;
        case PatternPlace::Base::root_folder: add(AbsPath() / place->relative()); break;
        case PatternPlace::Base::workspace:
          looks_.walk = looks_.walk || place->any_depth || !place->literal;
          if (place->literal) add(places_.workspace / place->relative());
          break;
      }
    }
  }

  base::Result<Looks> result() {
    if (!errors_.empty()) return std::unexpected(std::move(errors_));
    std::ranges::sort(looks_.paths);
    looks_.paths.erase(std::ranges::unique(looks_.paths).begin(), looks_.paths.end());
    return std::move(looks_);
  }

  Looks& looks() { return looks_; }

 private:
  void fail(const base::Diagnostics& errors) { errors_.insert(errors_.end(), errors.begin(), errors.end()); }

  const Places& places_;
  Looks looks_;
  base::Diagnostics errors_;
};

void add_system(Collector& collector, const Places& places) {
  for (std::string_view folder : system_folders()) collector.add(folder);
  for (std::string_view entry : etc_entries()) collector.add("/etc/" + std::string(entry));
  for (std::string_view folder : gpu_folders()) collector.add(folder);
  for (std::string_view folder : private_folders) collector.add(folder);
  for (std::string_view file : masked_files) collector.add(file);
  for (std::string_view folder : {"/run"sv, "/var/run"sv, "/proc"sv, "/sys"sv, "/dev"sv, "/etc"sv})
    collector.add(folder);
  for (const AbsPath& link : store_links(places.home, places.state_home)) collector.add(link);
}

void add_own_files(Collector& collector, const profile::Profile& profile, const Places& places) {
  collector.add(places.config_home / "agentbox");
  collector.add(places.state_home / "agentbox");
  for (const std::string& file : profile.files) {
    if (std::optional<AbsPath> path = AbsPath::parse(file)) collector.add(*path);  // else nothing is launched
  }
}

}  // namespace

std::span<const std::string_view> foreign_directories() {
  return foreign_table;
}
std::span<const std::string_view> package_markers() {
  return marker_table;
}

base::Result<Looks> looks(const profile::Profile& profile, const Places& places) {
  Collector collector(places);
  add_system(collector, places);
  add_own_files(collector, profile, places);
  collector.add(places.home);
  collector.add(places.workspace);
  collector.add(profile.files_section.read);
  collector.add(profile.files_section.write);
  collector.add(profile.files_section.ask);
  collector.add(profile.files_section.hide);
  collector.add(profile.workspace.protect);
  collector.add(profile.workspace.hold);
  collector.add(profile.workspace.hide);
  if (profile.approval.reviewer_key_file)
    collector.add(profile::List<profile::PathText>{*profile.approval.reviewer_key_file});
  collector.looks().git_config = profile.git.config && profile.git.config->value == profile::GitConfig::inert;
  return collector.result();
}

std::vector<AbsPath> kind_places(const profile::Profile& profile, const HostFacts& facts) {
  std::vector<AbsPath> git_dirs;
  for (const GitFact& repository : facts.repositories) {
    git_dirs.push_back(repository.git_dir);
    git_dirs.push_back(repository.common_dir);
    git_dirs.insert(git_dirs.end(), repository.modules.begin(), repository.modules.end());
  }
  std::vector<AbsPath> places;
  Places names = places_of(facts);
  auto add = [&](const profile::List<profile::PatternText>& list) {
    for (const auto& item : list) {
      base::Result<PatternPlace> place = place_of(item, names);
      if (!place || !place->literal) continue;
      std::string relative = "/" + place->relative();
      auto below = [&](const AbsPath& folder) {
        // Too long a path can't be there, and can't be made.
        if (std::optional<AbsPath> path = AbsPath::parse(folder.str() + relative)) places.push_back(*std::move(path));
      };
      if (place->base == PatternPlace::Base::roots) {
        for (const Root& root : facts.roots) below(root.path);
      } else if (place->base == PatternPlace::Base::gitdirs) {
        std::ranges::for_each(git_dirs, below);
      }
    }
  };
  add(profile.workspace.protect);
  add(profile.workspace.hold);
  add(profile.workspace.hide);
  add(profile.files_section.hide);
  std::ranges::sort(places);
  places.erase(std::ranges::unique(places).begin(), places.end());
  return places;
}

}  // namespace agentbox::policy
