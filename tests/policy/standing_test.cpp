// What guards a file that is proposed to be changed.

#include "agentbox/policy/standing.hpp"

#include <catch2/catch.hpp>

#include "world.hpp"

using namespace agentbox;
using namespace agentbox::policy;
using Grade = Standing::Grade;
using test::path;
using test::World;

namespace {

World project() {
  World world;
  for (const char* file : {".envrc", "AGENTS.md", ".env", ".git/config", ".git/hooks/pre-commit"}) {
    world.file(std::string("/home/u/work/") + file);
  }
  world.folder_at("/home/u/notes").folder_at("/home/u/sessions").folder_at("/home/u/work/vendor");
  world.protect("${workspace}/.envrc").protect("${workspace}/.npmrc").protect("${workspace}/.vscode/");
  world.protect("${workspace}/.git/hooks/").protect("${workspace}/.git/config");
  world.hold("${workspace}/AGENTS.md").hide("${workspace}/.env").hide("${workspace}/.netrc");
  world.read("~/notes").write("~/sessions").read("~/work/vendor");
  return world;
}

Standing standing(const Policy& policy, std::string_view at) {
  auto found = standing_of(policy, path(at));
  INFO(at);
  REQUIRE(found);
  return *found;
}
std::string refused(const Policy& policy, std::string_view at) {
  auto found = standing_of(policy, path(at));
  return found ? "nothing" : found.error();
}

}  // namespace

TEST_CASE("a file is protected, held or ordinary, by the line that says so") {
  World world = project();
  Policy policy = world.policy();
  struct Case {
    std::string_view path;
    Grade grade;
    std::string_view line;
    std::string_view becomes;
  };
  for (const Case& one : {
           Case{".envrc", Grade::protected_, "protect = ${workspace}/.envrc",
                "direnv runs it when your shell enters the folder"},
           Case{".npmrc", Grade::protected_, "protect = ${workspace}/.npmrc",
                "npm obeys it: where packages come from, which scripts run"},
           Case{".vscode/tasks.json", Grade::protected_, "protect = ${workspace}/.vscode/",
                "your editor obeys it, and runs programs and tasks that it names"},
           Case{".git/hooks/pre-commit", Grade::protected_, "protect = ${workspace}/.git/hooks/",
                "git runs it as the hook pre-commit, if it is executable"},
           Case{".git/config", Grade::protected_, "protect = ${workspace}/.git/config",
                "git obeys it, and runs programs that it names"},
           Case{"AGENTS.md", Grade::held, "hold = ${workspace}/AGENTS.md", "the next agent takes it for its orders"},
           Case{"src/main.c", Grade::ordinary, "", ""},
       }) {
    Standing found = standing(policy, "/home/u/work/" + std::string(one.path));
    INFO(one.path);
    CHECK(found.grade == one.grade);
    CHECK((found.origin ? found.origin->source_line : "") == one.line);
    CHECK(found.becomes == one.becomes);
    CHECK(found.root == path("/home/u/work"));
  }
  CHECK(standing(policy, "/home/u/sessions/a/b").root == path("/home/u/sessions"));
}

TEST_CASE("what is hidden, only granted for reading, or no file of the owner's can't be proposed") {
  World world = project();
  Policy policy = world.policy();
  CHECK(refused(policy, "/home/u/work/.env") ==
        "/home/u/work/.env is hidden from this room, and not changed from here");
  // Whether it is there or not makes no difference in what is said.
  CHECK(refused(policy, "/home/u/work/.netrc") ==
        "/home/u/work/.netrc is hidden from this room, and not changed from here");
  const std::string only_read = " lies in what is granted for reading only: tell the owner what to change, and why";
  CHECK(refused(policy, "/home/u/notes/a") == "/home/u/notes/a" + only_read);
  CHECK(refused(policy, "/home/u/work/vendor/a") == "/home/u/work/vendor/a" + only_read);
  for (std::string place :
       {"/usr/bin/git", "/etc/passwd", "/tmp/x", "/home/u/.bashrc", "/run/agentbox/SKILL.md", "/"}) {
    CHECK(refused(policy, place) == place + " is no file of the owner's project or granted folders");
  }
  CHECK(refused(policy, "/home/u/work") == "/home/u/work is granted itself: write to it");
}

TEST_CASE("a workspace that can only be read takes no proposal") {
  World world = project();
  world.profile.workspace.mode = {{profile::WorkspaceMode::read_only, {}}};
  CHECK(refused(world.policy(), "/home/u/work/.envrc").starts_with("/home/u/work/.envrc lies in what is granted for "));
}

TEST_CASE("of git's own files only those that a person writes can be proposed") {
  World world = project();
  Policy policy = world.policy();
  for (std::string file :
       {".git", ".git/HEAD", ".git/index", ".git/commondir", ".git/objects/00/x", ".git/refs/heads/x", ".git/hooks",
        ".git/hooks/a/b", ".git/modules/x/config", ".git/info/grafts", "deep/er/.git/HEAD"}) {
    std::string whole = "/home/u/work/" + file;
    CHECK(refused(policy, whole) == whole + " is git's own: use git in the room, or tell the owner what to change");
  }
  for (std::string file : {".git/config.worktree", ".git/info/attributes", ".git/info/exclude", "deep/.git/config"}) {
    CHECK(refused(policy, "/home/u/work/" + file) == "nothing");
  }
  // Also where the git directory has another name.
  policy.repositories.push_back({.root = path("/home/u/work"),
                                 .entry = path("/home/u/work/.git"),
                                 .git_dir = path("/home/u/work/elsewhere"),
                                 .common_dir = path("/home/u/work/elsewhere")});
  CHECK(refused(policy, "/home/u/work/elsewhere/HEAD").ends_with("or tell the owner what to change"));
  CHECK(standing(policy, "/home/u/work/elsewhere/hooks/x").becomes == "git runs it as the hook x, if it is executable");
}
