#include "agentbox/policy/check.hpp"

#include <algorithm>

#include "agentbox/policy/near.hpp"
#include "agentbox/profile/parse.hpp"

#include "world.hpp"

using namespace agentbox;
using test::Lines;
using test::World;

namespace {

Lines refused(const World& world) {
  Lines lines;
  for (const auto& error : policy::refused_everywhere(world.profile, world.facts)) lines.push_back(error.message);
  return lines;
}

}  // namespace

TEST_CASE("what no machine would grant is an error in the words of the launch") {
  World world;
  world.read("/etc").write("~").read("~/.local/state/agentbox").write("/usr").read("/proc/1").read("/run/");
  Lines here = refused(world), launch = world.errors();
  std::ranges::sort(here);
  std::ranges::sort(launch);
  CHECK(here == launch);
  CHECK(here.size() == 6);
}

TEST_CASE("what another machine might grant is none") {
  World world;
  world.read("/etc/hosts").write("~/notes").read("/srv").read("/run/some.sock").read("${workspace}/x");
  CHECK(refused(world).empty());
}

TEST_CASE("a path that means nothing anywhere is an error without a machine") {
  World world;
  world.read("~other/x");
  CHECK(refused(world) == Lines{"another user's home, '~other', has no meaning here"});
}

TEST_CASE("a profile without protected files is told so, unless nothing can be written") {
  World world;
  REQUIRE(policy::unprotected(world.profile));
  CHECK(policy::unprotected(world.profile)->message ==
        "nothing in the workspace is protected: no profile here extends 'base'");
  world.profile.workspace.mode = {profile::WorkspaceMode::read_only, {}};
  CHECK_FALSE(policy::unprotected(world.profile));
  world.profile.workspace.mode.reset();
  world.protect(".envrc");
  CHECK_FALSE(policy::unprotected(world.profile));
}

TEST_CASE("'~/' begins the program of the profile's command, and no other word of it") {
  World world;
  world.profile.command = {{"~/bin/agent", "~/notes"}, world.origin("command = ...")};
  CHECK(world.policy().command == Lines{"/home/u/bin/agent", "~/notes"});
}

namespace {

policy::Rules asking(std::initializer_list<const char*> texts) {
  policy::Rules rules;
  for (const char* text : texts) rules.commands.ask.push_back({*profile::parse_command_pattern(text, {}), {}});
  return rules;
}

}  // namespace

TEST_CASE("a command that misses a rule by its options alone is told which one, and what would match") {
  const policy::Rules rules = asking({"git push **", "make *"});
  CHECK(policy::near_rule(rules, {"git", "push", "-u", "origin", "HEAD"}) ==
        "'git push **' comes near, but '*' and '**' match no option; 'git push -u **' would");
  CHECK(policy::near_rule(rules, {"make", "-k", "all"}) == "'make *' comes near, but '*' and '**' match no option");
  CHECK(policy::near_rule(rules, {"git", "push", "origin", "--tags"}) ==
        "'git push **' comes near, but '*' and '**' match no option");
}

TEST_CASE("an option that may name a program is in no rule that is suggested") {
  const policy::Rules rules = asking({"git push **"});
  CHECK(policy::near_rule(rules, {"git", "push", "--receive-pack=x", "origin"}) ==
        "'git push **' comes near, but '*' and '**' match no option");
}

TEST_CASE("what matches a rule, or is another command, is near to none") {
  const policy::Rules rules = asking({"git push **"});
  CHECK(policy::near_rule(rules, {"git", "push", "origin"}).empty());
  CHECK(policy::near_rule(rules, {"git", "status", "-s"}).empty());
  CHECK(policy::near_rule(rules, {}).empty());
}
