#include <catch2/catch.hpp>

#include "world.hpp"

using namespace agentbox;
using policy::FileKind;
using policy::Note;
using test::Lines;
using test::mounts;
using test::notes;
using test::path;
using test::World;

TEST_CASE("the workspace is writable, and nothing else of $HOME is there") {
  World world;
  world.folder_at("/home/u/.ssh");
  CHECK(mounts(world.policy()) == Lines{"write /home/u/work workspace"});
}

TEST_CASE("a read-only workspace is read-only") {
  World world;
  world.profile.workspace.mode = {profile::WorkspaceMode::read_only, world.origin("mode")};
  CHECK(mounts(world.policy()) == Lines{"read /home/u/work workspace"});
}

TEST_CASE("read-only inside writable, and each folder on the way to it is a mount point") {
  World world;
  world.folder_at("/home/u/work/a/b/c").read("~/work/a/b/c");
  CHECK(mounts(world.policy()) == Lines{"write /home/u/work workspace", "write /home/u/work/a ancestor",
                                        "write /home/u/work/a/b ancestor", "read /home/u/work/a/b/c grant"});
}

TEST_CASE("writable inside read-only") {
  World world;
  world.folder_at("/home/u/.pi/agent/sessions").read("~/.pi").write("~/.pi/agent/sessions");
  CHECK(mounts(world.policy(), "/home/u/.pi") ==
        Lines{"read /home/u/.pi grant", "write /home/u/.pi/agent/sessions grant"});
}

TEST_CASE("writable inside read-only inside writable") {
  World world;
  world.folder_at("/home/u/work/a/b/c").read("~/work/a/b").write("~/work/a/b/c");
  CHECK(mounts(world.policy()) == Lines{"write /home/u/work workspace", "write /home/u/work/a ancestor",
                                        "read /home/u/work/a/b grant", "write /home/u/work/a/b/c grant"});
}

TEST_CASE("at equal path read beats write") {
  World world;
  world.folder_at("/home/u/x").write("~/x").read("~/x").read("~/work");
  CHECK(mounts(world.policy()) == Lines{"read /home/u/work grant", "read /home/u/x grant"});
}

TEST_CASE("a grant inside a wider one of the same kind is no mount of its own") {
  World world;
  world.folder_at("/home/u/x/y/z").read("~/x").read("~/x/y").read("~/x/y/z").read("/usr/bin");
  policy::Policy policy = world.policy();
  CHECK(mounts(policy, "/home/u/x") == Lines{"read /home/u/x grant"});
  CHECK(mounts(policy, "/usr") == Lines{"read /usr floor"});
  CHECK(notes(policy, Note::Kind::shadowed).front() == "'/home/u/x/y' is readable already, as all of '/home/u/x'");
}

TEST_CASE("a thousand grants are a thousand mounts, in the order of placing") {
  World world;
  for (int i = 999; i >= 0; --i) {
    std::string at = "/home/u/many/d" + std::to_string(i);
    world.folder_at(at).read(at);
  }
  std::vector<std::string> lines = mounts(world.policy(), "/home/u/many");
  CHECK(lines.size() == 1000);
  CHECK(std::ranges::is_sorted(lines));
}

TEST_CASE("a missing path is skipped for reading, made for writing with '/', else an error") {
  World world;
  policy::Policy policy = world.read("~/none").write("~/made/here/").policy();
  CHECK(notes(policy, Note::Kind::absent) == Lines{"'/home/u/none' does not exist"});
  // Who types a path means one that is there.
  World typed;
  typed.flags.read.push_back({World::path_text("/home/u/none"), {.file = "--read"}});
  CHECK(typed.errors() == Lines{"'/home/u/none' does not exist"});
  REQUIRE(policy.to_make.size() == 1);
  CHECK(policy.to_make[0].path == path("/home/u/made/here"));
  CHECK(mounts(policy, "/home/u/made") == Lines{"write /home/u/made/here grant"});
  CHECK(world.write("~/absent").errors() ==
        Lines{"'/home/u/absent' does not exist, so that it can't be made writable"});
}

TEST_CASE("an error says which line, and what to do") {
  World world;
  auto result = world.write("~/absent").decide();
  REQUIRE_FALSE(result);
  CHECK(result.error().at(0).file == "test.toml");
  CHECK(result.error().at(0).at.line == 1);
  CHECK(result.error().at(0).source_line == "write = ~/absent");
  CHECK(result.error().at(0).hint == "make it first, or end it with '/' to have an empty folder made");
}

TEST_CASE("all errors come at once") {
  World world;
  CHECK(world.write("~/a").write("~/b").read("/proc").hide("~/x/*").errors().size() == 4);
}

TEST_CASE("a folder that is a file") {
  World world;
  CHECK(world.file("/home/u/f").read("~/f/").errors() == Lines{"'/home/u/f' is not a folder"});
}

TEST_CASE("what no profile may open") {
  auto refused = [](const std::string& text, bool write = false, FileKind kind = FileKind::directory) {
    World world;
    world.facts.runtime_dir = path("/run/user/1000");
    world.facts.state_home = path("/home/u/.local/state");
    if (!text.starts_with('~')) world.put(text, {.kind = kind});
    if (text.starts_with("~/")) world.put("/home/u" + text.substr(1), {.kind = kind});
    std::vector<std::string> errors = (write ? world.write(text) : world.read(text)).errors();
    return errors.empty() ? std::string() : errors[0];
  };
  CHECK(refused("/home") == "'/home' can't be granted: it holds your home directory");
  CHECK(refused("~") == "'/home/u' can't be granted: it is your home directory");
  CHECK(refused("/proc") == "'/proc' can't be granted: it is /proc");
  CHECK(refused("/proc/self") == "'/proc/self' can't be granted: it lies in /proc");
  CHECK(refused("/dev/kvm", false, FileKind::character_device) == "'/dev/kvm' can't be granted: it lies in /dev");
  CHECK(refused("/opt/null", false, FileKind::character_device) == "'/opt/null' can't be granted: it is a device");
  CHECK(refused("/tmp") == "'/tmp' can't be granted: it is /tmp, where other programs keep their sockets and files");
  CHECK(refused("/var") == "'/var' can't be granted: it holds /var/tmp, where other programs keep their files");
  CHECK(refused("/run") == "'/run' can't be granted: it is /run, where the sockets of this machine are");
  CHECK(refused("/run/user/1000") ==
        "'/run/user/1000' can't be granted: it is $XDG_RUNTIME_DIR, where the sockets of your session are");
  CHECK(refused("/run/user/1000/gnupg") == "'/run/user/1000/gnupg' can't be granted: it is a folder where sockets are");
  CHECK(refused("/run/dbus") == "'/run/dbus' can't be granted: it is a folder where sockets are");
  CHECK(refused("/run/agentbox", false, FileKind::socket) ==
        "'/run/agentbox' can't be granted: it is a place that agentbox itself uses");
  CHECK(refused("/etc") == "'/etc' can't be granted: it is /etc");
  CHECK(refused("/sys") == "'/sys' can't be granted: it is /sys");
  CHECK(refused("~/.local") == "'/home/u/.local' can't be granted: it holds agentbox's own state folder");
  CHECK(refused("~/.local/state/agentbox/x") ==
        "'/home/u/.local/state/agentbox/x' can't be granted: it lies in agentbox's own state folder");
  CHECK(refused("~/.config/agentbox", true) ==
        "'/home/u/.config/agentbox' can't be granted: it lies in the folder of agentbox's own profiles");
  CHECK(refused("/usr", true) == "'/usr' can't be granted: it is a system folder, which no room may change");
  // and what it may, so that the refusals above mean something
  CHECK(refused("~/.config/agentbox").empty());
  CHECK(refused("~/.local/share").empty());
  CHECK(refused("/tmp/mine").empty());
  CHECK(refused("/srv", true).empty());
  CHECK(refused("/etc/hosts", false, FileKind::regular).empty());
  CHECK(refused("/run/media/u/stick", true).empty());
  CHECK(refused("/run/user/1000/x.sock", true, FileKind::socket).empty());
}

TEST_CASE("a link that leads to a forbidden place is refused as that place") {
  World world;
  world.link("/home/u/l", "/home");
  CHECK(world.read("~/l").errors() ==
        Lines{"'/home/u/l' (it leads to '/home') can't be granted: it holds your home directory"});
}

TEST_CASE("a path through links is mounted where it really is, and the links are made again") {
  World world;
  world.folder_at("/data/notes/a").link("/home/u/notes", "../../data/notes").read("~/notes/a");
  policy::Policy policy = world.policy();
  CHECK(mounts(policy, "/data") == Lines{"read /data/notes/a grant"});
  auto link = std::ranges::find(policy.room_links, path("/home/u/notes"), &policy::RoomLink::target);
  REQUIRE(link != policy.room_links.end());
  CHECK(link->to == "../../data/notes");
}

TEST_CASE("a link inside what is granted is there already") {
  World world;
  world.folder_at("/home/u/x/real").link("/home/u/x/l", "real").read("~/x").write("~/x/l");
  policy::Policy policy = world.policy();
  CHECK(mounts(policy, "/home/u/x") == Lines{"read /home/u/x grant", "write /home/u/x/real grant"});
  CHECK(std::ranges::find(policy.room_links, path("/home/u/x/l"), &policy::RoomLink::target) ==
        policy.room_links.end());
}

TEST_CASE("a home behind a link keeps its name") {
  World world;
  world.facts.user.home = path("/home/u");
  world.facts.files.clear();
  world.facts.files[path("/home")] = {.kind = FileKind::symlink, .target = "var/home"};
  world.folder_at("/var/home/u/work").folder_at("/usr").folder_at("/tmp");
  policy::Policy policy = world.policy();
  CHECK(policy.workspace == path("/var/home/u/work"));
  CHECK(std::ranges::count(policy.tmpfs, path("/var/home/u"), &policy::Tmpfs::target) == 1);
  CHECK(std::ranges::count(policy.room_links, path("/home"), &policy::RoomLink::target) == 1);
  world.read("/var/home");
  CHECK(world.errors() == Lines{"'/var/home' can't be granted: it holds your home directory"});
}

TEST_CASE("a link that an earlier agent could have planted leads nowhere") {
  World world;
  world.folder_at("/home/u/.ssh").link("/home/u/work/data", "/home/u/.ssh").read("~/work/data");
  CHECK(world.errors() == Lines{"'/home/u/work/data' leads to '/home/u/.ssh' through the link '/home/u/work/data', "
                                "which a program in the room could have put there"});
  // the same link where the room can't write is the owner's own
  World owner;
  owner.folder_at("/home/u/.ssh").link("/home/u/data", "/home/u/.ssh").read("~/data");
  CHECK(mounts(owner.policy(), "/home/u/.ssh") == Lines{"read /home/u/.ssh grant"});
  // and one that stays inside leads to nothing new
  World inside;
  inside.folder_at("/home/u/work/real").link("/home/u/work/l", "real").read("~/work/l");
  CHECK(mounts(inside.policy()) == Lines{"write /home/u/work workspace", "read /home/u/work/real grant"});
}

TEST_CASE("a folder that a link of an earlier agent would have made elsewhere is refused") {
  World world;
  world.folder_at("/home/u/.pi/agent").link("/home/u/.pi/agent/sessions", "/home/u/.ssh");
  world.write("~/.pi/agent").write("~/.pi/agent/sessions/");
  CHECK(world.errors().size() == 1);
}

TEST_CASE("a circle of links and a place that can't be reached") {
  World world;
  world.link("/home/u/a", "b").link("/home/u/b", "a").read("~/a");
  CHECK(world.errors() == Lines{"'/home/u/a' leads in a circle of links"});
  World closed;
  closed.put("/srv/x", {.kind = FileKind::unreadable}).read("/srv/x/y");
  CHECK(notes(closed.policy(), Note::Kind::skipped) == Lines{"'/srv/x/y' can't be reached by you"});
  CHECK(closed.write("/srv/x/z").errors() == Lines{"'/srv/x/z' can't be reached by you"});
}

TEST_CASE("a single socket may be granted, and explain says what that means") {
  World world;
  policy::Policy policy = world.socket("/run/user/1000/x.sock").read("/run/user/1000/x.sock").policy();
  CHECK(mounts(policy, "/run") == Lines{"read /run/user/1000/x.sock grant"});
  CHECK(notes(policy, Note::Kind::exposes) ==
        Lines{"whatever listens at '/run/user/1000/x.sock' obeys the agent as it obeys you"});
}

TEST_CASE("a writable start-up file is named as what it is") {
  World world;
  world.folder_at("/home/u/.config").facts.state_home = path("/home/u/.local/state");
  auto texts = notes(world.write("~/.config").policy(), Note::Kind::exposes);
  CHECK(std::ranges::find(texts,
                          "'/home/u/.config/autostart' is writable: what is put there runs outside the room one day") !=
        texts.end());
}

TEST_CASE("places that can't be a workspace") {
  auto refused = [](std::string_view at) {
    World world;
    world.folder_at(at).facts.workspace = path(at);
    std::vector<std::string> errors = world.errors();
    auto same = policy::check_workspace(path(at), world.facts);
    CHECK(same.size() == errors.size());
    return errors.empty() ? std::string() : errors[0];
  };
  CHECK(refused("/home/u") == "'/home/u' can't be a workspace: it is your home directory");
  CHECK(refused("/home") == "'/home' can't be a workspace: it holds your home directory");
  CHECK(refused("/home/u/.local/state") ==
        "'/home/u/.local/state' can't be a workspace: it holds agentbox's own state folder");
  CHECK(refused("/home/u/.local/state/agentbox/x") ==
        "'/home/u/.local/state/agentbox/x' can't be a workspace: it lies in agentbox's own state folder");
  CHECK(refused("/etc/nginx") == "'/etc/nginx' can't be a workspace: it is a system folder");
  CHECK(refused("/usr") == "'/usr' can't be a workspace: it is a system folder");
  CHECK(refused("/run/user/1000/x") == "'/run/user/1000/x' can't be a workspace: it is a folder where sockets are");
  CHECK(refused("/tmp") ==
        "'/tmp' can't be a workspace: it is /tmp, where other programs keep their sockets and files");
  CHECK(refused("/home/u/.ssh") == "'/home/u/.ssh' can't be a workspace: it is where your keys are");
  CHECK(refused("/home/u/.gnupg/private-keys-v1.d").ends_with("it is where your keys are"));
  CHECK(refused("/home/u/.config") ==
        "'/home/u/.config' can't be a workspace: it holds what your programs keep and obey");
  CHECK(refused("/home/u/.config/nvim").empty());
  CHECK(refused("/home/u/.sshd").empty());
  CHECK(refused("/tmp/x").empty());
  CHECK(refused("/srv/project").empty());
  World world;
  CHECK(policy::check_workspace(path("/"), world.facts).at(0).message ==
        "'/' can't be a workspace: it is the whole file system");
}

TEST_CASE("a repository's data outside the workspace is granted only if it names the workspace back") {
  World world;
  policy::GitFact fact{.root = path("/home/u/work"),
                       .entry = path("/home/u/work/.git"),
                       .layout = policy::GitLayout::worktree,
                       .git_dir = path("/home/u/main/.git/worktrees/work"),
                       .common_dir = path("/home/u/main/.git"),
                       .confirmed = true};
  world.folder_at("/home/u/main/.git/worktrees/work").folder_at("/home/u/main/.git/hooks").file("/home/u/work/.git");
  world.file("/home/u/main/.git/config").protect("${gitdirs}/hooks/").protect("${gitdirs}/config");
  world.facts.repositories = {fact};
  CHECK(mounts(world.policy()) ==
        Lines{"write /home/u/main/.git git", "read /home/u/main/.git/config protect",
              "read /home/u/main/.git/hooks protect", "write /home/u/main/.git/worktrees ancestor",
              "write /home/u/main/.git/worktrees/work ancestor", "read /home/u/main/.git/worktrees/work/hooks ghost",
              "write /home/u/work workspace", "read /home/u/work/.git protect"});
}

TEST_CASE("a .git file that names a foreign folder opens nothing") {
  World world;
  world.facts.repositories = {{.root = path("/home/u/work"),
                               .entry = path("/home/u/work/.git"),
                               .layout = policy::GitLayout::worktree,
                               .git_dir = path("/home/u/.ssh"),
                               .common_dir = path("/home/u/.ssh"),
                               .confirmed = false}};
  world.folder_at("/home/u/.ssh").file("/home/u/work/.git");
  policy::Policy policy = world.policy();
  CHECK(mounts(policy) == Lines{"write /home/u/work workspace", "read /home/u/work/.git protect"});
  CHECK(notes(policy, Note::Kind::warning) == Lines{"the repository in '/home/u/work' keeps its data in "
                                                    "'/home/u/.ssh', which does not name it back: not "
                                                    "granted, and git will not work there"});
}
