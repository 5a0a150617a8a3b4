#include "guard_names.hpp"

#include <algorithm>
#include <map>

namespace agentbox::launch {

namespace {

using base::AbsPath;
using policy::FileKind;
using policy::Mount;

// The mount that decides what is seen at a path of the room: the deepest one, of equal ones the last. Nothing
// where that is one of the room's own tmpfs.
const Mount* covering(const policy::Policy& policy, const AbsPath& target) {
  const Mount* best = nullptr;
  for (const Mount& mount : policy.mounts) {
    // What is hidden is empty, and what protects a single thing shows that very thing.
    if (mount.access == policy::Access::hidden || mount.why == Mount::Why::ghost) continue;
    if (!target.is_within(mount.target)) continue;
    if (best == nullptr || mount.target.depth() >= best->target.depth()) best = &mount;
  }
  for (const policy::Tmpfs& tmpfs : policy.tmpfs) {
    if (best != nullptr && target.is_within(tmpfs.target) && tmpfs.target.depth() > best->target.depth())
      return nullptr;
  }
  return best;
}

std::optional<AbsPath> moved(const AbsPath& path, const AbsPath& from, const AbsPath& to) {
  std::string_view relative = path.relative_to(from);
  return relative.empty() ? std::optional(to) : below(to, relative);
}

bool is_guarding(Mount::Why why) {
  return why == Mount::Why::protect || why == Mount::Why::hide || why == Mount::Why::pin || why == Mount::Why::ancestor;
}

std::optional<GuardedName> guarded_mount(const plan::Furnishing& furnishing) {
  GuardedName name{.role = GuardedName::Role::mount};
  if (const auto* bind = std::get_if<plan::Bind>(&furnishing); bind != nullptr && is_guarding(bind->why)) {
    name.target = bind->target;
    name.directory = bind->kind == FileKind::directory;
    name.ancestor = bind->why == Mount::Why::ancestor;
  } else if (const auto* mask = std::get_if<plan::Mask>(&furnishing)) {
    name.target = mask->target;
    name.directory = mask->kind == FileKind::directory;
  } else if (const auto* ghost = std::get_if<plan::Ghost>(&furnishing)) {
    name.target = ghost->target;
    name.directory = true;
  } else {
    return std::nullopt;
  }
  name.furnishing = furnishing;
  return name;
}

}  // namespace

std::optional<AbsPath> on_host(const policy::Policy& policy, const AbsPath& target) {
  const Mount* covered = covering(policy, target);
  return covered != nullptr ? moved(target, covered->target, covered->source) : std::nullopt;
}

std::vector<AbsPath> in_room(const policy::Policy& policy, const AbsPath& host) {
  std::vector<AbsPath> places;
  for (const Mount& mount : policy.mounts) {
    if (mount.access == policy::Access::hidden || mount.why == Mount::Why::ghost) continue;
    if (!host.is_within(mount.source)) continue;
    std::optional<AbsPath> place = moved(host, mount.source, mount.target);
    // Another mount may lie on top of it there.
    if (!place || on_host(policy, *place) != host) continue;
    if (std::ranges::find(places, *place) == places.end()) places.push_back(*place);
  }
  return places;
}

std::vector<GuardedName> guarded_names(const policy::Policy& policy, const plan::LaunchPlan& plan) {
  std::vector<GuardedName> names;
  // Dozens of names lie in a few directories, and there may be a thousand mounts.
  std::map<AbsPath, std::optional<AbsPath>> hosts;
  std::map<AbsPath, std::vector<AbsPath>> rooms;
  for (const plan::Furnishing& furnishing : plan.furnishings) {
    std::optional<GuardedName> name = guarded_mount(furnishing);
    if (!name || name->target.is_root()) continue;
    // The mount itself is not asked: what matters is the directory that it lies in.
    auto [known, fresh] = hosts.try_emplace(name->target.parent());
    if (fresh) known->second = on_host(policy, known->first);
    std::optional<AbsPath> host = known->second ? below(*known->second, name->target.name()) : std::nullopt;
    if (!host) continue;
    name->host = *host;
    names.push_back(*std::move(name));
  }
  for (const policy::Watched& watched : policy.watched) {
    std::optional<AbsPath> host = below(watched.directory, watched.name);
    if (!host) continue;
    bool hide = watched.why == policy::Watched::Why::hide;
    auto [known, fresh] = rooms.try_emplace(watched.directory);
    if (fresh) known->second = in_room(policy, watched.directory);
    for (const AbsPath& directory : known->second) {
      std::optional<AbsPath> target = below(directory, watched.name);
      if (!target) continue;
      names.push_back(
          {.role = hide ? GuardedName::Role::hidden : GuardedName::Role::forbidden, .host = *host, .target = *target});
      if (!hide) break;  // taken once is taken everywhere
    }
  }
  return names;
}

}  // namespace agentbox::launch
