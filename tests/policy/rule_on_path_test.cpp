// What the mounts answer about one path.

#include <catch2/catch.hpp>

#include "world.hpp"

using namespace agentbox;
using namespace agentbox::policy;
using test::path;
using test::World;

namespace {

Decision decided(const Policy& policy, std::string_view at, Open::For purpose) {
  return rule_on_path(policy, path(at), purpose).decision;
}
std::string why(const Policy& policy, std::string_view at, Open::For purpose) {
  return rule_on_path(policy, path(at), purpose).why;
}
profile::Origin line(std::uint32_t number) {
  return {.file = "test.toml", .at = {number, 1, 1}};
}

constexpr auto reading = Open::For::reading, writing = Open::For::writing;

}  // namespace

TEST_CASE("a path is ruled on by the deepest place that holds it") {
  World world;
  world.folder_at("/home/u/notes").folder_at("/home/u/notes/in").file("/home/u/work/.env");
  world.profile.files_section.read.push_back({{.text = "~/notes"}, line(1)});
  world.profile.files_section.write.push_back({{.text = "~/notes/in"}, line(2)});
  world.profile.workspace.hide.push_back({{.text = ".env"}, line(3)});
  world.match(".env", "/home/u/work/.env");
  Policy policy = world.policy();
  struct Case {
    std::string_view path;
    Decision read, write;
  };
  for (const Case& one :
       {Case{"/home/u/work/a", Decision::allow, Decision::allow},
        Case{"/home/u/notes/a", Decision::allow, Decision::deny},
        Case{"/home/u/notes/in/a", Decision::allow, Decision::allow},
        Case{"/home/u/notes2", Decision::deny, Decision::deny}, Case{"/home/u/.ssh/id", Decision::deny, Decision::deny},
        Case{"/home/u/work/.env", Decision::deny, Decision::deny},
        Case{"/usr/bin/git", Decision::allow, Decision::deny}, Case{"/etc/passwd", Decision::deny, Decision::deny},
        Case{"/tmp/x", Decision::deny, Decision::deny}, Case{"/", Decision::deny, Decision::deny}}) {
    INFO(one.path << ": " << why(policy, one.path, reading) << ", " << why(policy, one.path, writing));
    CHECK(decided(policy, one.path, reading) == one.read);
    CHECK(decided(policy, one.path, writing) == one.write);
  }
  CHECK(why(policy, "/home/u/notes/a", writing) == "it is granted for reading only");
  CHECK(why(policy, "/home/u/work/.env", reading) == "it is hidden");
  CHECK(why(policy, "/usr/bin/git", writing) == "the system can only be read");
  CHECK(why(policy, "/etc/passwd", reading) == "the room has a file of its own there");
  CHECK(why(policy, "/tmp/x", reading) == "the room has a folder of its own at /tmp: nothing of yours is in it");
  CHECK(why(policy, "/opt/x", reading) == "nothing grants it, so it does not exist in the room");
  CHECK(rule_on_path(policy, path("/home/u/notes/a"), reading).origin->at.line == 1);
  CHECK(rule_on_path(policy, path("/home/u/notes/in/a"), writing).origin->at.line == 2);
  CHECK_FALSE(rule_on_path(policy, path("/usr/bin/git"), reading).origin);
}

TEST_CASE("what is protected, watched or held says so when it is written") {
  World world;
  world.file("/home/u/work/.envrc").file("/home/u/work/AGENTS.md");
  world.profile.workspace.protect.push_back({{.text = "${workspace}/.envrc"}, line(1)});
  world.profile.workspace.protect.push_back({{.text = "${workspace}/.npmrc"}, line(2)});
  world.profile.workspace.hold.push_back({{.text = "${workspace}/AGENTS.md"}, line(3)});
  Policy policy = world.policy();
  CHECK(decided(policy, "/home/u/work/.envrc", reading) == Decision::allow);
  CHECK(why(policy, "/home/u/work/.envrc", writing) == "it is protected: a program outside would execute what it says");
  CHECK(decided(policy, "/home/u/work/.envrc", writing) == Decision::deny);
  CHECK(why(policy, "/home/u/work/.npmrc", writing) == "whatever appears there goes to the quarantine");
  CHECK(rule_on_path(policy, path("/home/u/work/.npmrc"), writing).origin->at.line == 2);
  CHECK(decided(policy, "/home/u/work/AGENTS.md", writing) == Decision::ask);
  CHECK(decided(policy, "/home/u/work/AGENTS.md", reading) == Decision::allow);
  CHECK(decided(policy, "/home/u/work/AGENTS.md.bak", writing) == Decision::allow);
}
