#include "floor.hpp"

#include <array>

#include <fmt/format.h>

#include "agentbox/policy/room_addresses.hpp"

namespace agentbox::policy {

namespace {

using base::AbsPath;
using std::string_view_literals::operator""sv;

constexpr std::array system_folder_table = {
    "/usr"sv,
    "/bin"sv,
    "/sbin"sv,
    "/lib"sv,
    "/lib32"sv,
    "/lib64"sv,
    "/libx32"sv,
    "/opt"sv,
    "/nix/store"sv,
    "/gnu/store"sv,
    "/var/lib/ca-certificates"sv,  // openSUSE's /etc/ssl/certs leads there
};

// Not here, on purpose: passwd, group, hosts, resolv.conf, machine-id and their like (generated, so that they
// name nobody but this user and no network); shadow, sudoers, subuid (nothing in the room may use them);
// gitconfig, ssh, pip.conf, npmrc, nix/nix.conf (may hold credentials); environment (the room's is an allow
// list).
constexpr std::array etc_table = {
    // the dynamic linker, locale and time
    "ld-musl-x86_64.path"sv,
    "ld-musl-aarch64.path"sv,
    "ld.so.cache"sv,
    "ld.so.conf"sv,
    "ld.so.conf.d"sv,
    "locale.alias"sv,
    "locale.conf"sv,
    "localtime"sv,
    "timezone"sv,
    "zoneinfo"sv,
    // certificates
    "ssl"sv,
    "ca-certificates"sv,
    "pki"sv,
    "crypto-policies"sv,
    // which program a name means, and what the system calls itself
    "alternatives"sv,
    "static"sv,
    "profiles"sv,
    "os-release"sv,
    "debian_version"sv,
    "lsb-release"sv,
    "xattr.conf"sv,
    "shells"sv,
    // shells and terminals
    "bash.bashrc"sv,
    "bashrc"sv,
    "profile"sv,
    "profile.d"sv,
    "bash_completion"sv,
    "bash_completion.d"sv,
    "zsh"sv,
    "zshenv"sv,
    "zprofile"sv,
    "zshrc"sv,
    "fish"sv,
    "inputrc"sv,
    "terminfo"sv,
    "DIR_COLORS"sv,
    "vim"sv,
    "vimrc"sv,
    "nanorc"sv,
    // tables
    "fonts"sv,
    "mime.types"sv,
    "magic"sv,
    "protocols"sv,
    "services"sv,
    "gai.conf"sv,
    // runtimes that keep a part of themselves here
    "java-8-openjdk"sv,
    "java-11-openjdk"sv,
    "java-17-openjdk"sv,
    "java-21-openjdk"sv,
    "java-25-openjdk"sv,
    "python3"sv,
    "perl"sv,
};

constexpr std::array gpu_table = {
    "/sys/dev/char"sv, "/sys/devices"sv,       "/sys/class/drm"sv,        "/sys/class/kfd"sv, "/sys/bus/pci"sv,
    "/sys/module"sv,   "/etc/OpenCL"sv,        "/etc/vulkan"sv,           "/etc/glvnd"sv,     "/etc/egl"sv,
    "/etc/nvidia"sv,   "/run/opengl-driver"sv, "/run/opengl-driver-32"sv,
};

constexpr std::string_view room_name = "agentbox";
constexpr std::uint32_t nobody = 65534;  // what the kernel shows for every owner that the room's user namespace lacks

bool fits_passwd(std::string_view field) {
  return field.find_first_of(std::string_view(":\n\0", 3)) == std::string_view::npos;
}

std::string passwd(const User& user) {
  std::string text;
  if (user.uid != 0) text += "root:x:0:0:root:/root:/sbin/nologin\n";
  text +=
      fmt::format("{}:x:{}:{}:{}:{}:{}\n", user.name, user.uid, user.gid, user.name, user.home.str(), user.shell.str());
  if (user.uid != nobody) text += "nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n";
  return text;
}

std::string group(const User& user) {
  std::string text;
  if (user.gid != 0) text += "root:x:0:\n";
  text += fmt::format("{}:x:{}:\n", user.group, user.gid);
  if (user.gid != nobody) text += "nogroup:x:65534:\n";
  return text;
}

}  // namespace

std::span<const std::string_view> system_folders() {
  return system_folder_table;
}
std::span<const std::string_view> etc_entries() {
  return etc_table;
}
std::span<const std::string_view> gpu_folders() {
  return gpu_table;
}

std::vector<AbsPath> store_links(const AbsPath& home, const AbsPath& state_home) {
  std::vector<AbsPath> links = {home / ".nix-profile", home / ".guix-profile", state_home / "nix/profiles/profile"};
  for (std::string_view text : {"/run/current-system"sv, "/run/current-system/profile"sv,
                                "/nix/var/nix/profiles/default"sv, "/var/guix/profiles/default"sv}) {
    links.push_back(*AbsPath::parse(text));
  }
  return links;
}

bool is_in_store(const AbsPath& path) {
  return path.str().starts_with("/nix/store/") || path.str().starts_with("/gnu/store/");
}

base::Result<std::vector<RoomFile>> etc_files(const User& user, Outside outside) {
  for (std::string_view field : {std::string_view(user.name), std::string_view(user.group),
                                 std::string_view(user.home.str()), std::string_view(user.shell.str())}) {
    if (field.empty() || !fits_passwd(field)) {
      return base::fail("this user's name, group, home or shell can't stand in a passwd file",
                        "an empty field, a colon or a newline in it would make programs read another user");
    }
  }
  const bool is_ruled = outside == Outside::ruled;
  // Empty: the room asks no name server. glibc then tries 127.0.0.1, where nobody listens.
  const std::string resolver = is_ruled ? fmt::format("nameserver {}\n", room_address_v4) : std::string();
  auto file = [](std::string_view path, std::string content) {
    return RoomFile{.target = *AbsPath::parse(path), .content = std::move(content)};
  };
  return std::vector<RoomFile>{
      file("/etc/passwd", passwd(user)),
      file("/etc/group", group(user)),
      file("/etc/hostname", fmt::format("{}\n", room_name)),
      file("/etc/hosts", fmt::format("127.0.0.1 localhost {0}\n::1 localhost {0}\n", room_name)),
      file("/etc/resolv.conf", resolver),
      file("/etc/nsswitch.conf", fmt::format("passwd: files\ngroup: files\nshadow: files\nhosts: files{}\n"
                                             "services: files\nprotocols: files\n",
                                             is_ruled ? " dns" : "")),
      // The same in every room, so that it tells nothing about the machine (machine-id(5): 32 hexadecimal
      // digits).
      file("/etc/machine-id", "a6e47b0ca6e47b0ca6e47b0ca6e47b0c\n"),
  };
}

}  // namespace agentbox::policy
