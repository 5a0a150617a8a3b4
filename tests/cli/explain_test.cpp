#include "explain.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "../policy/world.hpp"

using namespace agentbox;
using test::path;
using test::World;

namespace {

std::string text(const World& world, base::Colour colour = base::Colour::off, std::size_t width = 0,
                 cli::Layout::Names names = cli::Layout::Names::counted) {
  policy::Policy policy = world.policy();
  base::Diagnostics unbuilt = policy::unbuilt(world.profile, world.flags);
  return cli::explain_text({policy, unbuilt}, {colour, width, names});
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

TEST_CASE("no row is longer than the terminal is wide, but for a word that must stay whole") {
  World world;
  world.folder_at("/home/u/" + std::string(90, 'x')).read("~/" + std::string(90, 'x'));
  world.allow({.text = "localhost:8080",
               .kind = profile::HostKind::localhost,
               .host = "localhost",
               .ports = profile::PortSet::one,
               .port = 8080});
  for (std::size_t width : {40UZ, 60UZ, 80UZ}) {
    std::string rest = text(world, base::Colour::off, width);
    while (!rest.empty()) {
      std::string line = rest.substr(0, rest.find('\n'));
      rest.erase(0, line.size() + 1);
      const bool whole = has(line, "xxx") || has(line, "PATH=");
      CHECK((line.size() <= width || whole));
    }
  }
  CHECK(has(text(world), "localhost:8080  this machine's server, at the same address"));
}

TEST_CASE("names of what isn't there are counted, unless all are wanted") {
  World world;
  for (const char* name : {"a", "b", "c", "d", "e"}) world.protect("${roots}/" + std::string(name));
  for (const char* name : {"~/v", "~/w"}) world.read(name);
  std::string counted = text(world);
  CHECK(has(counted, "  5 more names are kept from being made (--all)\n"));
  CHECK(has(counted, "  2 paths of test.toml don't exist here (--all)\n"));
  CHECK_FALSE(has(counted, "~/v"));
  std::string all = text(world, base::Colour::off, 0, cli::Layout::Names::all);
  CHECK(has(all, "  missing, and kept from being made: ./a ./b ./c ./d ./e\n"));
  CHECK(has(all, "'/home/u/v' does not exist  test.toml:6\n"));
  CHECK_FALSE(has(all, "--all"));
}

TEST_CASE("what a person looks for before trusting a room comes first") {
  std::string out = text(World());
  CHECK(out.find("\nWritable") < out.find("\nNetwork"));
  CHECK(out.find("\nNetwork") < out.find("\nReadable"));
}
