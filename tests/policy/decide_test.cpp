// The floor that every room has.

#include <catch2/catch.hpp>

#include "world.hpp"

using namespace agentbox;
using policy::FileKind;
using test::Lines;
using test::path;
using test::World;

namespace {

std::string content(const policy::Policy& policy, std::string_view at) {
  auto file = std::ranges::find(policy.room_files, path(at), &policy::RoomFile::target);
  return file == policy.room_files.end() ? "(none)" : file->content;
}
std::string link(const policy::Policy& policy, std::string_view at) {
  auto found = std::ranges::find(policy.room_links, path(at), &policy::RoomLink::target);
  return found == policy.room_links.end() ? "(none)" : found->to;
}
bool has_mount(const policy::Policy& policy, std::string_view at) {
  return std::ranges::count(policy.mounts, path(at), &policy::Mount::target) == 1;
}

}  // namespace

TEST_CASE("passwd and group name this user, and those that the kernel shows for others") {
  policy::Policy policy = World().policy();
  CHECK(content(policy, "/etc/passwd") ==
        "root:x:0:0:root:/root:/sbin/nologin\nu:x:1000:1000:u:/home/u:/bin/sh\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n");
  CHECK(content(policy, "/etc/group") == "root:x:0:\nu:x:1000:\nnogroup:x:65534:\n");
  World root;
  root.facts.user.uid = root.facts.user.gid = 0;
  root.facts.user.name = root.facts.user.group = "root";
  CHECK(content(root.policy(), "/etc/passwd").starts_with("root:x:0:0:root:/home/u:/bin/sh\nnobody"));
}

TEST_CASE("a user whose fields would make programs read another user gets no room") {
  World world;
  world.facts.user.name = "u:x:0:0";
  CHECK(world.errors() == Lines{"this user's name, group, home or shell can't stand in a passwd file"});
}

TEST_CASE("/etc has what programs need, and nothing that names the machine or opens it") {
  World world;
  world.file("/etc/ld.so.cache").folder_at("/etc/ssl").file("/etc/shadow").file("/etc/sudoers").file("/etc/subuid");
  world.file("/etc/machine-id").file("/etc/gitconfig").link("/etc/localtime", "/usr/share/zoneinfo/UTC");
  world.file("/usr/share/zoneinfo/UTC");
  policy::Policy policy = world.policy();
  CHECK(has_mount(policy, "/etc/ld.so.cache"));
  CHECK(has_mount(policy, "/etc/ssl"));
  CHECK_FALSE(has_mount(policy, "/etc/localtime"));
  CHECK(link(policy, "/etc/localtime") == "/usr/share/zoneinfo/UTC");
  for (const char* at : {"/etc/shadow", "/etc/sudoers", "/etc/subuid", "/etc/machine-id", "/etc/gitconfig", "/etc"}) {
    CHECK_FALSE(has_mount(policy, at));
  }
  CHECK(content(policy, "/etc/machine-id").size() == 33);
  CHECK(content(policy, "/etc/resolv.conf").empty());
  CHECK(content(policy, "/etc/gitconfig") == "(none)");
  CHECK(link(policy, "/etc/mtab") == "../proc/self/mounts");
}

TEST_CASE("a file of /etc that is granted by name stands in the place of the generated one") {
  World world;
  policy::Policy policy = world.file("/etc/hosts").read("/etc/hosts").policy();
  CHECK(content(policy, "/etc/hosts") == "(none)");
  CHECK(has_mount(policy, "/etc/hosts"));
}

TEST_CASE("private folders are tmpfs with a size") {
  policy::Policy policy = World().policy();
  Lines lines;
  for (const auto& one : policy.tmpfs) lines.push_back(one.target.str() + " " + std::to_string(one.mode));
  CHECK(lines == Lines{"/dev/shm 1023", "/home/u 448", "/tmp 1023", "/var/tmp 1023"});
  for (const auto& one : policy.tmpfs) CHECK(one.size > 0);
}

TEST_CASE("a merged /usr is one mount and its links, an unmerged one is several mounts") {
  policy::Policy merged = World().policy();
  CHECK(link(merged, "/bin") == "usr/bin");
  CHECK_FALSE(has_mount(merged, "/bin"));
  World world;
  policy::Policy split = world.folder_at("/bin").policy();
  CHECK(has_mount(split, "/bin"));
}

TEST_CASE("NixOS: the chains of links into the store are there, the store is, and nothing beside it") {
  World world;
  world.folder_at("/nix/store/s-system/sw/bin")
      .folder_at("/nix/store/e-etc/etc/ssl")
      .folder_at("/nix/store/p-profile/bin");
  world.link("/run/current-system", "/nix/store/s-system").link("/etc/static", "/nix/store/e-etc/etc");
  world.folder_at("/etc/ssl/certs").link("/etc/zoneinfo", "/etc/static/zoneinfo");
  world.folder_at("/nix/store/e-etc/etc/zoneinfo").link("/etc/localtime", "/etc/zoneinfo/UTC");
  world.file("/nix/store/e-etc/etc/zoneinfo/UTC");
  world.link("/home/u/.nix-profile", ".local/state/nix/profiles/profile");
  world.link("/home/u/.local/state/nix/profiles/profile", "profile-1-link");
  world.link("/home/u/.local/state/nix/profiles/profile-1-link", "/nix/store/p-profile");
  policy::Policy policy = world.policy();
  CHECK(has_mount(policy, "/nix/store"));
  CHECK_FALSE(has_mount(policy, "/nix"));
  CHECK(link(policy, "/run/current-system") == "/nix/store/s-system");
  CHECK(link(policy, "/etc/static") == "/nix/store/e-etc/etc");
  CHECK(link(policy, "/etc/zoneinfo") == "/etc/static/zoneinfo");
  CHECK(link(policy, "/etc/localtime") == "/etc/zoneinfo/UTC");
  CHECK(link(policy, "/home/u/.nix-profile") == ".local/state/nix/profiles/profile");
  CHECK(link(policy, "/home/u/.local/state/nix/profiles/profile-1-link") == "/nix/store/p-profile");
}

TEST_CASE("a profile link that leads anywhere but into a store is not followed") {
  World world;
  world.link("/home/u/.nix-profile", ".ssh").folder_at("/home/u/.ssh");
  policy::Policy policy = world.policy();
  CHECK(link(policy, "/home/u/.nix-profile") == "(none)");
  CHECK_FALSE(has_mount(policy, "/home/u/.ssh"));
}

TEST_CASE("a part of the system that leads into $HOME is left out") {
  World world;
  world.link("/opt", "/home/u/opt").folder_at("/home/u/opt").link("/etc/ssl", "/run/ssl").folder_at("/run/ssl");
  policy::Policy policy = world.policy();
  CHECK_FALSE(has_mount(policy, "/home/u/opt"));
  CHECK_FALSE(has_mount(policy, "/run/ssl"));
}

TEST_CASE("a user without a home of his own gets no room") {
  World world;
  world.facts.user.home = path("/");
  CHECK_FALSE(world.errors().empty());
}

TEST_CASE("no two things of a room have the same place") {
  World world;
  world.folder_at("/home/u/work/.git/hooks")
      .file("/home/u/work/.git/config")
      .folder_at("/home/u/x/y")
      .link("/home/u/l", "x/y");
  world.read("~/l")
      .read("~/x")
      .write("~/x/y")
      .protect(".git/hooks/")
      .protect("${roots}/.vscode/")
      .hide("x")
      .hide(".env");
  policy::Policy policy = world.policy();
  std::vector<base::AbsPath> targets;
  for (const auto& one : policy.mounts) targets.push_back(one.target);
  for (const auto& one : policy.tmpfs) targets.push_back(one.target);
  for (const auto& one : policy.room_files) targets.push_back(one.target);
  for (const auto& one : policy.room_links) targets.push_back(one.target);
  std::ranges::sort(targets);
  CHECK(std::ranges::adjacent_find(targets) == targets.end());
}
