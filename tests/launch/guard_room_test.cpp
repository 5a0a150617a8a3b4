// The guard and a real room: mounts that fall off are placed again before the agent can use the gap. Each case is run
// without the guard too, to show that the gap is there.

#include <boost/asio/posix/stream_descriptor.hpp>
#include <catch2/catch.hpp>

#include "guard_support.hpp"
#include "helper.hpp"
#include "room_support.hpp"
#include "seccomp_compile.hpp"
#include "spawn.hpp"
#include "streams.hpp"
#include "supervisor.hpp"

using namespace agentbox;
using namespace agentbox::launch;
using namespace agentbox::launch::test;
using plan::Bind;
using policy::FileKind;
using Kind = GuardEvent::Kind;

namespace {

enum class Guarded { no, yes };

// An agent that says through one pipe that it is where the host should act, and waits at another one until it has.
class RealRoom {
 public:
  explicit RealRoom(World& world) : world_(world) {
    for (const char* pipe : {"ready", "go"}) {
      if (::mkfifo(world.in(pipe).c_str(), 0600) != 0) throw std::runtime_error("mkfifo");
    }
    ready_ = base::UniqueFd(::open(world.in("ready").c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
    go_ = base::UniqueFd(::open(world.in("go").c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
  }

  // `before` and `after` are the agent's, around what the host does. With a guard the host is followed by `awaited` of
  // the guard's events before the agent goes on.
  void run(Guarded guarded, const std::string& before, const std::function<void()>& host, const std::string& after,
           int awaited = 1) {
    plan::LaunchPlan plan = world_.plan;
    AbsPath work = abs(world_.workspace);
    std::vector<plan::Furnishing> first = {plan::MakeTmpfs{abs("/tmp"), 1 << 20, 01777},
                                           Bind{work, work, FileKind::directory, Bind::Mode::write}};
    plan.furnishings.insert(plan.furnishings.begin(), first.begin(), first.end());
    plan.furnishings.emplace_back(plan::Seal{abs("/")});
    agentbox::test::lay_floor(plan);
    plan.init = {.argv = {"/bin/sh", "-c", before + "\necho > ready\nread x < go\n" + after},
                 .environment = {{"PATH", "/usr/bin:/bin"}},
                 .directory = work};

    boost::asio::io_context loop;  // the guard watches on it until it has finished
    std::optional<Guard> own;
    if (guarded == Guarded::yes) own.emplace(world_.policy, world_.plan, abs(world_.state), "s1");
    {
      Spawned spawned;
      std::string marker = "/run/agentbox/marker";
      Streams none{{StreamKind::passed, StreamKind::passed, StreamKind::passed}};
      spawn(spawned, abs(AGENTBOX_TEST_BWRAP), plan, none, marker);
      compile(plan.seccomp, std::move(spawned.filter));
      read_child(spawned);
      Helper helper(HelperWork{plan.furnishings, abs(AGENTBOX_TEST_INIT), marker, false, {}}, spawned);
      (void)helper.wait(spawned, -1);
      Supervisor supervisor(loop, spawned, helper, -1);
      auto let_go = [this] { (void)!::write(go_.get(), "\n", 1); };
      if (own) {
        own->on_event([&](const GuardEvent& event) {
          events.push_back(event);
          if (static_cast<int>(events.size()) == awaited) let_go();
        });
        own->watch(loop, supervisor);  // as `run` does
        guard = &*own;
        room = &supervisor;
      }
      boost::asio::posix::stream_descriptor ready(loop, ready_.release());
      ready.async_wait(boost::asio::posix::stream_descriptor::wait_read, [&](const boost::system::error_code&) {
        host();
        if (!own || awaited == 0) let_go();
      });
      supervisor.limit_time(std::chrono::seconds(30));
      outcome = supervisor.run();
    }
    guard = nullptr;
    if (own) summary = own->finish();
  }

  std::vector<GuardEvent> events, summary;
  Outcome outcome;
  // For the host; nullptr without a guard.
  Guard* guard = nullptr;
  Room* room = nullptr;

 private:
  World& world_;
  base::UniqueFd ready_, go_;
};

}  // namespace

TEST_CASE("a protected file that the host replaces stays read-only in the room") {
  auto guarded = GENERATE(Guarded::no, Guarded::yes);
  World world;
  write(world.in(".envrc"), "old");
  world.protect(".envrc");
  RealRoom room(world);
  auto host = [&] {
    write(world.in("new"), "new");
    ::rename(world.in("new").c_str(), world.in(".envrc").c_str());
  };
  room.run(guarded, "echo evil > .envrc", host, "echo evil > .envrc");
  if (guarded == Guarded::yes) {
    CHECK(read(world.in(".envrc")) == "new");
    REQUIRE(room.events.size() == 1);
    CHECK(room.events[0].kind == Kind::placed_again);
  } else {
    CHECK(read(world.in(".envrc")) == "evil\n");
  }
}

TEST_CASE("a hidden file that the host replaces, or makes, stays hidden") {
  auto guarded = GENERATE(Guarded::no, Guarded::yes);
  bool there = GENERATE(false, true);
  World world;
  if (there) {
    write(world.in(".env"), "TOKEN=1");
    world.policy.mounts.push_back({.target = abs(world.in(".env")),
                                   .source = abs(world.in(".env")),
                                   .kind = FileKind::regular,
                                   .access = policy::Access::hidden,
                                   .why = policy::Mount::Why::hide,
                                   .origin = {}});
    world.plan.furnishings.emplace_back(plan::Mask{abs(world.in(".env")), FileKind::regular});
  } else {
    world.watch_for(".env", policy::Watched::Why::hide);
  }
  RealRoom room(world);
  auto host = [&] {
    write(world.in("new"), "TOKEN=2");
    ::rename(world.in("new").c_str(), world.in(".env").c_str());
  };
  room.run(guarded, "cat .env > seen1", host, "cat .env > seen2; echo x > .env; :");
  CHECK(read(world.in("seen1")).empty());
  if (guarded == Guarded::yes) {
    CHECK(read(world.in("seen2")).empty());
    CHECK(read(world.in(".env")) == "TOKEN=2");
  } else {
    CHECK(read(world.in("seen2")) == "TOKEN=2");
  }
}

TEST_CASE("a protected directory that the host replaces stays read-only in the room") {
  auto guarded = GENERATE(Guarded::no, Guarded::yes);
  World world;
  make_dir(world.in(".vscode"));
  world.protect(".vscode", FileKind::directory);
  RealRoom room(world);
  auto host = [&] {
    ::rename(world.in(".vscode").c_str(), world.in("old").c_str());
    make_dir(world.in(".vscode"));
    write(world.in(".vscode/settings.json"), "{}");
  };
  room.run(guarded, "echo evil > .vscode/tasks.json", host,
           "echo evil > .vscode/tasks.json; cat .vscode/settings.json > seen");
  CHECK(read(world.in("seen")) == "{}");
  CHECK(exists(world.in(".vscode/tasks.json")) == (guarded == Guarded::no));
}

TEST_CASE("what the host deletes can't be made by the agent in its place") {
  auto guarded = GENERATE(Guarded::no, Guarded::yes);
  World world;
  make_dir(world.in(".vscode"));
  world.protect(".vscode", FileKind::directory);
  RealRoom room(world);
  room.run(
      guarded, ":", [&] { ::rmdir(world.in(".vscode").c_str()); }, "mkdir -p .vscode; echo evil > .vscode/tasks.json");
  CHECK(exists(world.in(".vscode")) == (guarded == Guarded::no));
}

TEST_CASE("a directory on the way that the host replaces takes nothing of the protection with it") {
  auto guarded = GENERATE(Guarded::no, Guarded::yes);
  World world;
  make_dir(world.in(".git"));
  make_dir(world.in(".git/hooks"));
  AbsPath git = abs(world.in(".git"));
  world.policy.mounts.push_back({.target = git,
                                 .source = git,
                                 .kind = FileKind::directory,
                                 .access = policy::Access::write,
                                 .why = policy::Mount::Why::ancestor,
                                 .origin = {}});
  world.plan.furnishings.emplace_back(
      Bind{git, git, FileKind::directory, Bind::Mode::write, policy::Mount::Why::ancestor});
  world.protect(".git/hooks", FileKind::directory);
  RealRoom room(world);
  auto host = [&] {
    ::rename(world.in(".git").c_str(), world.in("old").c_str());
    make_dir(world.in(".git"));
    make_dir(world.in(".git/hooks"));
  };
  room.run(guarded, "echo evil > .git/hooks/pre-commit; mv .git x", host,
           "echo evil > .git/hooks/pre-commit; echo fine > .git/index; mv .git x");
  CHECK(exists(world.in(".git/index")) == (guarded == Guarded::yes));
  CHECK(exists(world.in("x/hooks/pre-commit")) == (guarded == Guarded::no));
  CHECK_FALSE(exists(world.in(".git/hooks/pre-commit")));
}

TEST_CASE("a watched file that the agent makes is gone when the agent looks again") {
  auto guarded = GENERATE(Guarded::no, Guarded::yes);
  World world;
  world.watch_for(".envrc");
  RealRoom room(world);
  room.run(guarded, "echo evil > .envrc", [] {}, "cat .envrc > seen");
  CHECK(read(world.in("seen")) == (guarded == Guarded::yes ? "" : "evil\n"));
  CHECK(exists(world.in(".envrc")) == (guarded == Guarded::no));
  CHECK(world.quarantine().size() == (guarded == Guarded::yes ? 1 : 0));
}

TEST_CASE("a ghost keeps a missing directory from being made, and is gone afterwards") {
  auto guarded = GENERATE(Guarded::no, Guarded::yes);
  World world;
  if (guarded == Guarded::yes) world.ghost(".claude");  // which the helper makes: without the guard it would stay
  RealRoom room(world);
  auto host = [&] { write(world.in("seen"), exists(world.in(".claude")) ? "there" : "missing"); };
  room.run(guarded, ":", host, "mkdir -p .claude; echo evil > .claude/settings.json", 0);
  CHECK(exists(world.in(".claude/settings.json")) == (guarded == Guarded::no));
  CHECK(exists(world.in(".claude")) == (guarded == Guarded::no));
  CHECK(read(world.in("seen")) == (guarded == Guarded::yes ? "there" : "missing"));
}

TEST_CASE("what agentbox itself changed is seen changed in the room, and still can't be written there") {
  auto guarded = GENERATE(Guarded::no, Guarded::yes);
  World world;
  write(world.in(".envrc"), "old");
  world.protect(".envrc");
  world.watch_for(".npmrc");
  world.ghost(".vscode");
  if (guarded == Guarded::no) make_dir(world.in(".vscode"));
  RealRoom room(world);
  auto host = [&] {
    if (room.guard != nullptr) room.room->freeze();
    for (std::string name : {".envrc", ".npmrc", ".vscode/settings.json"}) {
      write(world.in("new"), "new " + name + "\n");
      if (::rename(world.in("new").c_str(), world.in(name).c_str()) != 0) throw std::runtime_error("rename");
      if (room.guard != nullptr) room.guard->renew(abs(world.in(name)));
    }
    if (room.guard != nullptr) room.room->thaw();
  };
  room.run(guarded, "", host,
           "for name in .envrc .npmrc .vscode/settings.json; do cat $name >> seen; echo evil > $name; done", 0);
  const std::string all = "new .envrc\nnew .npmrc\nnew .vscode/settings.json\n";
  if (guarded == Guarded::yes) {
    CHECK(read(world.in("seen")) == all);
    CHECK(read(world.in(".envrc")) + read(world.in(".npmrc")) + read(world.in(".vscode/settings.json")) == all);
    CHECK(room.events.empty());
    CHECK(room.summary.empty());
  } else {
    CHECK(read(world.in(".envrc")) == "evil\n");
  }
}
