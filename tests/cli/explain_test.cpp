#include "explain.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "../policy/world.hpp"

using namespace agentbox;
using test::path;
using test::World;

namespace {

std::string text(const World& world, base::Colour colour = base::Colour::off) {
  policy::Policy policy = world.policy();
  base::Diagnostics unbuilt = policy::unbuilt(world.profile, world.flags);
  return cli::explain_text({policy, unbuilt}, colour);
}
bool has(const std::string& where, std::string_view what) {
  return where.find(what) != std::string::npos;
}

}  // namespace

TEST_CASE("a hostile name is shown, and does nothing") {
  World world;
  world.folder_at("/home/u/a\n\033]0;x\a\u202e").read("/home/u/a\n\033]0;x\a\u202e");
  std::string out = text(world);
  CHECK(has(out, "~/a\\n\\x1b]0;x\\x07\\u{202e}/"));
  for (char c : out) CHECK((c == '\n' || static_cast<unsigned char>(c) >= 0x20));
}

TEST_CASE("the value of a secret is not on the screen, nor in the JSON") {
  World world;
  world.facts.environment = {{"GH_TOKEN", "ghp_abc"}};
  world.profile.environment.pass = {{"GH_TOKEN", {}}};
  CHECK(has(text(world), "  GH_TOKEN=(not shown)\n"));
  policy::Policy policy = world.policy();
  std::string json = cli::explain_json({policy, {}});
  CHECK_FALSE(has(json, "ghp_abc"));
  CHECK(nlohmann::json::parse(json)["environment"]["GH_TOKEN"].is_null());
}

TEST_CASE("colours come only where they are wanted") {
  CHECK_FALSE(has(text(World()), "\033["));
  CHECK(has(text(World(), base::Colour::on), "\033[1m"));
}

TEST_CASE("each line says which line of which file decides") {
  World world;
  world.folder_at("/home/u/notes").read("~/notes").profile.files = {"/a/test.toml"};
  CHECK(has(text(world), "~/notes/  test.toml:1\n"));
  // two files of one name are told apart
  world.profile.files = {"/a/test.toml", "/b/test.toml"};
  world.profile.files_section.read[0].origin.file = "/b/test.toml";
  CHECK(has(text(world), "~/notes/  /b/test.toml:1\n"));
}

TEST_CASE("what run would refuse stands at the top") {
  World world;
  world.profile.workspace.mode = {profile::WorkspaceMode::review, world.origin("mode = \"review\"")};
  std::string out = text(world);
  CHECK(has(out, "Refused by `agentbox run`\n  [workspace] mode = \"review\" is not built yet  test.toml:1\n"));
  CHECK(out.find("Refused") < out.find("Readable"));
}

TEST_CASE("the JSON is JSON even where names are not text") {
  World world;
  world.folder_at("/home/u/a\xff").read("/home/u/a\xff");
  policy::Policy policy = world.policy();
  auto json = nlohmann::json::parse(cli::explain_json({policy, {}}));
  CHECK(json["format"] == "agentbox-explain/1");
  CHECK(json["workspace"] == "/home/u/work");
  bool found = false;
  for (const auto& mount : json["mounts"]) {
    found = found || (mount["path"] == "/home/u/a\ufffd" && mount["access"] == "read" && mount["why"] == "grant" &&
                      mount["file"] == "test.toml" && mount["line"] == 1);
  }
  CHECK(found);
}
