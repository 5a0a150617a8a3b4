#include <catch2/catch.hpp>

#include "guard_support.hpp"

using namespace agentbox::launch::test;
using namespace agentbox::launch;
using namespace agentbox;
using Kind = GuardEvent::Kind;

namespace {

struct Run {
  explicit Run(World& world) : guard(world.policy, world.plan, abs(world.state), "s1") {}
  Guard guard;
};

std::int64_t mtime(const std::string& path) {
  struct stat found = {};
  ::stat(path.c_str(), &found);
  return found.st_mtim.tv_sec * 1'000'000'000 + found.st_mtim.tv_nsec;
}
unsigned mode(const std::string& path) {
  struct stat found = {};
  ::stat(path.c_str(), &found);
  return found.st_mode & 07777;
}

std::string stored(const World& world, const std::string& id) {
  Quarantine quarantine(abs(world.state));
  base::Result<Quarantined> item = quarantine.find(id);
  return item ? quarantine.content(*item, 1000).bytes : "no such item";
}

}  // namespace

TEST_CASE("a held file that did not change is left as it is, the very same file") {
  World world;
  write(world.in("AGENTS.md"), "be kind\n");
  struct stat before = {}, after = {};
  ::stat(world.in("AGENTS.md").c_str(), &before);
  world.hold("AGENTS.md");
  Run run(world);
  CHECK(run.guard.finish().empty());
  ::stat(world.in("AGENTS.md").c_str(), &after);
  CHECK(before.st_ino == after.st_ino);
  CHECK(world.runs().empty());
  CHECK(world.quarantine().empty());
}

TEST_CASE("a changed held file is restored with mode and time, and the agent's version is kept aside") {
  World world;
  std::string path = world.in("AGENTS.md");
  write(path, "be kind\n");
  ::chmod(path.c_str(), 0640);
  std::int64_t time = mtime(path);
  world.hold("AGENTS.md");
  Run run(world);
  SECTION("written") {
    write(path, "obey me\n");
  }
  SECTION("replaced") {
    write(world.in("x"), "obey me\n");
    ::rename(world.in("x").c_str(), path.c_str());
  }
  SECTION("replaced by one of the same length and time") {
    write(path, "obey me\n");
    struct timespec times[2] = {{0, UTIME_OMIT}, {time / 1'000'000'000, time % 1'000'000'000}};
    ::utimensat(AT_FDCWD, path.c_str(), times, 0);
  }
  std::vector<GuardEvent> events = run.guard.finish();
  REQUIRE(events.size() == 1);
  CHECK(events[0].kind == Kind::restored);
  CHECK(events[0].detail == "was changed during the run; what was there before is back");
  CHECK(read(path) == "be kind\n");
  CHECK(mode(path) == 0640);
  CHECK(mtime(path) == time);
  CHECK(stored(world, events[0].id) == "obey me\n");
  CHECK(world.runs().empty());
}

TEST_CASE("a mode that changed is set back without a copy") {
  World world;
  write(world.in("AGENTS.md"), "be kind\n");
  ::chmod(world.in("AGENTS.md").c_str(), 0644);
  world.hold("AGENTS.md");
  Run run(world);
  ::chmod(world.in("AGENTS.md").c_str(), 0755);
  std::vector<GuardEvent> events = run.guard.finish();
  REQUIRE(events.size() == 1);
  CHECK(events[0].detail == "its mode was 755, and is 644 again");
  CHECK(mode(world.in("AGENTS.md")) == 0644);
  CHECK(world.quarantine().empty());
}

TEST_CASE("what stands in a held file's place is taken, and the file is back") {
  World world;
  std::string path = world.in("docs/policy.md");
  make_dir(world.in("docs"));
  make_dir(world.folder / "home");
  write(world.folder / "home/policy.md", "the owner's own");
  write(path, "original");
  world.hold("docs/policy.md");
  Run run(world);
  std::size_t items = 1;
  SECTION("nothing: deleted") {
    ::unlink(path.c_str());
    items = 0;
  }
  SECTION("nothing: the directory is gone") {
    ::unlink(path.c_str());
    ::rmdir(world.in("docs").c_str());
    items = 0;
  }
  SECTION("a link to the owner's file") {
    ::unlink(path.c_str());
    (void)!::symlink((world.folder / "home/policy.md").c_str(), path.c_str());
  }
  SECTION("a link in the directory's place") {
    ::rename(world.in("docs").c_str(), world.in("docs2").c_str());
    (void)!::symlink((world.folder / "home").c_str(), world.in("docs").c_str());
  }
  SECTION("a file in the directory's place") {
    ::rename(world.in("docs").c_str(), world.in("docs2").c_str());
    write(world.in("docs"), "x");
  }
  SECTION("a fifo") {
    ::unlink(path.c_str());
    REQUIRE(::mkfifo(path.c_str(), 0644) == 0);
  }
  SECTION("a directory") {
    ::unlink(path.c_str());
    make_dir(path);
    write(path + "/x", "");
  }
  SECTION("a locked directory above it") {
    write(path, "evil");
    ::chmod(world.in("docs").c_str(), 0);
  }
  std::vector<GuardEvent> events = run.guard.finish();
  CHECK(count(events, Kind::restored) == 1);
  CHECK(count(events, Kind::unverified) == 0);
  CHECK(read(path) == "original");
  CHECK(read(world.folder / "home/policy.md") == "the owner's own");
  CHECK(world.quarantine().size() == items);
}

TEST_CASE("a held file that did not exist goes to quarantine") {
  World world;
  world.hold("CLAUDE.md", policy::FileKind::missing);
  world.hold(".github/workflows", policy::FileKind::missing);
  Run run(world);
  SECTION("nothing was made") {
    CHECK(run.guard.finish().empty());
  }
  SECTION("made") {
    write(world.in("CLAUDE.md"), "obey");
    make_dir(world.in(".github"));
    make_dir(world.in(".github/workflows"));
    write(world.in(".github/workflows/ci.yml"), "run: evil");
    std::vector<GuardEvent> events = run.guard.finish();
    REQUIRE(events.size() == 2);
    CHECK(events[0].kind == Kind::quarantined);
    CHECK(events[0].detail == "it is held, and did not exist before the run");
    CHECK_FALSE(exists(world.in("CLAUDE.md")));
    CHECK_FALSE(exists(world.in(".github/workflows")));
    CHECK(stored(world, events[1].id) == "ci.yml\n");
  }
}

TEST_CASE("a held directory is one thing: what the run made of it is kept whole, and it is as before") {
  World world;
  make_dir(world.in("wf"));
  make_dir(world.in("wf/sub"));
  write(world.in("wf/ci.yml"), "run: test");
  write(world.in("wf/sub/deploy.yml"), "run: deploy");
  (void)!::symlink("ci.yml", world.in("wf/link.yml").c_str());
  world.hold("wf", policy::FileKind::directory);
  Run run(world);
  SECTION("unchanged") {
    CHECK(run.guard.finish().empty());
  }
  SECTION("changed") {
    write(world.in("wf/ci.yml"), "run: evil");
    write(world.in("wf/new\n.yml"), "run: evil");
    ::unlink(world.in("wf/sub/deploy.yml").c_str());
    ::unlink(world.in("wf/link.yml").c_str());
    (void)!::symlink("/etc/passwd", world.in("wf/link.yml").c_str());
    std::vector<GuardEvent> events = run.guard.finish();
    REQUIRE(events.size() == 1);
    CHECK(events[0].detail ==
          "changed: ci.yml, changed: link.yml, new: new\\n.yml, gone: sub/deploy.yml during the run; what "
          "was there "
          "before is back");
    CHECK(stored(world, events[0].id) == "ci.yml\nlink.yml\nnew\\n.yml\nsub/\n");
  }
  SECTION("filled without end") {
    for (int i = 0; i < 9000; ++i) write(world.in("wf/" + std::to_string(i)), "");
    std::vector<GuardEvent> events = run.guard.finish();
    REQUIRE(events.size() == 1);
    CHECK(events[0].kind == Kind::restored);
  }
  CHECK(read(world.in("wf/ci.yml")) == "run: test");
  CHECK(read(world.in("wf/sub/deploy.yml")) == "run: deploy");
  CHECK_FALSE(exists(world.in("wf/0")));
  char target[64] = {};
  CHECK(::readlink(world.in("wf/link.yml").c_str(), target, sizeof target - 1) == 6);
}

TEST_CASE("more than may be held stops the launch, with a hint, and leaves no record") {
  World world;
  write(world.in("AGENTS.md"), "");
  REQUIRE(::truncate(world.in("AGENTS.md").c_str(), 65 << 20) == 0);
  world.hold("AGENTS.md");
  try {
    Run run(world);
    FAIL("it was held");
  } catch (const base::SystemError& error) {
    CHECK(std::string(error.what()) == "cannot hold " + world.in("AGENTS.md") + ": more than 64 MiB are held");
    CHECK(error.hint().find("hold") != std::string::npos);
  }
  CHECK(world.runs().empty());
}

TEST_CASE("a fifo where a held file would be does not stop the launch from returning") {
  World world;
  REQUIRE(::mkfifo(world.in("AGENTS.md").c_str(), 0644) == 0);
  world.hold("AGENTS.md");
  Run run(world);
  CHECK(run.guard.finish().empty());
}

TEST_CASE("a second room holds what was there before the first one's agent wrote") {
  World world;
  write(world.in("AGENTS.md"), "original");
  world.hold("AGENTS.md");
  Guard first(world.policy, world.plan, abs(world.state), "s1");
  write(world.in("AGENTS.md"), "the first agent's");
  Guard second(world.policy, world.plan, abs(world.state), "s2");
  SECTION("the first ends first") {
    CHECK(count(first.finish(), Kind::restored) == 1);
    CHECK(second.finish().empty());
  }
  SECTION("the second ends first") {
    CHECK(count(second.finish(), Kind::restored) == 1);
    CHECK(first.finish().empty());
  }
  CHECK(read(world.in("AGENTS.md")) == "original");
}

TEST_CASE("two rooms may hold what neither has found") {
  World world;
  world.hold("CLAUDE.md", policy::FileKind::missing);
  Guard first(world.policy, world.plan, abs(world.state), "s1");
  write(world.in("CLAUDE.md"), "the first agent's");
  Guard second(world.policy, world.plan, abs(world.state), "s2");
  CHECK(count(second.finish(), Kind::quarantined) == 1);
  CHECK(first.finish().empty());
  CHECK_FALSE(exists(world.in("CLAUDE.md")));
}

TEST_CASE("a protected file with a second name is compared at the end: a mount doesn't hold it") {
  World world;
  write(world.in(".envrc"), "use nix");
  REQUIRE(::link(world.in(".envrc").c_str(), world.in("other").c_str()) == 0);
  world.protect(".envrc");
  Run run(world);
  write(world.in("other"), "evil");
  CHECK(read(world.in(".envrc")) == "evil");
  std::vector<GuardEvent> events = run.guard.finish();
  CHECK(count(events, Kind::restored) == 1);
  CHECK(read(world.in(".envrc")) == "use nix");
}

TEST_CASE("after a switch of branches the summary says why git will show the file as changed") {
  World world;
  make_dir(world.in(".git"));
  write(world.in(".git/HEAD"), "ref: refs/heads/main\n");
  write(world.in("AGENTS.md"), "main's");
  world.hold("AGENTS.md");
  world.policy.repositories.push_back({.root = abs(world.workspace),
                                       .entry = abs(world.in(".git")),
                                       .layout = policy::GitLayout::directory,
                                       .git_dir = abs(world.in(".git")),
                                       .common_dir = abs(world.in(".git")),
                                       .confirmed = true,
                                       .modules = {},
                                       .links = {}});
  Run run(world);
  write(world.in(".git/HEAD"), "ref: refs/heads/topic\n");
  write(world.in("AGENTS.md"), "topic's");
  std::vector<GuardEvent> events = run.guard.finish();
  REQUIRE(events.size() == 1);
  CHECK(events[0].detail ==
        "was changed during the run; what was there before is back (the branch was switched during the run, "
        "from main "
        "to topic: `git restore` takes its version)");
}

TEST_CASE("what can't be restored is unverified, and its record stays for the next sweep") {
  World world;
  write(world.in("AGENTS.md"), "original");
  world.hold("AGENTS.md");
  Run run(world);
  write(world.in("AGENTS.md"), "evil");
  // The copies are gone: a broken disk, or somebody who cleans up.
  REQUIRE(::unlink((world.state + "/runs/s1/held").c_str()) == 0);
  std::vector<GuardEvent> events = run.guard.finish();
  REQUIRE(events.size() == 1);
  CHECK(events[0].kind == Kind::unverified);
  CHECK(events[0].detail == "the copies of its held files cannot be read: No such file or directory");
  CHECK(world.runs() == std::vector<std::string>{"s1"});
}
