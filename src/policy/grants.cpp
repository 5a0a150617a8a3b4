// Everything that is granted: the floor of the system, devices, the workspace, the profile's files, and what
// the workspace's repositories need.

#include <algorithm>

#include <fmt/format.h>

#include "draft.hpp"
#include "floor.hpp"

namespace agentbox::policy {

namespace {

using base::AbsPath;
using Why = Mount::Why;

AbsPath path_of(std::string_view text) {
  return *AbsPath::parse(text);
}

void keep_links(Draft& draft, const Resolution& resolution) {
  draft.links.insert(draft.links.end(), resolution.links.begin(), resolution.links.end());
}

// A private folder of the room, where the host has the same (or where its links lead).
void add_private(Draft& draft, const AbsPath& path, std::uint64_t size, std::uint32_t mode) {
  AbsPath target = path;
  if (!path.is_within(path_of("/dev"))) {  // that one is the room's own
    Resolution resolution = draft.resolve(path);
    keep_links(draft, resolution);
    target = std::move(resolution.path);
  }
  auto& all = draft.policy.tmpfs;
  if (std::ranges::find(all, target, &Tmpfs::target) != all.end()) return;
  all.push_back({.target = target, .size = size, .mode = mode});
  draft.tree.add({.path = std::move(target), .access = Access::hidden, .why = Why::floor});
}

// A part of the system that the profile did not name. It is there or it isn't; a link that leads to where
// people keep their own files is not followed.
void add_floor(Draft& draft, const AbsPath& path, Why why = Why::floor) {
  Resolution resolution = draft.resolve(path);
  bool fits = resolution.kind == FileKind::directory || resolution.kind == FileKind::regular;
  if (!fits || (!resolution.links.empty() && !is_in_store(resolution.path) &&
                (resolution.path.is_within(draft.facts.user.home) ||
                 draft.forbidden.grant(resolution.path, resolution.kind, Access::read)))) {
    return;
  }
  keep_links(draft, resolution);
  draft.tree.add({.path = resolution.path, .kind = resolution.kind, .access = Access::read, .why = why});
}

void add_store_link(Draft& draft, const AbsPath& path) {
  Resolution resolution = draft.resolve(path);
  if (is_in_store(resolution.path)) keep_links(draft, resolution);
}

// ---- files.read and files.write
// -------------------------------------------------------------------------------

// One path of the profile, followed to its end.
struct Asked {
  AbsPath path;
  Resolution resolution;
  const profile::Located<profile::PathText>* item = nullptr;
  Access access = Access::read;
};

bool is_flag(const Draft& draft, const Asked& asked) {
  const auto& list = asked.access == Access::read ? draft.flags.read : draft.flags.write;
  return std::ranges::any_of(list, [&](const auto& item) { return item == *asked.item; });
}

void grant_missing(Draft& draft, const Asked& asked) {
  const profile::Origin& origin = asked.item->origin;
  if (asked.access == Access::read) {
    // A profile names what may be there; who types a path means one that is.
    if (is_flag(draft, asked)) return draft.error(origin, fmt::format("{} does not exist", shown(asked.path)));
    draft.note(Note::Kind::absent, fmt::format("{} does not exist", shown(asked.path)), origin);
    return;
  }
  if (asked.item->value.directory) {
    draft.policy.to_make.push_back({.path = asked.resolution.path, .origin = origin});
    draft.tree.add({.path = asked.resolution.path, .access = Access::write, .origin = origin});
    return;
  }
  // --write of a protected file that is missing lifts the protection; mark_protected sees to it.
  if (is_flag(draft, asked) && asked.resolution.path.is_below(draft.workspace.real)) return;
  draft.error(origin, fmt::format("{} does not exist, so that it can't be made writable", shown(asked.path)),
              "make it first, or end it with '/' to have an empty folder made");
}

void grant_one(Draft& draft, const Asked& asked) {
  const profile::Origin& origin = asked.item->origin;
  const Resolution& found = asked.resolution;
  auto reason = draft.forbidden.grant(asked.path, found.kind, asked.access);
  if (!reason) reason = draft.forbidden.grant(found.path, found.kind, asked.access);
  if (reason) {
    std::string leads = found.path == asked.path ? "" : fmt::format(" (it leads to {})", shown(found.path));
    draft.error(origin, cant_be_granted(asked.path, *reason, leads), reason->hint);
    return;
  }
  switch (found.kind) {
    case FileKind::missing: grant_missing(draft, asked); return;
    case FileKind::symlink:
      draft.error(origin, fmt::format("{} leads in a circle of links", shown(asked.path)));
      return;
    case FileKind::unreadable:
      if (asked.access == Access::read) {
        draft.note(Note::Kind::skipped, fmt::format("{} can't be reached by you", shown(asked.path)), origin);
      } else {
        draft.error(origin, fmt::format("{} can't be reached by you", shown(asked.path)));
      }
      return;
    default: break;
  }
  if (asked.item->value.directory && found.kind != FileKind::directory) {
    draft.error(origin, fmt::format("{} is not a folder", shown(asked.path)), "write it without the '/' at the end");
    return;
  }
  keep_links(draft, found);
  draft.tree.add({.path = found.path,
                  .kind = found.kind,
                  .access = asked.access,
                  .origin = origin,
                  .through_links = !found.links.empty()});
}

// A link that an earlier run could have planted must not lead out of the tree that run could write.
void refuse_planted_links(Draft& draft, const std::vector<Asked>& all) {
  for (const Asked& asked : all) {
    for (const Resolution::Link& link : asked.resolution.links) {
      AccessTree::Place place = draft.tree.at(link.at);
      if (place.access != Access::write || asked.resolution.path.is_within(place.grant->path)) continue;
      draft.error(asked.item->origin,
                  fmt::format("{} leads to {} through the link {}, which a program in the room could have put there",
                              shown(asked.path), shown(asked.resolution.path), shown(link.at)),
                  fmt::format("if it is meant, grant {} itself", shown(asked.resolution.path)));
      break;
    }
  }
}

std::vector<Asked> asked_of(Draft& draft, const profile::List<profile::PathText>& list, Access access) {
  std::vector<Asked> all;
  all.reserve(list.size());
  for (const auto& item : list) {
    base::Result<AbsPath> path = expand(item, draft.places);
    if (!path) {
      draft.fail(path.error());
      continue;
    }
    Resolution resolution = draft.resolve(*path);
    all.push_back({*std::move(path), std::move(resolution), &item, access});
  }
  return all;
}

// ---- devices
// --------------------------------------------------------------------------------------------------

bool wants(const std::optional<profile::Located<bool>>& device) {
  return device && device->value;
}

void grant_socket(Draft& draft, const std::optional<AbsPath>& socket, std::string_view name, std::string_view what,
                  const profile::Origin& origin) {
  if (!socket) {
    draft.error(origin, fmt::format("[devices] {} asks for {}, and there is none", name, what),
                "start it, or set the device to false");
    return;
  }
  draft.tree.add({.path = draft.resolve(*socket).path,
                  .kind = FileKind::socket,
                  .access = Access::write,
                  .why = Why::device,
                  .origin = origin});
}

void grant_gpu(Draft& draft, const profile::Origin& origin) {
  if (draft.facts.devices.gpu_nodes.empty()) {
    draft.error(origin, "[devices] gpu asks for a GPU, and there is no node of one in /dev that you may open",
                "is your user in the group 'render' or 'video'?");
    return;
  }
  for (const AbsPath& node : draft.facts.devices.gpu_nodes) {
    draft.tree.add({.path = node,
                    .kind = FileKind::character_device,
                    .access = Access::write,
                    .why = Why::device,
                    .origin = origin});
  }
  for (std::string_view folder : gpu_folders()) {
    Resolution resolution = draft.resolve(path_of(folder));
    if (resolution.kind != FileKind::directory) continue;
    keep_links(draft, resolution);
    draft.tree.add({.path = resolution.path, .access = Access::read, .why = Why::device, .origin = origin});
  }
}

}  // namespace

void grant_system(Draft& draft) {
  const Limits& limits = draft.policy.limits;
  add_private(draft, draft.facts.user.home, limits.home, 0700);
  for (std::string_view folder : private_folders) {
    bool shared_memory = folder == "/dev/shm";
    add_private(draft, path_of(folder), shared_memory ? limits.shm : limits.tmp, 01777);
  }
  for (std::string_view folder : system_folders()) add_floor(draft, path_of(folder));
  for (std::string_view entry : etc_entries()) add_floor(draft, path_of("/etc/" + std::string(entry)));
  for (const AbsPath& link : store_links(draft.facts.user.home, draft.facts.state_home)) add_store_link(draft, link);
}

void grant_devices(Draft& draft) {
  const auto& devices = draft.profile.devices;
  draft.policy.devices = {.gpu = wants(devices.gpu), .audio = wants(devices.audio), .display = wants(devices.display)};
  if (wants(devices.gpu)) grant_gpu(draft, devices.gpu->origin);
  if (!wants(devices.audio) && !wants(devices.display)) return;
  // A runtime folder of the room's own, with nothing but the sockets that were asked for.
  AbsPath runtime = draft.facts.runtime_dir.value_or(path_of(fmt::format("/run/user/{}", draft.facts.user.uid)));
  add_private(draft, runtime, 16 << 20, 0700);
  if (wants(devices.audio)) {
    grant_socket(draft, draft.facts.devices.pipewire_socket, "audio", "PipeWire's socket", devices.audio->origin);
  }
  if (wants(devices.display)) {
    grant_socket(draft, draft.facts.devices.wayland_socket, "display", "a Wayland display's socket",
                 devices.display->origin);
  }
}

void grant_workspace(Draft& draft) {
  Resolution resolution = draft.resolve(draft.facts.workspace);
  draft.policy.workspace = draft.policy.directory = resolution.path;
  const auto& mode = draft.profile.workspace.mode;
  draft.policy.mode = mode ? mode->value : profile::WorkspaceMode::direct;
  if (resolution.kind != FileKind::directory) {
    draft.error({}, fmt::format("the workspace {} is not a folder", shown(draft.facts.workspace)));
    return;
  }
  if (auto reason = draft.forbidden.workspace(resolution.path)) {
    draft.error({}, fmt::format("{} can't be a workspace: it {}", shown(resolution.path), reason->text), reason->hint);
    return;
  }
  keep_links(draft, resolution);
  bool direct = draft.policy.mode == profile::WorkspaceMode::direct;
  draft.tree.add({.path = resolution.path,
                  .access = direct ? Access::write : Access::read,
                  .why = Why::workspace,
                  .origin = mode ? mode->origin : profile::Origin{}});
}

void grant_git(Draft& draft) {
  if (draft.facts.enclosing_repository) {
    draft.note(Note::Kind::warning,
               fmt::format("the workspace is a folder of the repository in {}, whose data is not in the room: git will "
                           "not work there",
                           shown(*draft.facts.enclosing_repository)));
  }
  bool direct = draft.policy.mode == profile::WorkspaceMode::direct;
  for (const GitFact& repository : draft.facts.repositories) {
    std::vector<AbsPath> folders = {repository.common_dir};
    if (!repository.git_dir.is_within(repository.common_dir)) folders.push_back(repository.git_dir);
    for (const AbsPath& folder : folders) {
      if (folder.is_within(draft.workspace.real)) continue;
      std::string text =
          fmt::format("the repository in {} keeps its data in {}", shown(repository.root), shown(folder));
      if (!repository.confirmed) {
        draft.note(Note::Kind::warning,
                   text + ", which does not name it back: not granted, and git will not work there");
      } else if (auto reason = draft.forbidden.grant(folder, FileKind::directory, Access::write)) {
        draft.note(Note::Kind::warning, fmt::format("{}, which can't be granted: it {}", text, reason->text));
      } else {
        draft.note(Note::Kind::changed, text + (direct ? ", writable and protected as here" : ", readable"));
        draft.tree.add({.path = folder, .access = direct ? Access::write : Access::read, .why = Why::git});
      }
    }
    if (!repository.links.empty()) {
      draft.note(
          Note::Kind::warning,
          fmt::format(
              "{} is a symbolic link{}: git follows it when it writes, out of the repository as well",
              shown(repository.links.front()),
              repository.links.size() == 1 ? "" : fmt::format(", and {} more are", repository.links.size() - 1)));
    }
  }
}

void grant_files(Draft& draft) {
  std::vector<Asked> all = asked_of(draft, draft.profile.files_section.write, Access::write);
  std::ranges::move(asked_of(draft, draft.profile.files_section.read, Access::read), std::back_inserter(all));
  for (const Asked& asked : all) grant_one(draft, asked);
  draft.tree.settle();
  refuse_planted_links(draft, all);
}

}  // namespace agentbox::policy
