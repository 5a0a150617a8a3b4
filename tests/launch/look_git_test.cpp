#include <algorithm>

#include <catch2/catch.hpp>

#include "git_facts.hpp"
#include "git_text.hpp"
#include "look_disk.hpp"
#include "look_support.hpp"

using namespace agentbox;
using namespace agentbox::launch;
using base::AbsPath;
using look_test::Folder;
using policy::GitFact;
using policy::GitLayout;

namespace {

GitLook look(const Folder& folder, const std::string& workspace, const std::vector<std::string>& repositories,
             const std::vector<std::string>& bare = {}) {
  HostDisk disk;
  std::vector<policy::Root> roots;
  for (const std::string& root : repositories) roots.push_back({.path = folder.path(root), .repository = true});
  std::vector<AbsPath> bare_paths;
  for (const std::string& path : bare) bare_paths.push_back(folder.path(path));
  return look_at_git(folder.path(workspace), roots, bare_paths, folder.path("home"), disk);
}

// A repository with one commit.
void make_repository(const Folder& folder, const std::string& name) {
  folder.git("init -q " + name);
  folder.git("-C " + name + " commit -q --allow-empty -m first");
}

std::string head(const std::string& git_dir_of) {
  return git_dir_of + "/.git";
}

}  // namespace

TEST_CASE("an ordinary repository's git directory is its own") {
  Folder folder;
  make_repository(folder, "w");
  GitLook git = look(folder, "w", {"w"});
  REQUIRE(git.repositories.size() == 1);
  const GitFact& fact = git.repositories[0];
  CHECK(fact.layout == GitLayout::directory);
  CHECK(fact.git_dir == folder.path(head("w")));
  CHECK(fact.common_dir == fact.git_dir);
  CHECK(fact.confirmed);
  CHECK(fact.modules.empty());
  CHECK(fact.links.empty());
  CHECK(git.stopped.empty());
  CHECK_FALSE(git.enclosing);
}

TEST_CASE("a linked worktree is believed because its repository names it back") {
  Folder folder;
  make_repository(folder, "main");
  folder.git("-C main worktree add -q ../w");
  GitLook git = look(folder, "w", {"w"});
  REQUIRE(git.repositories.size() == 1);
  CHECK(git.repositories[0].layout == GitLayout::worktree);
  CHECK(git.repositories[0].git_dir == folder.path("main/.git/worktrees/w"));
  CHECK(git.repositories[0].common_dir == folder.path("main/.git"));
  CHECK(git.repositories[0].confirmed);
  CHECK(git.repositories[0].modules.empty());

  // Seen from the repository, the worktree's own files are part of it.
  GitLook main = look(folder, "main", {"main"});
  REQUIRE(main.repositories.size() == 1);
  CHECK(main.repositories[0].modules == std::vector{folder.path("main/.git/worktrees/w")});
}

TEST_CASE("a planted .git file does not have a foreign repository granted") {
  Folder folder;
  make_repository(folder, "private");
  folder.git("-C private worktree add -q ../honest");
  folder.make_folder("w");
  SECTION("that names a worktree which belongs to another folder") {
    folder.make_file("w/.git", "gitdir: " + folder.str() + "/private/.git/worktrees/honest\n");
    GitLook git = look(folder, "w", {"w"});
    REQUIRE(git.repositories.size() == 1);
    CHECK(git.repositories[0].common_dir == folder.path("private/.git"));
    CHECK_FALSE(git.repositories[0].confirmed);
  }
  SECTION("that names the repository itself") {
    folder.make_file("w/.git", "gitdir: ../private/.git\n");
    GitLook git = look(folder, "w", {"w"});
    REQUIRE(git.repositories.size() == 1);
    CHECK_FALSE(git.repositories[0].confirmed);
  }
  SECTION("that goes round by a git directory of the agent's own making") {
    for (const char* name : {"HEAD", "objects/x", "refs/x"}) folder.make_file(std::string("w/fake/") + name);
    folder.make_file("w/fake/gitdir", folder.str() + "/w/.git\n");
    folder.make_file("w/fake/commondir", folder.str() + "/private/.git\n");
    folder.make_file("w/.git", "gitdir: fake\n");
    GitLook git = look(folder, "w", {"w"});
    REQUIRE(git.repositories.size() == 1);
    CHECK(git.repositories[0].common_dir == folder.path("private/.git"));
    CHECK_FALSE(git.repositories[0].confirmed);
    CHECK(git.repositories[0].links.empty());
  }
  SECTION("whose commondir is the root of the machine") {
    folder.make_file("w/.git/HEAD", "ref: refs/heads/x\n");
    folder.make_file("w/.git/commondir", "/\n");
    GitLook git = look(folder, "w", {"w"});
    REQUIRE(git.repositories.size() == 1);
    CHECK(git.repositories[0].common_dir.is_root());
    CHECK_FALSE(git.repositories[0].confirmed);
  }
  SECTION("as a symbolic link") {
    folder.make_link("w/.git", "../private/.git");
    GitLook git = look(folder, "w", {"w"});
    REQUIRE(git.repositories.size() == 1);
    CHECK(git.repositories[0].layout == GitLayout::linked);
    CHECK_FALSE(git.repositories[0].confirmed);
  }
}

TEST_CASE("what is no git directory is none") {
  Folder folder;
  folder.make_folder("w");
  SECTION("a FIFO") {
    folder.make_fifo("w/.git");
  }
  SECTION("a file of another kind") {
    folder.make_file("w/.git", "hello");
  }
  SECTION("a file that is too long") {
    folder.make_file("w/.git", "gitdir: " + std::string(1 << 20, '.'));
  }
  SECTION("a file that leads nowhere") {
    folder.make_file("w/.git", "gitdir: nowhere\n");
  }
  SECTION("a link that leads to itself") {
    folder.make_link("w/.git", ".git");
  }
  SECTION("nothing any more") {}
  CHECK(look(folder, "w", {"w"}).repositories.empty());
}

TEST_CASE("a submodule is confirmed by its superproject, and found where no walk looks") {
  Folder folder;
  make_repository(folder, "library");
  make_repository(folder, "super");
  folder.git("-C super submodule -q add ../library vendor/deep/library");
  folder.git("-C super commit -q -m sub");
  SECTION("as a workspace of its own") {
    GitLook git = look(folder, "super/vendor/deep/library", {"super/vendor/deep/library"});
    REQUIRE(git.repositories.size() == 1);
    CHECK(git.repositories[0].layout == GitLayout::submodule);
    CHECK(git.repositories[0].git_dir == folder.path("super/.git/modules/vendor/deep/library"));
    CHECK(git.repositories[0].confirmed);
  }
  SECTION("from above") {
    GitLook git = look(folder, "super", {"super"});
    REQUIRE(git.repositories.size() == 2);
    CHECK(git.repositories[0].modules == std::vector{folder.path("super/.git/modules/vendor/deep/library")});
    CHECK(git.repositories[1].root == folder.path("super/vendor/deep/library"));
    CHECK(git.repositories[1].confirmed);
    REQUIRE(git.more_roots.size() == 1);
    CHECK(git.more_roots[0].path == folder.path("super/vendor/deep/library"));
  }
  SECTION("but not for another folder") {
    folder.make_file("super/elsewhere/.git", "gitdir: ../.git/modules/vendor/deep/library\n");
    GitLook git = look(folder, "super/elsewhere", {"super/elsewhere"});
    REQUIRE(git.repositories.size() == 1);
    CHECK_FALSE(git.repositories[0].confirmed);
  }
}

TEST_CASE("links at places where git writes are found, and what hooks lead to") {
  Folder folder;
  make_repository(folder, "w");
  folder.make_file("w/scripts/check");
  folder.make_link("w/.git/FETCH_HEAD", "/tmp/elsewhere");
  folder.make_link("w/.git/logs/refs/heads/evil", "/tmp/elsewhere");
  folder.make_link("w/.git/refs/heads/a/b", "/tmp/elsewhere");
  folder.make_link("w/.git/objects/pack/x", "/tmp/elsewhere");
  folder.make_link("w/.git/hooks/pre-commit", "../../scripts/check");
  folder.git("-C w config core.hooksPath .husky/_");
  folder.make_folder("w/.husky/_");
  GitLook git = look(folder, "w", {"w"});
  REQUIRE(git.repositories.size() == 1);
  CHECK(git.repositories[0].links ==
        std::vector{folder.path("w/.git/FETCH_HEAD"), folder.path("w/.git/logs/refs/heads/evil"),
                    folder.path("w/.git/objects/pack/x"), folder.path("w/.git/refs/heads/a/b")});
  CHECK(git.repositories[0].hook_places == std::vector{folder.path("w/.husky/_"), folder.path("w/scripts/check")});
}

TEST_CASE("a git directory that is too deep to be looked through is said to be") {
  Folder folder;
  make_repository(folder, "w");
  folder.make_folder("w/.git/modules/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17");
  CHECK(look(folder, "w", {"w"}).stopped.starts_with("its git directories hold more than"));
}

TEST_CASE("a bare repository is its own git directory") {
  Folder folder;
  folder.git("init -q --bare w/store.git");
  GitLook git = look(folder, "w", {}, {"w/store.git"});
  REQUIRE(git.repositories.size() == 1);
  CHECK(git.repositories[0].layout == GitLayout::bare);
  CHECK(git.repositories[0].git_dir == folder.path("w/store.git"));
  CHECK(git.repositories[0].confirmed);
}

TEST_CASE("a folder inside a repository knows that its .git lies outside") {
  Folder folder;
  make_repository(folder, "w");
  folder.make_folder("w/src/deep");
  GitLook git = look(folder, "w/src/deep", {});
  CHECK(git.repositories.empty());
  CHECK(git.enclosing == folder.path("w"));
  folder.make_folder("alone");
  // Temporary folders lie in no repository, one should think; what is above this folder decides.
  CHECK(look(folder, "alone", {}).enclosing == look(folder, "", {}).enclosing);
}

TEST_CASE("the text of git's pointer files is taken as git takes it") {
  CHECK(parse_gitfile("gitdir: ../x\n") == "../x");
  CHECK(parse_gitfile("gitdir: /a b\r\n\n") == "/a b");
  CHECK_FALSE(parse_gitfile("gitdir:../x\n"));
  CHECK_FALSE(parse_gitfile("gitdir: \n"));
  CHECK_FALSE(parse_gitfile(" gitdir: x"));
  CHECK_FALSE(parse_path_line(std::string_view("a\0b", 3)));
  CHECK_FALSE(parse_path_line(std::string(5000, 'a')));
}

TEST_CASE("a git configuration is read as git reads it") {
  constexpr std::string_view text =
      "# comment\n[Core] ; another\n\tBare = false\n  worktree = ../a # why\n"
      "[remote \"core\"]\n worktree = no\n[core]\n\tWorkTree=\"../b  c\" \\\n  d\\te\n[user] name\n";
  CHECK(config_value(text, "core", "worktree") == "../b  c   d\te");
  CHECK(config_value(text, "core", "bare") == "false");
  CHECK(config_value(text, "user", "name") == "true");
  CHECK_FALSE(config_value(text, "core", "hookspath"));
  CHECK(config_value("[core]\nx = 1\n[broken\nx = 2\n", "core", "x") == "1");
  CHECK(config_value("[core] x = 1 \r\n", "core", "x") == "1");
  CHECK_FALSE(config_value("[core]\nx = \"open\n", "core", "x"));
  CHECK_FALSE(config_value("[core]\nx = \\q\n", "core", "x"));
}

TEST_CASE("git itself reads the same values") {
  Folder folder;
  for (const char* value : {"plain", "with\\ttab", "a#b", "\\\"quoted\\\"", "'x  y '", "\\$(x)"}) {
    folder.git("config --file c core.worktree \"" + std::string(value) + "\"");
    std::string ask = "git config --file '" + folder.str() + "/c' --null core.worktree >'" + folder.str() + "/said'";
    REQUIRE(std::system(ask.c_str()) == 0);
    std::ifstream said_file(folder.str() + "/said"), config_file(folder.str() + "/c");
    std::string said(std::istreambuf_iterator<char>(said_file), {});
    std::string config(std::istreambuf_iterator<char>(config_file), {});
    REQUIRE_FALSE(said.empty());
    said.pop_back();
    CHECK(config_value(config, "core", "worktree") == said);
  }
}
