#include <catch2/catch.hpp>

#include "world.hpp"

using namespace agentbox;
using policy::FileKind;
using policy::Note;
using policy::Watched;
using test::Lines;
using test::mounts;
using test::notes;
using test::path;
using test::World;

namespace {

std::vector<std::string> watched(const policy::Policy& policy) {
  std::vector<std::string> lines;
  for (const Watched& one : policy.watched) {
    lines.push_back((one.why == Watched::Why::hide ? "hide " : "protect ") + one.directory.str() + " " + one.name);
  }
  return lines;
}
std::vector<std::string> held(const policy::Policy& policy) {
  std::vector<std::string> lines;
  for (const policy::Held& one : policy.held) {
    lines.push_back(one.path.str() + (one.kind == FileKind::missing   ? " missing"
                                      : one.kind == FileKind::symlink ? " link"
                                                                      : ""));
  }
  return lines;
}

}  // namespace

TEST_CASE("a protected file is read-only, and so can't be replaced by renaming what holds it") {
  World world;
  world.file("/home/u/work/a/b/x.sh").protect("a/b/x.sh");
  CHECK(mounts(world.policy()) == Lines{"write /home/u/work workspace", "write /home/u/work/a ancestor",
                                        "write /home/u/work/a/b ancestor", "read /home/u/work/a/b/x.sh protect"});
}

TEST_CASE("git's folder becomes a mount point because of what is protected in it") {
  World world;
  world.folder_at("/home/u/work/.git/hooks").file("/home/u/work/.git/config");
  world.facts.repositories = {{.root = path("/home/u/work"),
                               .entry = path("/home/u/work/.git"),
                               .git_dir = path("/home/u/work/.git"),
                               .common_dir = path("/home/u/work/.git")}};
  world.protect("${gitdirs}/hooks/").protect("${gitdirs}/config").protect("${gitdirs}/info/attributes");
  policy::Policy policy = world.policy();
  CHECK(mounts(policy) == Lines{"write /home/u/work workspace", "write /home/u/work/.git ancestor",
                                "read /home/u/work/.git/config protect", "read /home/u/work/.git/hooks protect",
                                "read /home/u/work/.git/info ghost"});
  CHECK(watched(policy).empty());
}

TEST_CASE("a missing folder kind is kept empty, a missing file kind is watched for") {
  World world;
  world.facts.roots.push_back({path("/home/u/work/pkg"), false, true});
  policy::Policy policy = world.protect("${roots}/.vscode/").protect("${roots}/.envrc").policy();
  CHECK(mounts(policy) == Lines{"write /home/u/work workspace", "read /home/u/work/.vscode ghost",
                                "write /home/u/work/pkg ancestor", "read /home/u/work/pkg/.vscode ghost"});
  CHECK(watched(policy) == Lines{"protect /home/u/work .envrc", "protect /home/u/work/pkg .envrc"});
}

TEST_CASE("below a missing folder nothing can be watched for, so the folder is kept empty") {
  World world;
  policy::Policy policy = world.protect("${roots}/.cargo/config.toml").protect("${roots}/.cargo/config").policy();
  CHECK(mounts(policy) == Lines{"write /home/u/work workspace", "read /home/u/work/.cargo ghost"});
  CHECK(watched(policy).empty());
}

TEST_CASE("what exists is protected as it is") {
  World world;
  world.file("/home/u/work/.vscode")
      .folder_at("/home/u/work/.envrc")
      .protect("${roots}/.vscode/")
      .protect("${roots}/.envrc");
  CHECK(mounts(world.policy()) ==
        Lines{"write /home/u/work workspace", "read /home/u/work/.envrc protect", "read /home/u/work/.vscode protect"});
}

TEST_CASE("where the room can't write, nothing is protected, made or watched for") {
  World world;
  world.profile.workspace.mode = {profile::WorkspaceMode::read_only, world.origin("mode")};
  policy::Policy policy =
      world.protect("${roots}/.vscode/").protect("${roots}/.envrc").hold("${roots}/AGENTS.md").policy();
  CHECK(mounts(policy) == Lines{"read /home/u/work workspace"});
  CHECK(watched(policy).empty());
  CHECK(held(policy).empty());
}

TEST_CASE("protection beats a longer write grant, and says so") {
  World world;
  world.folder_at("/home/u/work/.vscode/cache").protect("${roots}/.vscode/").write("~/work/.vscode/cache");
  policy::Policy policy = world.policy();
  CHECK(mounts(policy) == Lines{"write /home/u/work workspace", "read /home/u/work/.vscode protect"});
  CHECK(notes(policy, Note::Kind::shadowed).back() == "'/home/u/work/.vscode/cache' stays read-only");
  // in one and the same file the two lines contradict each other
  World one;
  one.folder_at("/home/u/x/cache").protect("~/x", "test.toml").write("~/x/cache").write("~/x");
  CHECK(one.errors() == Lines{"'/home/u/x' stays read-only", "'/home/u/x/cache' stays read-only"});
}

TEST_CASE("--write of exactly a protected or held path lifts it by name") {
  World world;
  world.folder_at("/home/u/work/.vscode").file("/home/u/work/AGENTS.md");
  world.protect("${roots}/.vscode/").hold("${roots}/AGENTS.md").protect("${roots}/.envrc");
  world.write_flag("~/work/.vscode").write_flag("~/work/AGENTS.md").write_flag("~/work/.envrc");
  policy::Policy policy = world.policy();
  CHECK(mounts(policy) == Lines{"write /home/u/work workspace"});
  CHECK(held(policy).empty());
  CHECK(watched(policy).empty());
  CHECK(notes(policy, Note::Kind::changed) == Lines{"--write lifts the protection of '/home/u/work/.vscode'",
                                                    "--write lifts the protection of '/home/u/work/.envrc'",
                                                    "--write lets go of '/home/u/work/AGENTS.md': it is not held"});
}

TEST_CASE("--write below a protected path has no effect and is an error") {
  World world;
  world.file("/home/u/work/.vscode/tasks.json").protect("${roots}/.vscode/").write_flag("~/work/.vscode/tasks.json");
  auto result = world.decide();
  REQUIRE_FALSE(result);
  CHECK(result.error().at(0).message == "'/home/u/work/.vscode/tasks.json' stays read-only");
  CHECK(result.error().at(0).hint == "base.toml:1 says so, and `protect` wins");
}

TEST_CASE("hide wins over everything beneath it") {
  World world;
  world.folder_at("/home/u/work/secrets/open").folder_at("/home/u/work/secrets/.vscode");
  world.hide("secrets/").match("secrets", "/home/u/work/secrets", FileKind::directory);
  world.profile.files_section.write.push_back({{"~/work/secrets/open", false}, world.origin("w", "other.toml")});
  world.protect("secrets/.vscode/").hold("secrets/AGENTS.md");
  policy::Policy policy = world.policy();
  CHECK(mounts(policy) == Lines{"write /home/u/work workspace", "hidden /home/u/work/secrets hide"});
  CHECK(held(policy).empty());
}

TEST_CASE("hidden inside protected, and inside what is only readable") {
  World world;
  world.file("/home/u/work/d/.env").folder_at("/home/u/work/d").protect("d/").hide(".env");
  world.match(".env", "/home/u/work/d/.env");
  world.file("/home/u/notes/diary")
      .read("~/notes")
      .profile.files_section.hide.push_back({{"~/notes/diary", false}, {}});
  CHECK(mounts(world.policy()) == Lines{"read /home/u/notes grant", "hidden /home/u/notes/diary hide",
                                        "write /home/u/work workspace", "read /home/u/work/d protect",
                                        "hidden /home/u/work/d/.env hide"});
}

TEST_CASE("a grant that is itself hidden is not there, and needs no mask") {
  World world;
  world.folder_at("/home/u/x")
      .profile.files_section.hide.push_back({{"~/x", false}, world.origin("hide", "base.toml")});
  policy::Policy policy = world.read("~/x").policy();
  CHECK(mounts(policy) == Lines{"write /home/u/work workspace"});
  CHECK(notes(policy, Note::Kind::shadowed) == Lines{"'/home/u/x' stays hidden"});
}

TEST_CASE("the workspace can't be hidden") {
  World world;
  world.profile.files_section.hide.push_back({{"/home/u/work", false}, {}});
  CHECK(world.errors().at(0) == "the pattern '/home/u/work' names the whole workspace");
  World above;
  above.folder_at("/home/u/src/work").facts.workspace = path("/home/u/src/work");
  above.profile.files_section.hide.push_back({{"~/src", false}, {}});
  CHECK(above.errors().at(0) == "this hides the workspace '/home/u/src/work' itself");
}

TEST_CASE("what is to be hidden and is missing is watched for") {
  World world;
  policy::Policy policy = world.hide(".env").hide("a/b/key").policy();
  CHECK(watched(policy) == Lines{"hide /home/u/work .env", "hide /home/u/work a"});
  CHECK(policy.watched[1].wanted == path("/home/u/work/a/b/key"));
}

TEST_CASE("a program of the system can be hidden by name") {
  World world;
  world.file("/usr/bin/ssh").profile.files_section.hide.push_back({{"/usr/bin/ssh", false}, {}});
  CHECK(mounts(world.policy(), "/usr") == Lines{"read /usr floor", "hidden /usr/bin/ssh hide"});
}

TEST_CASE("a protected link is pinned as a link, and what it leads to is protected too") {
  World world;
  world.file("/home/u/work/tools/envrc").link("/home/u/work/.envrc", "tools/envrc").protect("${roots}/.envrc");
  policy::Policy policy = world.policy();
  CHECK(mounts(policy) == Lines{"write /home/u/work workspace", "read /home/u/work/.envrc pin",
                                "write /home/u/work/tools ancestor", "read /home/u/work/tools/envrc protect"});
  for (const auto& mount : policy.mounts) {
    if (mount.target == path("/home/u/work/.envrc")) CHECK(mount.kind == FileKind::symlink);
    if (mount.target == path("/home/u/work/tools/envrc")) CHECK(mount.kind == FileKind::regular);
  }
}

TEST_CASE("a protected link to what the room has not is pinned, and opens nothing") {
  World world;
  world.file("/home/u/.ssh/id").link("/home/u/work/.envrc", "/home/u/.ssh/id").protect("${roots}/.envrc");
  CHECK(mounts(world.policy()) == Lines{"write /home/u/work workspace", "read /home/u/work/.envrc pin"});
}

TEST_CASE("a link on the way to a protected path is pinned as well") {
  World world;
  world.folder_at("/home/u/work/dev/code")
      .link("/home/u/work/.vscode", "dev/code")
      .protect("${roots}/.vscode/tasks.json");
  policy::Policy policy = world.policy();
  CHECK(mounts(policy) == Lines{"write /home/u/work workspace", "read /home/u/work/.vscode pin"});
  CHECK(watched(policy) == Lines{"protect /home/u/work/dev/code tasks.json"});
}

TEST_CASE("a dangling protected link is pinned, and where it leads is watched") {
  World world;
  world.link("/home/u/work/.envrc", "later").protect("${roots}/.envrc");
  policy::Policy policy = world.policy();
  CHECK(mounts(policy) == Lines{"write /home/u/work workspace", "read /home/u/work/.envrc pin"});
  CHECK(watched(policy) == Lines{"protect /home/u/work later"});
}

TEST_CASE("a planted link can't make everything hidden or read-only unsaid") {
  World world;
  world.link("/home/u/work/a/.vscode", "..")
      .protect(".vscode/")
      .match(".vscode", "/home/u/work/a/.vscode", FileKind::symlink);
  CHECK(world.errors() == Lines{"'/home/u/work/a/.vscode' is a link to '/home/u/work', a folder around it: to protect "
                                "that would protect everything"});
  World system;
  system.link("/home/u/work/.env", "/usr").hide(".env");
  CHECK(mounts(system.policy(), "/usr") == Lines{"read /usr floor"});
}

TEST_CASE("a hidden link is masked on its own place, and so is what it leads to") {
  World world;
  world.file("/home/u/work/conf/real").link("/home/u/work/.env", "conf/real").hide(".env");
  policy::Policy policy = world.policy();
  CHECK(mounts(policy) ==
        Lines{"write /home/u/work workspace", "hidden /home/u/work/.env hide", "hidden /home/u/work/conf/real hide"});
  for (const auto& mount : policy.mounts) {
    if (mount.access == policy::Access::hidden) CHECK(mount.kind == FileKind::regular);
  }
}

TEST_CASE("a link that was met but not followed is not taken for nothing") {
  World world;
  world.protect(".envrc").match(".envrc", "/home/u/work/a/.envrc", FileKind::symlink);
  CHECK(world.errors() == Lines{"can't protect '/home/u/work/a/.envrc': it changed while it was looked at"});
}

TEST_CASE("what can't be looked at can't be protected, so there is no room") {
  World world;
  world.put("/home/u/work/.vscode", {.kind = FileKind::unreadable}).protect("${roots}/.vscode/tasks.json");
  CHECK(world.errors() == Lines{"can't protect '/home/u/work/.vscode/tasks.json': what is there can't be looked at"});
}

TEST_CASE("a walk that met its bound ends the launch if a pattern needed it") {
  World world;
  world.facts.walk_complete = false;
  world.facts.walk_entries = 1000;
  CHECK(world.decide());
  CHECK(world.hide("*.key").errors() ==
        Lines{"the workspace '/home/u/work' could not be searched to its end, so that not everything that is hidden or "
              "protected is known: 1000 entries were seen"});
}

TEST_CASE("held files stay writable, and folders on the way to them are no mount points") {
  World world;
  world.file("/home/u/work/AGENTS.md").link("/home/u/work/CLAUDE.md", "AGENTS.md").folder_at("/home/u/work/.github");
  world.hold("${roots}/AGENTS.md").hold("${roots}/CLAUDE.md").hold("${roots}/.github/workflows/");
  policy::Policy policy = world.policy();
  CHECK(mounts(policy) == Lines{"write /home/u/work workspace"});
  CHECK(held(policy) ==
        Lines{"/home/u/work/.github/workflows missing", "/home/u/work/AGENTS.md", "/home/u/work/CLAUDE.md link"});
}

TEST_CASE("agentbox's own profiles can't be written from a workspace around them") {
  World world;
  world.facts.config_home = path("/home/u/dots");  // ~/.config itself can't be a workspace
  world.facts.workspace = path("/home/u/dots");
  world.facts.roots = {{path("/home/u/dots"), false, false}};
  world.folder_at("/home/u/dots");
  CHECK(mounts(world.policy()) == Lines{"write /home/u/dots workspace", "read /home/u/dots/agentbox ghost"});
  world.file("/home/u/dots/agentbox/profiles/pi.toml");
  CHECK(mounts(world.policy()) == Lines{"write /home/u/dots workspace", "read /home/u/dots/agentbox protect"});
}

TEST_CASE("a profile that lies in the workspace can't be written from the room it describes") {
  World world;
  world.file("/home/u/work/my.toml");
  world.profile.files = {"/home/u/work/my.toml", "/usr/share/agentbox/profiles/base.toml"};
  CHECK(mounts(world.policy()) == Lines{"write /home/u/work workspace", "read /home/u/work/my.toml protect"});
  // The way to it as well: another link there would be another profile.
  world.folder_at("/home/u/work/cfg").link("/home/u/work/way", "cfg").file("/home/u/work/cfg/x.toml");
  world.profile.files = {"/home/u/work/way/x.toml"};
  CHECK(mounts(world.policy()) == Lines{"write /home/u/work workspace", "write /home/u/work/cfg ancestor",
                                        "read /home/u/work/cfg/x.toml protect", "read /home/u/work/way pin"});
  world.profile.files = {"cfg/../my.toml"};
  CHECK(world.errors() == Lines{"can't protect the profile cfg/../my.toml: where it lies can't be told"});
}

TEST_CASE("a .git that is a link is pinned") {
  World world;
  world.folder_at("/home/u/work/data.git").link("/home/u/work/.git", "data.git");
  world.facts.repositories = {{.root = path("/home/u/work"),
                               .entry = path("/home/u/work/.git"),
                               .layout = policy::GitLayout::linked,
                               .git_dir = path("/home/u/work/data.git"),
                               .common_dir = path("/home/u/work/data.git")}};
  world.protect("${gitdirs}/hooks/");
  CHECK(mounts(world.policy()) == Lines{"write /home/u/work workspace", "read /home/u/work/.git pin",
                                        "write /home/u/work/data.git ancestor",
                                        "read /home/u/work/data.git/hooks ghost"});
}

TEST_CASE("a workspace that was named through a link has its kinds where it really is") {
  World world;
  world.link("/home/u/w", "work").facts.workspace = path("/home/u/w");
  world.facts.roots = {{path("/home/u/w"), false, false}, {path("/home/u/work/pkg"), false, true}};
  policy::Policy policy = world.protect("${roots}/.vscode/").policy();
  CHECK(mounts(policy) == Lines{"write /home/u/work workspace", "read /home/u/work/.vscode ghost",
                                "write /home/u/work/pkg ancestor", "read /home/u/work/pkg/.vscode ghost"});
  CHECK(std::ranges::count(policy.room_links, path("/home/u/w"), &policy::RoomLink::target) == 1);
}

TEST_CASE("what git executes from elsewhere is protected like a hook") {
  World world;
  world.folder_at("/home/u/work/.husky").file("/home/u/work/scripts/pre-commit.sh");
  world.facts.repositories = {{.root = path("/home/u/work"),
                               .entry = path("/home/u/work/.git"),
                               .git_dir = path("/home/u/work/.git"),
                               .common_dir = path("/home/u/work/.git"),
                               .hook_places = {path("/home/u/work/.husky"), path("/home/u/work/scripts/pre-commit.sh"),
                                               path("/home/u/elsewhere")}}};
  CHECK(mounts(world.policy()) == Lines{"write /home/u/work workspace", "read /home/u/work/.husky protect",
                                        "write /home/u/work/scripts ancestor",
                                        "read /home/u/work/scripts/pre-commit.sh protect"});
  world.facts.repositories[0].hook_places = {path("/home/u/work")};
  CHECK(world.errors() == Lines{"git runs hooks from '/home/u/work', which is all of the workspace"});
}
