#include "guard_names.hpp"

#include <catch2/catch.hpp>

#include "guard_support.hpp"

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
