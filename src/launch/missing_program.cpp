#include "agentbox/launch/missing_program.hpp"

#include <algorithm>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"

namespace agentbox::launch {

namespace {

using base::AbsPath;
using policy::Policy;

bool is_program(const AbsPath& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

std::optional<AbsPath> real(const AbsPath& path) {
  std::error_code error;
  const std::filesystem::path found = std::filesystem::canonical(path.str(), error);
  return error ? std::nullopt : AbsPath::parse(found.native());
}

std::optional<AbsPath> child(const AbsPath& folder, std::string_view name) {
  return AbsPath::parse(folder.str() + "/" + std::string(name));
}

class Search {
 public:
  Search(const Policy& policy, const policy::HostFacts& facts) : policy_(policy), facts_(facts) {}

  std::optional<base::Diagnostic> run() const {
    const std::string& name = policy_.command.front();
    return name.find('/') == std::string::npos ? by_name(name) : by_path(name);
  }

 private:
  // "~/bin/x", as a profile may say it.
  [[nodiscard]] std::string shown(const AbsPath& path) const {
    const AbsPath& home = facts_.user.home;
    return path.is_below(home) ? "~/" + base::quote(path.relative_to(home)) : base::quote(path.str());
  }
  [[nodiscard]] std::string in_toml(const AbsPath& path) const {
    const AbsPath& home = facts_.user.home;
    return '"' + base::escape(path.is_below(home) ? "~/" + std::string(path.relative_to(home)) : path.str()) + '"';
  }

  [[nodiscard]] bool holds(const AbsPath& resolved) const {
    return policy::rule_on_path(policy_, resolved, policy::Open::For::reading).decision == policy::Decision::allow;
  }
  // The name, where it really is, and what it leads to.
  [[nodiscard]] std::vector<AbsPath> places_of(const AbsPath& path) const {
    std::vector<AbsPath> places;
    if (auto folder = real(path.parent())) {
      if (auto place = child(*folder, path.name())) places.push_back(*std::move(place));
    }
    if (auto target = real(path); target && std::ranges::find(places, *target) == places.end()) {
      places.push_back(*std::move(target));
    }
    return places;
  }

  // Nothing: the room has it.
  [[nodiscard]] std::optional<base::Diagnostic> not_held(const AbsPath& path) const {
    std::string folders;
    const AbsPath* first = nullptr;
    const std::vector<AbsPath> places = places_of(path);
    for (const AbsPath& place : places) {
      if (holds(place)) continue;
      if (first == nullptr) first = &place;
      folders += (folders.empty() ? "" : ", ") + in_toml(place.parent());
    }
    if (first == nullptr) return std::nullopt;
    const bool leads = places.size() > 1 && first != &places.front();
    return base::Diagnostic{
        .message = leads
                       ? fmt::format("{} leads to {}, which the room doesn't hold", shown(path), shown(*first))
                       : fmt::format("{} is at {}, which the room doesn't hold", base::quote(path.name()), shown(path)),
        .hint = fmt::format("[files] read = [{}] in a profile grants it", folders)};
  }

  [[nodiscard]] std::optional<base::Diagnostic> by_path(const std::string& name) const {
    const auto path = AbsPath::parse(name.starts_with('/') ? name : policy_.directory.str() + "/" + name);
    if (!path) return std::nullopt;
    if (!is_program(*path)) {
      struct stat info{};
      if (::stat(path->c_str(), &info) == 0) return std::nullopt;
      return base::Diagnostic{.message = fmt::format("there is no {}", shown(*path))};
    }
    return not_held(*path);
  }

  template <class Visit>
  static void each_folder(std::string_view list, Visit visit) {
    while (!list.empty()) {
      const std::string_view entry = list.substr(0, list.find(':'));
      list.remove_prefix(std::min(entry.size() + 1, list.size()));
      if (auto folder = AbsPath::parse(entry)) visit(*folder);
    }
  }

  [[nodiscard]] std::optional<base::Diagnostic> by_name(const std::string& name) const {
    bool found = false;
    auto path = std::ranges::find(policy_.environment, "PATH", [](const auto& variable) { return variable.first; });
    if (path == policy_.environment.end()) return std::nullopt;
    each_folder(path->second, [&](const AbsPath& folder) {
      auto place = child(folder, name);
      if (!place) return;
      const bool is_link =
          std::ranges::find(policy_.room_links, *place, &policy::RoomLink::target) != policy_.room_links.end();
      found = found || is_link || (is_program(*place) && !not_held(*place));
    });
    if (found) return std::nullopt;

    std::optional<base::Diagnostic> problem;
    if (auto own = facts_.environment.find("PATH"); own != facts_.environment.end()) {
      each_folder(own->second, [&](const AbsPath& folder) {
        auto place = child(folder, name);
        if (!problem && place && is_program(*place)) problem = not_held(*place);
      });
    }
    if (problem) return problem;
    for (const policy::Mount& mount : policy_.mounts) {
      using Why = policy::Mount::Why;
      if (mount.kind != policy::FileKind::directory || (mount.why != Why::grant && mount.why != Why::workspace))
        continue;
      auto place = child(mount.target, name);
      if (!place || !is_program(*place) || not_held(*place)) continue;
      return base::Diagnostic{
          .message = fmt::format("{} is in the room, but {} is not in its PATH", shown(*place), shown(mount.target)),
          .hint = fmt::format("name it by its path: {}; or put the folder into your own PATH", shown(*place))};
    }
    return base::Diagnostic{.message =
                                fmt::format("{} is not installed: no folder of your $PATH has it", base::quote(name))};
  }

  const Policy& policy_;
  const policy::HostFacts& facts_;
};

}  // namespace

std::optional<base::Diagnostic> missing_program(const Policy& policy, const policy::HostFacts& facts) {
  return Search(policy, facts).run();
}

}  // namespace agentbox::launch
