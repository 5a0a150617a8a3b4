#include "devices.hpp"

#include <algorithm>
#include <string_view>

#include "files.hpp"

namespace agentbox::launch {

using base::AbsPath;
using policy::Disk;
using policy::FileFact;
using policy::FileKind;

namespace {

bool has_number(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix) || name.size() == prefix.size()) return false;
  return name.substr(prefix.size()).find_first_not_of("0123456789") == std::string_view::npos;
}

// Not nvidia-modeset, not card0: those can change the screen. The DRM render nodes can only compute.
bool is_gpu_node(std::string_view name) {
  return has_number(name, "nvidia") || name == "nvidiactl" || name == "nvidia-uvm" || name == "nvidia-uvm-tools" ||
         name == "kfd";
}

void add_nodes(const char* folder, bool (*is_wanted)(std::string_view), Disk& disk, std::vector<AbsPath>& nodes) {
  AbsPath path = *AbsPath::parse(folder);
  std::size_t limit = 4096;
  auto entries = list_directory(path, limit);
  if (!entries) return;
  for (const ListedEntry& entry : *entries) {
    if (!is_wanted(entry.name)) continue;
    FileFact fact = disk.look(path / entry.name);
    if (fact.kind == FileKind::character_device && fact.uid == 0) nodes.push_back(path / entry.name);
  }
}

std::optional<AbsPath> own_socket(std::optional<AbsPath> path, std::uint32_t uid, Disk& disk) {
  if (!path) return std::nullopt;
  FileFact fact = disk.look(*path);
  if (fact.kind != FileKind::socket || fact.uid != uid) return std::nullopt;
  return path;
}

std::string_view variable(const std::map<std::string, std::string>& environment, const char* name) {
  auto found = environment.find(name);
  return found == environment.end() ? std::string_view() : std::string_view(found->second);
}

// A socket's name as its clients take it: absolute, or one component in the runtime folder.
std::optional<AbsPath> socket_path(std::string_view name, const std::optional<AbsPath>& runtime_dir) {
  if (name.starts_with('/')) return AbsPath::parse(name);
  if (!runtime_dir || name.empty() || name.find('/') != std::string_view::npos) return std::nullopt;
  return AbsPath::parse(runtime_dir->str() + "/" + std::string(name));
}

}  // namespace

policy::DeviceFact look_at_devices(const std::map<std::string, std::string>& environment,
                                   const std::optional<AbsPath>& runtime_dir, std::uint32_t uid, Disk& disk) {
  policy::DeviceFact facts;
  add_nodes("/dev", is_gpu_node, disk, facts.gpu_nodes);
  add_nodes("/dev/dri", [](std::string_view name) { return has_number(name, "renderD"); }, disk, facts.gpu_nodes);
  std::ranges::sort(facts.gpu_nodes);

  std::string_view audio = variable(environment, "PIPEWIRE_REMOTE"), display = variable(environment, "WAYLAND_DISPLAY");
  facts.pipewire_socket = own_socket(socket_path(audio.empty() ? "pipewire-0" : audio, runtime_dir), uid, disk);
  facts.wayland_socket = own_socket(socket_path(display, runtime_dir), uid, disk);
  return facts;
}

}  // namespace agentbox::launch
