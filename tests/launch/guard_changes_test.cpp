// What agentbox itself has changed with its owner's yes is guarded from then on, and not undone.

#include <catch2/catch.hpp>

#include "guard_support.hpp"

using namespace agentbox;
using namespace agentbox::launch;
using namespace agentbox::launch::test;
using Kind = GuardEvent::Kind;
using Was = Guard::Original::Was;

namespace {

// As the changes gate does it: the room stands still.
void put(Watching& watching, World& world, const std::string& relative, std::string_view content) {
  watching.room.freeze();
  write(world.in(".new"), content);
  if (::rename(world.in(".new").c_str(), world.in(relative).c_str()) != 0) throw std::runtime_error("rename");
  watching.guard.renew(abs(world.in(relative)));
  watching.room.thaw();
}
void remove(Watching& watching, World& world, const std::string& relative) {
  watching.room.freeze();
  if (::unlink(world.in(relative).c_str()) != 0) throw std::runtime_error("unlink");
  watching.guard.renew(abs(world.in(relative)));
  watching.room.thaw();
}

}  // namespace

TEST_CASE("the original of a held path is what was there at the start, whatever stands there now") {
  World world;
  write(world.in("AGENTS.md"), "rule\n");
  make_dir(world.in("wf"));
  write(world.in("wf/ci.yml"), "ci\n");
  REQUIRE(::symlink("AGENTS.md", world.in("CLAUDE.md").c_str()) == 0);
  world.hold("AGENTS.md");
  world.hold("CLAUDE.md", policy::FileKind::symlink);
  world.hold("GEMINI.md", policy::FileKind::missing);
  world.hold("wf", policy::FileKind::directory);
  Watching watching(world);
  write(world.in("AGENTS.md"), "evil\n");
  write(world.in("wf/new.yml"), "evil\n");
  auto original = [&](const std::string& relative) { return watching.guard.original(abs(world.in(relative))); };
  REQUIRE(original("AGENTS.md"));
  CHECK(original("AGENTS.md")->was == Was::file);
  CHECK(original("AGENTS.md")->content == "rule\n");
  CHECK(original("wf/ci.yml")->content == "ci\n");
  CHECK(original("wf/new.yml")->was == Was::missing);
  CHECK(original("GEMINI.md")->was == Was::missing);
  CHECK(original("CLAUDE.md")->was == Was::other);
  CHECK(original("wf")->was == Was::other);
  CHECK_FALSE(original("README.md"));
}

TEST_CASE("a protected file that was changed is placed again, and its own events are no news") {
  World world;
  write(world.in(".envrc"), "old");
  world.protect(".envrc");
  Watching watching(world);
  put(watching, world, ".envrc", "new");
  REQUIRE(watching.room.furnished_as<plan::Bind>().size() == 1);
  CHECK(watching.room.furnished_as<plan::Bind>()[0].mode == plan::Bind::Mode::read);
  watching.settle();
  CHECK(watching.events.empty());
  CHECK(watching.room.frozen == 0);
  // The control: the same by somebody else is told.
  write(world.in(".new"), "other");
  REQUIRE(::rename(world.in(".new").c_str(), world.in(".envrc").c_str()) == 0);
  CHECK(watching.until([&] { return watching.count(Kind::placed_again) == 1; }));
  CHECK(watching.room.furnished_as<plan::Bind>().size() == 2);
}

TEST_CASE("a file that was watched for and was allowed stays, is protected, and is watched for no more") {
  World world;
  world.watch_for(".npmrc");
  world.watch_for(".envrc");
  Watching watching(world);
  put(watching, world, ".npmrc", "registry");
  REQUIRE(watching.room.furnished_as<plan::Bind>().size() == 1);
  CHECK(watching.room.furnished_as<plan::Bind>()[0].why == policy::Mount::Why::protect);
  watching.settle();
  CHECK(watching.events.empty());
  // The control: its neighbour was not allowed.
  write(world.in(".envrc"), "evil");
  CHECK(watching.until([&] { return watching.count(Kind::quarantined) == 1; }));
  CHECK(count(watching.guard.finish(), Kind::quarantined) == 1);
  CHECK(read(world.in(".npmrc")) == "registry");
  CHECK_FALSE(exists(world.in(".envrc")));
}

TEST_CASE("a file in a folder that was kept from being made shows the folder, and it stays") {
  World world;
  world.ghost(".vscode");
  Watching watching(world);
  REQUIRE(exists(world.in(".vscode")));
  put(watching, world, ".vscode/settings.json", "{}");
  REQUIRE(watching.room.furnished_as<plan::Bind>().size() == 1);
  CHECK(watching.room.furnished_as<plan::Bind>()[0].target == abs(world.in(".vscode")));
  CHECK(watching.guard.finish().empty());
  CHECK(read(world.in(".vscode/settings.json")) == "{}");
}

TEST_CASE("what was removed with a yes can't be made by the agent in its place") {
  World world;
  write(world.in(".envrc"), "old");
  world.protect(".envrc");
  Watching watching(world);
  remove(watching, world, ".envrc");
  watching.settle();
  CHECK(watching.events.empty());
  write(world.in(".envrc"), "evil");
  CHECK(watching.until([&] { return watching.count(Kind::quarantined) == 1; }));
  CHECK_FALSE(exists(world.in(".envrc")));
  // And a yes to another one brings it back.
  put(watching, world, ".envrc", "new");
  CHECK(watching.room.furnished_as<plan::Bind>().size() == 1);
  (void)watching.guard.finish();
  CHECK(read(world.in(".envrc")) == "new");
}

TEST_CASE("of a held file what was allowed is the original from then on, and nothing else of a held folder is") {
  World world;
  write(world.in("AGENTS.md"), "rule\n");
  make_dir(world.in("wf"));
  write(world.in("wf/a.yml"), "a\n");
  world.hold("AGENTS.md");
  world.hold("GEMINI.md", policy::FileKind::missing);
  world.hold("wf", policy::FileKind::directory);
  Watching watching(world);
  write(world.in("wf/a.yml"), "evil\n");
  put(watching, world, "AGENTS.md", "better rule\n");
  put(watching, world, "GEMINI.md", "rule\n");
  make_dir(world.in("wf/deep"));
  put(watching, world, "wf/deep/b.yml", "b\n");
  CHECK(watching.guard.original(abs(world.in("AGENTS.md")))->content == "better rule\n");
  // Once more: the copies don't overlap.
  put(watching, world, "AGENTS.md", "best\n");
  CHECK(watching.guard.original(abs(world.in("GEMINI.md")))->content == "rule\n");
  write(world.in("AGENTS.md"), "evil\n");
  auto events = watching.guard.finish();
  CHECK(count(events, Kind::restored) == 2);
  CHECK(read(world.in("AGENTS.md")) == "best\n");
  CHECK(read(world.in("GEMINI.md")) == "rule\n");
  CHECK(read(world.in("wf/a.yml")) == "a\n");
  CHECK(read(world.in("wf/deep/b.yml")) == "b\n");
}

TEST_CASE("a held file that was removed with a yes is not brought back") {
  World world;
  write(world.in("AGENTS.md"), "rule\n");
  world.hold("AGENTS.md");
  Watching watching(world);
  remove(watching, world, "AGENTS.md");
  CHECK(watching.guard.finish().empty());
  CHECK_FALSE(exists(world.in("AGENTS.md")));
}

TEST_CASE("what was allowed survives a supervisor that is killed") {
  World world;
  write(world.in("AGENTS.md"), "rule\n");
  world.hold("AGENTS.md");
  world.watch_for(".npmrc");
  {
    Watching watching(world);
    put(watching, world, "AGENTS.md", "better\n");
    put(watching, world, ".npmrc", "registry");
  }  // without `finish`
  for (const Swept& swept : sweep(abs(world.state))) INFO(swept.path.str() << ": " << swept.what);
  CHECK(world.runs().empty());
  CHECK(read(world.in("AGENTS.md")) == "better\n");
  CHECK(read(world.in(".npmrc")) == "registry");
}

TEST_CASE("where the room can't be furnished again it stays still, and the run is unverified") {
  World world;
  write(world.in(".envrc"), "old");
  world.protect(".envrc");
  Watching watching(world);
  watching.room.fail_furnish = true;
  put(watching, world, ".envrc", "new");
  CHECK(watching.count(Kind::unverified) == 1);
  CHECK(watching.room.frozen == 1);
}
