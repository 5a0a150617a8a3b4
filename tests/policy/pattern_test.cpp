#include <catch2/catch.hpp>

#include "agentbox/policy/look.hpp"

#include "world.hpp"

using namespace agentbox;
using policy::matches_component;
using policy::PatternSet;
using test::path;
using test::World;

namespace {

bool matches(const std::string& pattern, std::string_view name, PatternSet::Base base = PatternSet::Base::workspace) {
  World world;
  world.protect(pattern);
  PatternSet set(world.profile, policy::places_of(world.facts));
  REQUIRE(set.patterns().size() == 1);
  std::vector<std::size_t> out;
  set.match(name, out, base);
  return !out.empty();
}

std::string why_not(const std::string& pattern) {
  World world;
  world.protect(pattern);
  auto result = policy::looks(world.profile, policy::places_of(world.facts));
  return result ? "" : result.error().at(0).message;
}

}  // namespace

TEST_CASE("'*' is any bytes of one component") {
  CHECK(matches_component("*.key", ".key"));
  CHECK(matches_component("a*c", "abbc"));
  CHECK(matches_component("a*b*c", "axxbyyc"));
  CHECK(matches_component("*", "anything"));
  CHECK_FALSE(matches_component("a*c", "abcd"));
  CHECK_FALSE(matches_component("", "a"));
  CHECK(matches_component("**a", "xa"));
}

TEST_CASE("a pattern without '/' matches at any depth, one with it from the root") {
  CHECK(matches(".env", ".env"));
  CHECK(matches(".env", "a/b/.env"));
  CHECK_FALSE(matches(".env", "a/.envrc"));
  CHECK(matches("secrets/", "a/secrets"));
  CHECK(matches("docs/policy.md", "docs/policy.md"));
  CHECK_FALSE(matches("docs/policy.md", "a/docs/policy.md"));
}

TEST_CASE("'**' is any number of components") {
  CHECK(matches("**/.env", ".env"));
  CHECK(matches("**/.env", "a/b/.env"));
  CHECK(matches("**/a/b", "x/a/b"));
  CHECK(matches("**/a/b", "a/b"));
  CHECK_FALSE(matches("**/a/b", "ab"));
  CHECK_FALSE(matches("**/a/b", "xa/b"));
  CHECK(matches("a/**/z", "a/z"));
  CHECK(matches("a/**/z", "a/b/c/z"));
  CHECK_FALSE(matches("a/**/z", "b/a/z"));
  CHECK(matches("a/**", "a/b/c"));
  CHECK_FALSE(matches("a/**", "a"));
  CHECK(matches("**/a/**/b", "x/a/y/z/b"));
}

TEST_CASE("kinds of roots and git directories count from there only") {
  CHECK(matches("${roots}/.envrc", ".envrc", PatternSet::Base::roots));
  CHECK_FALSE(matches("${roots}/.envrc", ".envrc"));
  CHECK(matches("${gitdirs}/worktrees/*/gitdir", "worktrees/x/gitdir", PatternSet::Base::gitdirs));
}

TEST_CASE("a path into the workspace is a pattern of it") {
  CHECK(matches("${workspace}/a/*.key", "a/x.key"));
  CHECK(matches("~/work/a/*.key", "a/x.key"));
  CHECK(matches("/home/u/work/**/x", "a/x"));
}

TEST_CASE("what a pattern can't mean is an error") {
  CHECK(why_not("~/notes/*.key") == "the pattern '~/notes/*.key' has a wildcard outside the workspace");
  CHECK(why_not("a/../b") == "the pattern 'a/../b' holds '..'");
  CHECK(why_not("${workspace}") == "the pattern '${workspace}' names the whole workspace");
  CHECK(why_not("~root/x") == "another user's home, '~root', has no meaning here");
  CHECK(why_not("$XDG_CACHE_HOM/x") == "unknown variable 'XDG_CACHE_HOM' in a path");
  CHECK(why_not("${roots}/**/x") == "'**' has no meaning right behind '${roots}' or '${gitdirs}'");
  CHECK(why_not("**") == "the pattern '**' names nothing");
  CHECK(why_not("~/notes/secret").empty());
}

TEST_CASE("a hostile pattern on a hostile name ends in time") {
  std::string pattern = "**", name;
  for (int i = 0; i < 40; ++i) pattern += "/a/**";
  for (int i = 0; i < 400; ++i) name += "a/";
  CHECK_FALSE(matches(pattern + "/b", name + "c"));
  CHECK_FALSE(matches(std::string(60, '*') + "a*a*a*a*a*a*a*a*b", std::string(250, 'a')));
}

TEST_CASE("every pattern that matches is named") {
  World world;
  world.hide("**/.env").protect(".env").protect("*.key").hide("a/.env");
  PatternSet set(world.profile, policy::places_of(world.facts));
  std::vector<std::size_t> out;
  set.match("a/.env", out);
  CHECK(out.size() == 3);
  CHECK(set.patterns()[0].text == ".env");
  CHECK_FALSE(set.patterns()[0].hides);
}

TEST_CASE("what must be looked at is named") {
  World world;
  world.read("~/notes")
      .protect("${roots}/.envrc")
      .hide("docs/x")
      .profile.files_section.hide.push_back({{"~/secret", false}, {}});
  policy::Places places = policy::places_of(world.facts);
  auto looks = policy::looks(world.profile, places);
  REQUIRE(looks);
  auto has = [&](std::string_view text) { return std::ranges::count(looks->paths, path(text)) == 1; };
  CHECK(has("/home/u/notes"));
  CHECK(has("/home/u/secret"));
  CHECK(has("/home/u/work/docs/x"));
  CHECK(has("/etc/ssl"));
  CHECK(has("/usr"));
  CHECK(has("/home/u/.config/agentbox"));
  CHECK(looks->roots);
  CHECK_FALSE(looks->walk);
  world.facts.roots.push_back({path("/home/u/work/pkg"), false, true});
  auto kinds = policy::kind_places(world.profile, world.facts);
  CHECK(kinds == std::vector{path("/home/u/work/.envrc"), path("/home/u/work/pkg/.envrc")});
  CHECK(policy::looks(world.hide("*.key").profile, places)->walk);
}

TEST_CASE("paths mean what the user's folders say") {
  World world;
  policy::Places places = policy::places_of(world.facts);
  auto text = [&](std::string value) {
    auto result = policy::expand({{std::move(value), false}, {}}, places);
    return result ? result->str() : result.error().at(0).message;
  };
  CHECK(text("~") == "/home/u");
  CHECK(text("~/a/b") == "/home/u/a/b");
  CHECK(text("$XDG_CACHE_HOME/x") == "/home/u/.cache/x");
  CHECK(text("${XDG_STATE_HOME}") == "/home/u/.local/state");
  CHECK(text("${workspace}/x") == "/home/u/work/x");
  CHECK(text("~/a/../b") == "'~/a/../b' holds '..'");
  CHECK(text("x") == "'x' is not an absolute path");
  CHECK(text("$PATH/x") == "unknown variable 'PATH' in a path");
}
