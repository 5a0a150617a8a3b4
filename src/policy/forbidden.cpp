#include "forbidden.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"

namespace agentbox::policy {

namespace {

using base::AbsPath;
using std::string_view_literals::operator""sv;

AbsPath path_of(std::string_view text) {
  return *AbsPath::parse(text);
}

bool is_within_any(const AbsPath& path, const std::vector<AbsPath>& folders) {
  return std::ranges::any_of(folders, [&](const AbsPath& folder) { return path.is_within(folder); });
}

// Read-only in every room; a grant that covers one for writing would let the agent change what the system
// runs.
constexpr std::array system_folders = {"/usr"sv, "/bin"sv,  "/sbin"sv,      "/lib"sv,       "/lib32"sv, "/lib64"sv,
                                       "/opt"sv, "/boot"sv, "/nix/store"sv, "/gnu/store"sv, "/var"sv};
// Where nobody works on files of his own.
constexpr std::array never_a_workspace = {
    "/proc"sv,      "/sys"sv,         "/dev"sv,       "/etc"sv,         "/boot"sv,      "/bin"sv,      "/sbin"sv,
    "/lib"sv,       "/lib32"sv,       "/lib64"sv,     "/usr/bin"sv,     "/usr/sbin"sv,  "/usr/lib"sv,  "/usr/lib32"sv,
    "/usr/lib64"sv, "/usr/libexec"sv, "/usr/share"sv, "/usr/include"sv, "/nix/store"sv, "/gnu/store"sv};
// Of a home: where keys are, with all beneath, and where the settings of every program are, as a whole.
constexpr std::array folders_of_keys = {".ssh"sv, ".gnupg"sv, ".password-store"sv, ".aws"sv, ".kube"sv};
constexpr std::array folders_of_settings = {".config"sv, ".local"sv, ".local/share"sv, ".local/bin"sv, ".cache"sv};
// Folders of sockets that a display server keeps in /tmp.
constexpr std::array display_sockets = {"/tmp/.X11-unix"sv, "/tmp/.ICE-unix"sv, "/tmp/.XIM-unix"sv};

constexpr std::string_view name_the_parts = "grant the folders or files in it that are needed, by name";
constexpr std::string_view one_socket = "a single socket in it may be granted by its own path";

}  // namespace

Forbidden::Forbidden(const HostFacts& facts, Resolver& resolve) {
  auto add = [&](const AbsPath& path, std::string what, std::string_view hint) {
    wholes_.push_back({path, what, std::string(hint)});
    AbsPath real = resolve(path).path;
    if (real != path) wholes_.push_back({std::move(real), std::move(what), std::string(hint)});
  };
  auto both = [&](const AbsPath& path) {
    std::vector<AbsPath> pair = {path};
    AbsPath real = resolve(path).path;
    if (real != path) pair.push_back(std::move(real));
    return pair;
  };
  homes_ = both(facts.user.home);
  state_folders_ = both(facts.state_home / "agentbox");
  config_folders_ = both(facts.config_home / "agentbox");
  socket_folders_ = {path_of("/run"), path_of("/var/run")};
  if (facts.runtime_dir) std::ranges::move(both(*facts.runtime_dir), std::back_inserter(socket_folders_));
  for (std::string_view text : display_sockets) socket_folders_.push_back(path_of(text));

  add(facts.user.home, "your home directory", name_the_parts);
  add(facts.state_home / "agentbox", "agentbox's own state folder",
      "agentbox keeps its records there; nothing may read them");
  add(path_of("/tmp"), "/tmp, where other programs keep their sockets and files", "every room has a /tmp of its own");
  add(path_of("/var/tmp"), "/var/tmp, where other programs keep their files", "every room has a /var/tmp of its own");
  add(path_of("/run"), "/run, where the sockets of this machine are", one_socket);
  add(path_of("/var/run"), "/run, where the sockets of this machine are", one_socket);
  if (facts.runtime_dir) add(*facts.runtime_dir, "$XDG_RUNTIME_DIR, where the sockets of your session are", one_socket);
  add(path_of("/proc"), "/proc", "every room has a /proc of its own");
  add(path_of("/sys"), "/sys", "[devices] gpu = true gives a room what graphics programs need of it");
  add(path_of("/dev"), "/dev", "[devices] names the devices that a room may have");
  add(path_of("/etc"), "/etc", "every room has what programs need of it; grant other files in it by name");
}

const Forbidden::Whole* Forbidden::covered_by(const AbsPath& path) const {
  auto found = std::ranges::find_if(wholes_, [&](const Whole& whole) { return whole.path.is_within(path); });
  return found == wholes_.end() ? nullptr : &*found;
}

std::optional<Forbidden::Reason> Forbidden::grant(const AbsPath& path, FileKind kind, Access access) const {
  if (path.is_root()) return Reason{"is the whole file system", std::string(name_the_parts)};
  if (const Whole* whole = covered_by(path)) {
    bool same = path == whole->path;
    return Reason{(same ? "is " : "holds ") + whole->what, whole->hint};
  }
  if (is_within_any(path, state_folders_)) {
    return Reason{"lies in agentbox's own state folder", "agentbox keeps its records there; nothing may read them"};
  }
  if (access == Access::write && is_within_any(path, config_folders_)) {
    return Reason{"lies in the folder of agentbox's own profiles",
                  "a program that can change its profile decides for itself what the next room holds"};
  }
  if (path.is_within(path_of("/proc"))) return Reason{"lies in /proc", "every room has a /proc of its own"};
  if (path.is_within(path_of("/dev"))) {
    return Reason{"lies in /dev", "[devices] names the devices that a room may have"};
  }
  if (kind == FileKind::character_device || kind == FileKind::block_device) {
    return Reason{"is a device", "[devices] names the devices that a room may have"};
  }
  if (path.is_within(path_of("/run/agentbox"))) return Reason{"is a place that agentbox itself uses", {}};
  if (access == Access::write && path.is_within(path_of("/sys")))
    return Reason{"lies in /sys, which may only be read", {}};
  bool removable = path.is_below(path_of("/run/media"));  // where desktops mount a stick
  if (kind == FileKind::directory && !removable && is_within_any(path, socket_folders_)) {
    return Reason{"is a folder where sockets are", std::string(one_socket)};
  }
  if (access == Access::write) {
    for (std::string_view system : system_folders) {
      if (path_of(system).is_within(path)) {
        return Reason{"is a system folder, which no room may change", std::string(name_the_parts)};
      }
    }
  }
  return std::nullopt;
}

std::optional<Forbidden::Reason> Forbidden::workspace(const AbsPath& path) const {
  constexpr std::string_view hint = "start it in the folder of one project, or name one with --workspace";
  auto reason = [&](std::string text) { return Reason{std::move(text), std::string(hint)}; };
  if (path.is_root()) return reason("is the whole file system");
  if (std::ranges::find(homes_, path) != homes_.end()) return reason("is your home directory");
  for (const AbsPath& home : homes_) {
    auto in_home = [&](std::string_view name) { return path_of(home.str() + "/" + std::string(name)); };
    for (std::string_view name : folders_of_keys) {
      if (path.is_within(in_home(name))) return reason("is where your keys are");
    }
    for (std::string_view name : folders_of_settings) {
      if (path == in_home(name)) return reason("holds what your programs keep and obey");
    }
  }
  for (std::string_view system : never_a_workspace) {
    if (path.is_within(path_of(system))) return reason("is a system folder");
  }
  if (const Whole* whole = covered_by(path)) return reason((path == whole->path ? "is " : "holds ") + whole->what);
  if (is_within_any(path, state_folders_)) return reason("lies in agentbox's own state folder");
  if (is_within_any(path, config_folders_)) return reason("lies in the folder of agentbox's own profiles");
  for (std::string_view system : system_folders) {
    if (path == path_of(system)) return reason("is a system folder");
  }
  if (!path.is_below(path_of("/run/media")) && is_within_any(path, socket_folders_)) {
    return reason("is a folder where sockets are");
  }
  return std::nullopt;
}

std::string cant_be_granted(const AbsPath& path, const Forbidden::Reason& reason, std::string_view leads) {
  return fmt::format("'{}'{} can't be granted: it {}", base::escape(path.str()), leads, reason.text);
}

base::Diagnostics check_workspace(const AbsPath& resolved, const HostFacts& facts) {
  SnapshotDisk disk(facts.files);
  Resolver resolve(disk);
  std::optional<Forbidden::Reason> reason = Forbidden(facts, resolve).workspace(resolved);
  if (!reason) return {};
  return {{.message = "'" + base::escape(resolved.str()) + "' can't be a workspace: it " + reason->text,
           .hint = reason->hint}};
}

}  // namespace agentbox::policy
