// What a run has left, and what becomes of it when its owner decides.

#include <algorithm>

#include <catch2/catch.hpp>

#include "guard_support.hpp"

using namespace agentbox;
using namespace agentbox::launch;
using namespace agentbox::launch::test;
using Kind = GuardEvent::Kind;

namespace {

// Says the same to all, and keeps what it was asked.
struct Owner {
  explicit Owner(Fate says) : fate(says) {}
  Judge judge() {
    return [this](const std::vector<Leftover>& all) {
      asked = all;
      if (meanwhile) meanwhile();
      return std::vector<Fate>(all.size(), fate);
    };
  }
  [[nodiscard]] const Leftover& about(const std::string& path) const {
    auto found = std::ranges::find_if(asked, [&](const Leftover& one) { return one.path.str() == path; });
    if (found == asked.end()) throw std::runtime_error("nothing was asked about " + path);
    return *found;
  }

  Fate fate;
  std::vector<Leftover> asked;
  std::function<void()> meanwhile;
};

mode_t mode_of(const std::string& path) {
  struct stat found = {};
  return ::lstat(path.c_str(), &found) == 0 ? found.st_mode & 07777 : 0;
}

}  // namespace

TEST_CASE("a held file stays as the run made it when its owner says so, and is restored when he doesn't") {
  auto fate = GENERATE(Fate::kept, Fate::as_usual);
  World world;
  write(world.in("AGENTS.md"), "one\ntwo\n");
  world.hold("AGENTS.md");
  Watching run(world);
  write(world.in("AGENTS.md"), "one\n2\n");
  Owner owner(fate);
  std::vector<GuardEvent> events = run.guard.finish(owner.judge());
  REQUIRE(owner.asked.size() == 1);
  const Leftover& asked = owner.asked[0];
  CHECK(asked.kind == Leftover::Kind::held);
  CHECK(asked.path == abs(world.in("AGENTS.md")));
  CHECK(asked.what == "was changed");
  CHECK(asked.difference == "@@ -1,2 +1,2 @@\n one\n-two\n+2\n");
  CHECK(asked.before.size() == 64);
  CHECK(asked.after != asked.before);
  CHECK(asked.size == 6);
  REQUIRE(events.size() == 1);
  if (fate == Fate::kept) {
    CHECK(read(world.in("AGENTS.md")) == "one\n2\n");
    CHECK(events[0].kind == Kind::kept);
    CHECK(world.quarantine().empty());
  } else {
    CHECK(read(world.in("AGENTS.md")) == "one\ntwo\n");
    CHECK(events[0].kind == Kind::restored);
    CHECK(world.quarantine().size() == 1);
  }
  CHECK(world.runs().empty());
}

TEST_CASE("nobody is asked when nothing is left") {
  World world;
  write(world.in("AGENTS.md"), "same");
  world.hold("AGENTS.md");
  world.hold("CLAUDE.md", policy::FileKind::missing);
  world.watch_for(".envrc");
  Watching run(world);
  Owner owner(Fate::kept);
  bool called = false;
  CHECK(run.guard
            .finish([&](const auto&) {
              called = true;
              return std::vector<Fate>();
            })
            .empty());
  CHECK_FALSE(called);
}

TEST_CASE("what is changed once more after it was shown is not what was kept") {
  World world;
  write(world.in("AGENTS.md"), "rule\n");
  make_dir(world.in("wf"));
  write(world.in("wf/ci.yml"), "ci\n");
  world.hold("AGENTS.md");
  world.hold("wf", policy::FileKind::directory);
  Watching run(world);
  write(world.in("AGENTS.md"), "shown\n");
  write(world.in("wf/ci.yml"), "shown\n");
  Owner owner(Fate::kept);
  owner.meanwhile = [&] {
    write(world.in("AGENTS.md"), "evil!\n");
    write(world.in("wf/new.yml"), "evil\n");
  };
  CHECK(count(run.guard.finish(owner.judge()), Kind::restored) == 2);
  CHECK(read(world.in("AGENTS.md")) == "rule\n");
  CHECK(read(world.in("wf/ci.yml")) == "ci\n");
  CHECK_FALSE(exists(world.in("wf/new.yml")));
}

TEST_CASE("a new file, a deleted one, a mode, a link: each is shown for what it is, and kept") {
  World world;
  write(world.in("gone.md"), "a\n");
  write(world.in("mode.md"), "a\n");
  write(world.in("link.md"), "a\n");
  write(world.in("binary.md"), "a\n");
  for (const char* name : {"gone.md", "mode.md", "link.md", "binary.md"}) world.hold(name);
  world.hold("new.md", policy::FileKind::missing);
  Watching run(world);
  REQUIRE(::unlink(world.in("gone.md").c_str()) == 0);
  REQUIRE(::chmod(world.in("mode.md").c_str(), 0755) == 0);
  REQUIRE(::unlink(world.in("link.md").c_str()) == 0);
  REQUIRE(::symlink("/etc/passwd\n", world.in("link.md").c_str()) == 0);
  write(world.in("binary.md"), std::string("\0x", 2));
  write(world.in("new.md"), "b\n");
  REQUIRE(::chmod(world.in("new.md").c_str(), 0755) == 0);
  Owner owner(Fate::kept);
  std::vector<GuardEvent> events = run.guard.finish(owner.judge());
  CHECK(owner.about(world.in("gone.md")).what == "was deleted");
  CHECK(owner.about(world.in("gone.md")).difference == "@@ -1 +0,0 @@\n-a\n");
  CHECK(owner.about(world.in("gone.md")).after.empty());
  CHECK(owner.about(world.in("mode.md")).difference == "-mode 0644\n+mode 0755\n");
  CHECK(owner.about(world.in("link.md")).difference.ends_with("+a symbolic link to /etc/passwd\\n\n"));
  CHECK(owner.about(world.in("binary.md")).difference.find("+2 bytes that are not text, SHA-256 ") !=
        std::string::npos);
  CHECK(owner.about(world.in("new.md")).what == "is new");
  CHECK(owner.about(world.in("new.md")).difference == "+mode 0755, executable\n@@ -0,0 +1 @@\n+b\n");
  CHECK(count(events, Kind::kept) == 5);
  CHECK_FALSE(exists(world.in("gone.md")));
  CHECK(mode_of(world.in("mode.md")) == 0755);
  CHECK(read(world.in("new.md")) == "b\n");
}

TEST_CASE("of a held folder each file is shown, and a name can't look like a line of one") {
  World world;
  make_dir(world.in("wf"));
  write(world.in("wf/a.yml"), "a\n");
  write(world.in("wf/b.yml"), "b\n");
  write(world.in("wf/same.yml"), "same\n");
  world.hold("wf", policy::FileKind::directory);
  Watching run(world);
  write(world.in("wf/a.yml"), "A\n");
  REQUIRE(::unlink(world.in("wf/b.yml").c_str()) == 0);
  write(world.in("wf/x\n+harmless"), "evil\n");
  Owner owner(Fate::kept);
  (void)run.guard.finish(owner.judge());
  const Leftover& asked = owner.about(world.in("wf"));
  CHECK(asked.what == "changed: a.yml, gone: b.yml, new: x\\n+harmless");
  CHECK(asked.difference ==
        "@@ changed: a.yml @@\n@@ -1 +1 @@\n-a\n+A\n@@ gone: b.yml @@\n@@ -1 +0,0 @@\n-b\n"
        "@@ new: x\\n+harmless @@\n@@ -0,0 +1 @@\n+evil\n");
  CHECK(read(world.in("wf/a.yml")) == "A\n");
}

TEST_CASE(
    "what was quarantined goes back with a yes, with its mode, and the last of several at one place is asked for") {
  auto fate = GENERATE(Fate::kept, Fate::as_usual);
  World world;
  world.watch_for(".envrc");
  world.watch_for(".npmrc");
  Watching run(world);
  write(world.in(".envrc"), "first\n");
  CHECK(run.until([&] { return run.count(Kind::quarantined) == 1; }));
  write(world.in(".envrc"), "second\n");
  CHECK(run.until([&] { return run.count(Kind::quarantined) == 2; }));
  REQUIRE(::symlink("/etc", world.in(".npmrc").c_str()) == 0);
  CHECK(run.until([&] { return run.count(Kind::quarantined) == 3; }));
  Owner owner(fate);
  std::vector<GuardEvent> events = run.guard.finish(owner.judge());
  REQUIRE(owner.asked.size() == 2);
  CHECK(owner.about(world.in(".envrc")).kind == Leftover::Kind::quarantined);
  CHECK(owner.about(world.in(".envrc")).difference == "@@ -0,0 +1 @@\n+second\n");
  CHECK(owner.about(world.in(".envrc")).before.empty());
  CHECK(owner.about(world.in(".npmrc")).difference == "+a symbolic link to /etc\n");
  if (fate == Fate::kept) {
    CHECK(read(world.in(".envrc")) == "second\n");
    CHECK(count(events, Kind::kept) == 2);
    CHECK(count(events, Kind::quarantined) == 1);
    CHECK(world.quarantine().size() == 1);
  } else {
    CHECK_FALSE(exists(world.in(".envrc")));
    CHECK(count(events, Kind::quarantined) == 3);
    CHECK(world.quarantine().size() == 3);
  }
}

TEST_CASE("what can't go back, because something stands there, stays in the quarantine and says why") {
  World world;
  world.watch_for(".envrc");
  Watching run(world);
  write(world.in(".envrc"), "agent's\n");
  CHECK(run.until([&] { return run.count(Kind::quarantined) == 1; }));
  Owner owner(Fate::kept);
  owner.meanwhile = [&] { write(world.in(".envrc"), "owner's\n"); };
  std::vector<GuardEvent> events = run.guard.finish(owner.judge());
  CHECK(read(world.in(".envrc")) == "owner's\n");
  REQUIRE(count(events, Kind::quarantined) == 1);
  CHECK(events[0].detail.find("it could not be put back: there is a file at ") != std::string::npos);
  CHECK(world.quarantine().size() == 1);
}

TEST_CASE("what is too long to be shown is not asked for, and dealt with as usual") {
  World world;
  write(world.in("AGENTS.md"), "rule\n");
  write(world.in("CLAUDE.md"), "rule\n");
  world.hold("AGENTS.md");
  world.hold("CLAUDE.md");
  make_dir(world.in("wf"));
  world.hold("wf", policy::FileKind::directory);
  Watching run(world);
  write(world.in("AGENTS.md"), std::string(600'000, 'x'));
  write(world.in("CLAUDE.md"), std::string(5'000'000, 'x'));
  for (int i = 0; i < 600; ++i) write(world.in("wf/" + std::to_string(i)), "");
  bool called = false;
  std::vector<GuardEvent> events = run.guard.finish([&](const auto&) {
    called = true;
    return std::vector<Fate>();
  });
  CHECK_FALSE(called);
  CHECK(count(events, Kind::restored) == 3);
  CHECK(read(world.in("AGENTS.md")) == "rule\n");
}
