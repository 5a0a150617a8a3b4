// What the mounts answer about one path. The deepest place that holds it decides, as it does for the kernel.

#include <algorithm>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"
#include "agentbox/policy/policy.hpp"

namespace agentbox::policy {

namespace {

using base::AbsPath;

template <class T>
const T* deepest(const std::vector<T>& places, const AbsPath& path) {
  const T* found = nullptr;
  for (const T& place : places) {
    bool deeper = found == nullptr || place.target.depth() >= found->target.depth();
    if (deeper && path.is_within(place.target)) found = &place;
  }
  return found;
}

// agentbox's own decisions have no line.
std::optional<profile::Origin> line_of(const profile::Origin& origin) {
  return origin.file.empty() ? std::nullopt : std::optional(origin);
}

Ruling says(Decision decision, std::string why, const profile::Origin& origin = {}) {
  return {.decision = decision, .origin = line_of(origin), .why = std::move(why)};
}

std::string why_only_read(const Mount& mount) {
  switch (mount.why) {
    case Mount::Why::protect:
    case Mount::Why::ghost:
    case Mount::Why::pin: return "it is protected: a program outside would execute what it says";
    case Mount::Why::floor: return "the system can only be read";
    case Mount::Why::workspace: return "the workspace can only be read";
    default: return "it is granted for reading only";
  }
}

std::string why_granted(const Mount& mount) {
  switch (mount.why) {
    case Mount::Why::floor: return "the system can be read";
    case Mount::Why::workspace: return "it lies in the workspace";
    default: return "the profile grants it";
  }
}

// What becomes of a write to where the mounts allow it.
std::optional<Ruling> rule_on_write(const Policy& policy, const AbsPath& path) {
  for (const Watched& watched : policy.watched) {
    if (!path.is_within(watched.directory / watched.name)) continue;
    return says(Decision::deny, "whatever appears there goes to the quarantine", watched.origin);
  }
  for (const Held& held : policy.held) {
    if (!path.is_within(held.path)) continue;
    return says(Decision::ask, "it can be written, and is kept only after your yes at the end", held.origin);
  }
  return std::nullopt;
}

}  // namespace

Ruling rule_on_path(const Policy& policy, const AbsPath& resolved, Open::For purpose) {
  const Mount* mount = deepest(policy.mounts, resolved);
  const Tmpfs* own = deepest(policy.tmpfs, resolved);
  bool generated = std::ranges::find(policy.room_files, resolved, &RoomFile::target) != policy.room_files.end();
  if (generated) return says(Decision::deny, "the room has a file of its own there");
  if (own != nullptr && (mount == nullptr || own->target.depth() > mount->target.depth())) {
    return says(Decision::deny, fmt::format("the room has a folder of its own at {}: nothing of yours is in it",
                                            base::quote(own->target.str())));
  }
  if (mount == nullptr) return says(Decision::deny, "nothing grants it, so it does not exist in the room");
  if (mount->access == Access::hidden) return says(Decision::deny, "it is hidden", mount->origin);
  if (purpose == Open::For::reading) return says(Decision::allow, why_granted(*mount), mount->origin);
  if (mount->access == Access::read) return says(Decision::deny, why_only_read(*mount), mount->origin);
  if (std::optional<Ruling> ruling = rule_on_write(policy, resolved)) return *std::move(ruling);
  return says(Decision::allow, why_granted(*mount), mount->origin);
}

}  // namespace agentbox::policy
