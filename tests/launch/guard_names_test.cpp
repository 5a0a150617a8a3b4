#include "guard_names.hpp"

#include <catch2/catch.hpp>

#include "agentbox/base/escape.hpp"

#include "guard_support.hpp"
#include "guard_tree.hpp"

using namespace agentbox::launch::test;
using namespace agentbox::launch;
using namespace agentbox;

namespace {

policy::Mount mount(const char* target, const char* source, policy::Mount::Why why,
                    policy::Access access = policy::Access::write) {
  return {.target = abs(target),
          .source = abs(source),
          .kind = policy::FileKind::directory,
          .access = access,
          .why = why,
          .origin = {}};
}

policy::Policy sample() {
  policy::Policy policy;
  policy.workspace = abs("/home/u/w");
  policy.tmpfs = {{.target = abs("/home/u")}};
  policy.mounts = {mount("/home/u/w", "/home/u/w", policy::Mount::Why::workspace),
                   mount("/home/u/notes", "/data/notes", policy::Mount::Why::grant),
                   mount("/home/u/w/secrets", "/", policy::Mount::Why::hide, policy::Access::hidden)};
  return policy;
}

}  // namespace

TEST_CASE("a place in the room is found on the host, and back") {
  policy::Policy policy = sample();
  CHECK(on_host(policy, abs("/home/u/w/a/b")) == abs("/home/u/w/a/b"));
  CHECK(on_host(policy, abs("/home/u/notes/x")) == abs("/data/notes/x"));
  CHECK_FALSE(on_host(policy, abs("/home/u/.bashrc")));
  CHECK_FALSE(on_host(policy, abs("/nowhere")));
  CHECK(in_room(policy, abs("/data/notes/x")) == std::vector{abs("/home/u/notes/x")});
  CHECK(in_room(policy, abs("/data/other")).empty());
}

TEST_CASE("a private tmpfs inside a grant hides what is behind it") {
  policy::Policy policy = sample();
  policy.tmpfs.push_back({.target = abs("/home/u/w/tmp")});
  CHECK_FALSE(on_host(policy, abs("/home/u/w/tmp/x")));
  CHECK(in_room(policy, abs("/home/u/w/tmp/x")).empty());
}

TEST_CASE("mounts on the host's folders are guarded, mounts on the room's own are not") {
  policy::Policy policy = sample();
  plan::LaunchPlan plan;
  auto bind = [&](const char* path, policy::Mount::Why why) {
    plan.furnishings.push_back(
        plan::Bind{.source = abs(path), .target = abs(path), .kind = policy::FileKind::regular, .why = why});
  };
  bind("/home/u/w", policy::Mount::Why::workspace);
  bind("/home/u/w/.envrc", policy::Mount::Why::protect);
  bind("/home/u/.gitconfig", policy::Mount::Why::protect);
  plan.furnishings.push_back(plan::Mask{.target = abs("/home/u/notes/key"), .kind = policy::FileKind::regular});
  plan.furnishings.push_back(plan::Ghost{.target = abs("/home/u/w/.vscode")});
  policy.watched = {
      {.directory = abs("/home/u/w"), .name = ".npmrc", .why = policy::Watched::Why::protect, .origin = {}},
      {.directory = abs("/data/notes"), .name = ".env", .why = policy::Watched::Why::hide, .origin = {}},
      {.directory = abs("/srv"), .name = ".env", .why = policy::Watched::Why::hide, .origin = {}}};
  std::vector<GuardedName> names = guarded_names(policy, plan);
  REQUIRE(names.size() == 5);
  CHECK(names[0].host.str() == "/home/u/w/.envrc");
  CHECK(names[1].host.str() == "/data/notes/key");
  CHECK(names[1].target.str() == "/home/u/notes/key");
  CHECK(names[2].directory);
  CHECK(names[3].role == GuardedName::Role::forbidden);
  CHECK(names[4].role == GuardedName::Role::hidden);
  CHECK(names[4].target.str() == "/home/u/notes/.env");
}

TEST_CASE("what its owner locked before the run stays locked, and what can't be guarded there stops the launch") {
  if (::geteuid() == 0) return;  // root writes everywhere
  World world;
  auto mode_of = [&](const char* name) {
    struct stat found = {};
    REQUIRE(::stat(world.in(name).c_str(), &found) == 0);
    return found.st_mode & 07777;
  };
  make_dir(world.in("open"));
  make_dir(world.in("locked"));
  world.ghost("open/.vscode");
  world.ghost("locked/.vscode");
  auto mode = static_cast<mode_t>(GENERATE(0555, 0500, 0550, 0000));
  REQUIRE(::chmod(world.in("locked").c_str(), mode) == 0);
  try {
    Guard guard(world.policy, world.plan, abs(world.state), "s1");
    FAIL("it started");
  } catch (const base::SystemError& error) {
    CHECK(error.what() ==
          base::quote(world.in("locked")) + " can't be written, so its missing folders can't be guarded");
    CHECK(error.hint().find("read-only") != std::string::npos);
  }
  CHECK(mode_of("locked") == mode);
  CHECK_FALSE(exists(world.in("open/.vscode")));  // nothing is left behind
  REQUIRE(::chmod(world.in("locked").c_str(), 0755) == 0);
  Guard guard(world.policy, world.plan, abs(world.state), "s1");
  CHECK(exists(world.in("locked/.vscode")));
  // What is locked from now on was locked by the agent.
  REQUIRE(::chmod(world.in("locked").c_str(), 0555) == 0);
  CHECK(guard.finish().empty());
  CHECK_FALSE(exists(world.in("locked/.vscode")));
}

TEST_CASE("a time that nobody lives to see is a time") {
  World world;
  write(world.in("late"), "");
  struct timespec times[2] = {{.tv_sec = 16'725'225'600, .tv_nsec = 0}, {.tv_sec = 16'725'225'600, .tv_nsec = 0}};
  REQUIRE(::utimensat(AT_FDCWD, world.in("late").c_str(), times, 0) == 0);
  Tree tree(abs(world.workspace));
  std::optional<Entry> entry = tree.look(abs(world.in("late")));
  REQUIRE(entry);
  struct stat seen = {};  // some file systems end in the year 2446
  REQUIRE(::stat(world.in("late").c_str(), &seen) == 0);
  CHECK(entry->modified_ns ==
        static_cast<std::int64_t>(static_cast<std::uint64_t>(seen.st_mtim.tv_sec) * 1'000'000'000));
}
