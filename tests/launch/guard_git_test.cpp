#include "guard_git.hpp"

#include <catch2/catch.hpp>

#include "agentbox/policy/look.hpp"

#include "guard_config.hpp"
#include "guard_search.hpp"
#include "guard_support.hpp"
#include "walk_store.hpp"

using namespace agentbox::launch::test;
using namespace agentbox::launch;
using namespace agentbox;
using Kind = GuardEvent::Kind;
using Keys = std::vector<std::string>;

TEST_CASE("inert configuration executes nothing") {
  CHECK(executing_keys("[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tfsmonitor = true\n"
                       "[remote \"origin\"]\n\turl = https://example.org/x.git\n\tfetch = +refs/heads/*:refs/*\n"
                       "[branch \"main\"]\n\tremote = origin\n[user]\n\tname = x ; sshCommand = y\n"
                       "[alias]\n\tco = checkout\n# [core] pager = x\n")
            .empty());
}

TEST_CASE("every way to write a key that executes is seen") {
  CHECK(executing_keys("[core]\n  fsMonitor = ./evil\n") == Keys{"core.fsmonitor"});
  CHECK(executing_keys("[CORE] sshcommand=evil") == Keys{"core.sshcommand"});
  CHECK(executing_keys("[core]\r\n\thooksPath = x\r\n") == Keys{"core.hookspath"});
  CHECK(executing_keys("[filter \"a \\\"b]\"]\nclean = evil\n") == Keys{"filter.a \"b].clean"});
  CHECK(executing_keys("[filter.lfs]\nprocess = evil\n") == Keys{"filter.lfs.process"});
  CHECK(executing_keys("[alias]\nx = \"!evil\"\n") == Keys{"alias.x"});
  CHECK(executing_keys("[alias]\nx = \\\n!evil\n") == Keys{"alias.x"});
  CHECK(executing_keys("[include]path=../evil\n[includeIf \"gitdir:/\"]\npath = x") ==
        Keys{"include.path", "includeif.gitdir:/.path"});
  CHECK(executing_keys("[a]x=1 # c\n[diff \"x\"] textconv = y") == Keys{"diff.x.textconv"});
  CHECK(executing_keys("[remote \"o\"]\nurl = ext::sh -c evil\n") == Keys{"remote.o.url"});
  CHECK(executing_keys("[submodule \"x\"]\nupdate = !evil\n") == Keys{"submodule.x.update"});
  CHECK(executing_keys("\xef\xbb\xbf[core]\npager=x") == Keys{"core.pager"});
  CHECK(executing_keys("[user]\nname = \"a\\\"\n[core]\npager = x\n") == Keys{"core.pager"});
  CHECK(executing_keys("[core]\npager=x\npager=y\n") == Keys{"core.pager"});
  CHECK(executing_keys("[core] garbage ! \n!!\n pager = x\n") == Keys{"core.pager"});
}

TEST_CASE("half a line at the end stops the reader, not the program") {
  for (const char* text :
       {"[", "[core", "[core \"", "[core \"\\", "[core]\nx =", "[core]\nx = \\", "[core]\nx = \"", "=", "]"}) {
    CHECK(executing_keys(text).empty());
  }
}

namespace {

void make_git(const World& world, const std::string& relative) {
  for (const char* part : {"", "/hooks", "/refs", "/refs/heads", "/logs", "/objects", "/objects/ab", "/modules"}) {
    make_dir(world.in(relative + part));
  }
  write(world.in(relative + "/HEAD"), "ref: refs/heads/main\n");
  write(world.in(relative + "/config"), "[core]\n\tbare = false\n");
  write(world.in(relative + "/hooks/pre-commit.sample"), "#!/bin/sh\n");
  ::chmod(world.in(relative + "/hooks/pre-commit.sample").c_str(), 0755);
}

void know(World& world, const std::string& root) {
  AbsPath entry = abs(world.in(root + ".git"));
  world.policy.repositories.push_back({.root = entry.parent(),
                                       .entry = entry,
                                       .layout = policy::GitLayout::directory,
                                       .git_dir = entry,
                                       .common_dir = entry,
                                       .confirmed = true,
                                       .modules = {},
                                       .links = {}});
}

}  // namespace

TEST_CASE("a link that the agent put into a git directory is taken; one that was there stays") {
  World world;
  make_git(world, ".git");
  write(world.folder / "owners", "precious");
  (void)!::symlink("refs", world.in(".git/old").c_str());
  (void)!::symlink("refs", world.in(".git/turned").c_str());
  know(world, "");
  world.policy.repositories[0].links = {abs(world.in(".git/old")), abs(world.in(".git/turned"))};
  Guard guard(world.policy, world.plan, abs(world.state), "s1");

  std::string victim = world.folder / "owners";
  for (const char* name : {"index", "logs/HEAD", "refs/heads/main", "objects/ff"}) {
    REQUIRE(::symlink(victim.c_str(), world.in(std::string(".git/") + name).c_str()) == 0);
  }
  ::unlink(world.in(".git/turned").c_str());
  (void)!::symlink(victim.c_str(), world.in(".git/turned").c_str());
  std::vector<GuardEvent> events = guard.finish();
  CHECK(count(events, Kind::quarantined) == 5);
  for (const char* name : {"index", "logs/HEAD", "refs/heads/main", "objects/ff", "turned"}) {
    CHECK_FALSE(exists(world.in(std::string(".git/") + name)));
  }
  CHECK(exists(world.in(".git/old")));
  CHECK(read(victim) == "precious");
}

TEST_CASE("no name hides a link that git on the host would write through") {
  World world;
  make_git(world, ".git");
  make_git(world, ".git/modules/lib");
  know(world, "");
  write(world.folder / "owners", "precious");
  std::string victim = world.folder / "owners";
  // What was there stays: hooks are often links.
  REQUIRE(::symlink("../../tools/check", world.in(".git/hooks/pre-commit").c_str()) == 0);
  Guard guard(world.policy, world.plan, abs(world.state), "s1");
  std::vector<std::string> links;
  for (const char* folder :
       {"logs/refs/heads/lfs/x", "logs/refs/heads/annex/x", "refs/heads/objects/ab", "objects/info", "objects/pack",
        "lfs/incomplete", "annex/journal", "modules/lib/refs/heads/objects/ab", "modules/lib/objects/info"}) {
    REQUIRE(std::system(("mkdir -p '" + world.in(std::string(".git/") + folder) + "'").c_str()) == 0);
    links.push_back(world.in(std::string(".git/") + folder + "/y"));
  }
  // A folder of refs that is dressed up as a git directory.
  for (const char* part : {"", "/refs", "/objects", "/objects/ab"}) {
    make_dir(world.in(std::string(".git/refs/heads/topic") + part));
  }
  write(world.in(".git/refs/heads/topic/HEAD"), "");
  links.push_back(world.in(".git/refs/heads/topic/objects/ab/y"));
  for (const std::string& link : links) REQUIRE(::symlink(victim.c_str(), link.c_str()) == 0);
  // Only ever read, by its hash.
  const std::string loose = world.in(".git/modules/lib/objects/ab/y");
  REQUIRE(::symlink(victim.c_str(), loose.c_str()) == 0);
  std::vector<GuardEvent> events = guard.finish();
  CHECK(count(events, Kind::quarantined) == static_cast<int>(links.size()));
  for (const std::string& link : links) {
    INFO(link);
    CHECK_FALSE(exists(link));
  }
  CHECK(exists(world.in(".git/hooks/pre-commit")));
  CHECK(exists(loose));
}

TEST_CASE("in a worktree's run the repository it belongs to is looked through as well") {
  World world;
  make_git(world, ".git");
  make_dir(world.folder / "main");
  make_git(world, "../main/.git");
  const std::string main = world.folder / "main/.git";
  const bool confirmed = GENERATE(true, false);
  world.policy.repositories.push_back({.root = abs(world.workspace),
                                       .entry = abs(world.in(".git")),
                                       .layout = policy::GitLayout::worktree,
                                       .git_dir = abs(world.in(".git")),
                                       .common_dir = abs(main),
                                       .confirmed = confirmed,
                                       .modules = {},
                                       .links = {}});
  Guard guard(world.policy, world.plan, abs(world.state), "s1");
  REQUIRE(::symlink("/tmp", (main + "/refs/heads/zz").c_str()) == 0);
  make_dir(main + "/modules/lib");
  make_git(world, "../main/.git/modules/lib/new");
  write(main + "/modules/lib/new/config", "[core]\npager = evil\n");
  std::vector<GuardEvent> events = guard.finish();
  // A foreign folder is not touched because a file in the workspace names it.
  CHECK(exists(main + "/refs/heads/zz") == !confirmed);
  CHECK(count(events, Kind::quarantined) == (confirmed ? 1 : 0));
  CHECK(count(events, Kind::would_execute) == (confirmed ? 1 : 0));
}

TEST_CASE("what the agent cloned is listed with what it would execute") {
  World world;
  make_git(world, ".git");
  make_dir(world.in("known"));
  know(world, "");
  world.watch_for(".envrc");
  world.ghost(".vscode");
  Guard guard(world.policy, world.plan, abs(world.state), "s1");

  SECTION("nothing but samples and inert keys: nothing is said") {
    make_dir(world.in("clone"));
    make_git(world, "clone/.git");
    CHECK(guard.finish().empty());
  }
  SECTION("hooks, keys and kinds") {
    make_dir(world.in("clone"));
    make_git(world, "clone/.git");
    write(world.in("clone/.git/hooks/post-checkout"), "evil");
    ::chmod(world.in("clone/.git/hooks/post-checkout").c_str(), 0755);
    write(world.in("clone/.git/hooks/not-executable"), "");
    write(world.in("clone/.git/config"), "[core]\nfsmonitor = evil\n");
    write(world.in("clone/.envrc"), "");
    make_dir(world.in("clone/.vscode"));
    write(world.in("clone/.vscode/tasks.json"), "{}");
    std::vector<GuardEvent> events = guard.finish();
    REQUIRE(events.size() == 3);
    CHECK(events[0].kind == Kind::would_execute);
    CHECK(events[0].path.str() == world.in("clone"));
    CHECK(events[0].detail == "was made during the run; git would execute hooks/post-checkout, core.fsmonitor");
    CHECK(events[1].path.str() == world.in("clone/.envrc"));
    CHECK(events[1].detail == "was made during the run; direnv would execute it");
    CHECK(events[2].path.str() == world.in("clone/.vscode"));
    CHECK(events[2].detail == "was made during the run; VS Code would execute it");
  }
  SECTION("a bare repository by any name") {
    make_git(world, "data");
    write(world.in("data/config"), "[core]\nsshCommand = evil\n");
    REQUIRE(guard.finish().at(0).detail == "was made during the run; git would execute core.sshcommand");
  }
  SECTION("a .git file, and a common directory of its own") {
    make_dir(world.in("tree"));
    make_git(world, "store");
    make_git(world, "common");
    ::unlink(world.in("store/HEAD").c_str());
    ::unlink(world.in("common/HEAD").c_str());
    write(world.in("store/commondir"), "../common\n");
    write(world.in("common/config"), "[alias]\nst = !evil\n");
    write(world.in("tree/.git"), "gitdir: ../store\n");
    REQUIRE(guard.finish().at(0).path.str() == world.in("tree"));
  }
  SECTION("a new submodule of the known repository") {
    make_git(world, ".git/modules/lib");
    write(world.in(".git/modules/lib/config"), "[filter \"x\"]\nsmudge = evil\n");
    std::vector<GuardEvent> events = guard.finish();
    REQUIRE(events.size() == 1);
    CHECK(events[0].path.str() == world.in(".git/modules/lib"));
  }
  SECTION("at any depth, however short the run is") {
    make_dir(world.in("known/deep"));
    make_git(world, "known/deep/.git");
    write(world.in("known/deep/.git/config"), "[core]\npager = evil\n");
    std::vector<GuardEvent> events = guard.finish();
    REQUIRE(events.size() == 1);
    CHECK(events[0].path.str() == world.in("known/deep"));
  }
  SECTION("a kind at any place, but not below node_modules") {
    make_dir(world.in("pkg"));
    write(world.in("pkg/.envrc"), "");
    make_dir(world.in("pkg/.vscode"));  // empty: it may be another room's
    make_dir(world.in("node_modules"));
    make_dir(world.in("node_modules/x"));
    write(world.in("node_modules/x/.envrc"), "");
    std::vector<GuardEvent> events = guard.finish();
    REQUIRE(events.size() == 1);
    CHECK(events[0].path.str() == world.in("pkg/.envrc"));
  }
}

TEST_CASE("a held kind at another place is told, and an old one that changed") {
  World world;
  make_dir(world.in("sub"));
  make_dir(world.in("sub/.claude"));
  write(world.in("sub/.claude/settings.json"), "{}");
  write(world.in("sub/CLAUDE.md"), "");
  world.hold("AGENTS.md", policy::FileKind::missing);
  world.hold("CLAUDE.md", policy::FileKind::missing);
  world.ghost(".claude");
  ::usleep(50'000);  // what was there is older than the clock is coarse
  Guard guard(world.policy, world.plan, abs(world.state), "s1");
  SECTION("what was there and stays is nothing") {
    CHECK(guard.finish().empty());
  }
  SECTION("made, and changed below") {
    write(world.in("sub/AGENTS.md"), "obey");
    write(world.in("sub/.claude/settings.json"), "evil");
    std::vector<GuardEvent> events = guard.finish();
    REQUIRE(events.size() == 2);
    CHECK(events[0].path.str() == world.in("sub/.claude"));
    CHECK(events[0].detail.ends_with(" during the run; a program outside would execute it"));
    CHECK(events[1].path.str() == world.in("sub/AGENTS.md"));
    CHECK(events[1].detail == "was made during the run; an agent that works there would obey it");
  }
  SECTION("many are a number") {
    for (int i = 0; i < 70; ++i) {
      make_dir(world.in("d" + std::to_string(i)));
      write(world.in("d" + std::to_string(i) + "/AGENTS.md"), "");
    }
    std::vector<GuardEvent> events = guard.finish();
    REQUIRE(events.size() == 65);
    CHECK(events[64].detail ==
          "has 6 more files and folders that programs outside would act upon, made or changed during the run");
  }
}

TEST_CASE("what can't be looked at is told like what would execute") {
  World world;
  make_git(world, ".git");
  know(world, "");
  Guard guard(world.policy, world.plan, abs(world.state), "s1");
  make_dir(world.in("n"));
  make_git(world, "n/.git");
  const std::string git = world.in("n/.git");
  auto told = [&] {
    std::string all;
    for (const GuardEvent& event : guard.finish()) all += event.path.str() + " " + event.detail + "\n";
    return all;
  };
  auto expected = [&](const std::string& what) {
    return world.in("n") + " was made during the run; git would execute " + what + "\n";
  };
  SECTION("a configuration that is a link") {
    ::unlink((git + "/config").c_str());
    write(world.in("data"), "[core]\nfsmonitor = evil\n");
    REQUIRE(::symlink("../../data", (git + "/config").c_str()) == 0);
    CHECK(told() == expected("config (a link)"));
  }
  SECTION("hooks that are a link") {
    REQUIRE(::rename((git + "/hooks").c_str(), world.in("h").c_str()) == 0);
    REQUIRE(::symlink("../../h", (git + "/hooks").c_str()) == 0);
    CHECK(told() == expected("hooks (a link)"));
  }
  SECTION("a configuration too long") {
    write(git + "/config", std::string(300 * 1024, '\n') + "[core]\nfsmonitor = evil\n");
    CHECK(told() == expected("config (too big to be looked at)"));
  }
  SECTION("a thousand files beside the hook") {
    for (int i = 0; i < 1001; ++i) write(git + "/hooks/" + std::to_string(i), "");
    CHECK(told() == expected("hooks (too many to list)"));
  }
  SECTION("more submodules than are listed, and in a known repository ones that lie too deep") {
    for (int i = 0; i < 1001; ++i) make_dir(git + "/modules/" + std::to_string(i));
    std::string deep = world.in(".git/modules");
    for (int i = 0; i < 10; ++i) make_dir(deep += "/x");
    CHECK(told() ==
          expected("modules (not all can be looked at)") + world.in(".git/modules") +
              " can't be looked at as a whole: git would execute the hooks and settings of what is new in it\n");
  }
  SECTION("a .git file that leads through a link") {
    REQUIRE(::rename(git.c_str(), world.in("store").c_str()) == 0);
    make_dir(world.in("deep"));
    REQUIRE(::symlink("deep", world.in("l").c_str()) == 0);
    write(git, "gitdir: ../l/../store\n");
    CHECK(told() == expected(".git (where it leads can't be told)"));
  }
  SECTION("a bare repository whose folders are links") {
    for (const char* part : {"refs", "objects"}) {
      REQUIRE(::rename((git + "/" + part).c_str(), world.in(std::string("the-") + part).c_str()) == 0);
    }
    REQUIRE(::rename(git.c_str(), world.in("bare").c_str()) == 0);
    for (const char* part : {"refs", "objects"}) {
      REQUIRE(::symlink((std::string("../the-") + part).c_str(), world.in(std::string("bare/") + part).c_str()) == 0);
    }
    write(world.in("bare/config"), "[core]\npager = evil\n");
    CHECK(told() == world.in("bare") + " was made during the run; git would execute core.pager\n");
  }
}

TEST_CASE("commands in the list of a rebase are told, an ordinary rebase is not") {
  World world;
  make_git(world, ".git");
  make_dir(world.in(".git/rebase-merge"));
  const std::string todo = world.in(".git/rebase-merge/git-rebase-todo");
  write(todo, "pick 1234567 one\nexec make\n");
  know(world, "");
  ::usleep(150'000);  // the owner's own, older than the clock is coarse
  Guard guard(world.policy, world.plan, abs(world.state), "s1");
  SECTION("the owner's own commands") {
    CHECK(guard.finish().empty());
  }
  SECTION("picks") {
    write(todo, "pick 1234567 exec\n# exec x\nlabel x\n");
    CHECK(guard.finish().empty());
  }
  SECTION("a command, a short one") {
    write(todo, GENERATE("pick 1234567 one\nexec touch x\n", "  x\ttouch x"));
    std::vector<GuardEvent> events = guard.finish();
    REQUIRE(events.size() == 1);
    CHECK(events[0].path.str() == todo);
    CHECK(events[0].detail ==
          "was made or changed during the run; `git rebase --continue` would execute its `exec` lines");
  }
  SECTION("in a worktree that is new, and one that leads elsewhere") {
    for (const char* part : {"", "/a", "/a/rebase-merge", "/b", "/c"}) {
      make_dir(world.in(std::string(".git/worktrees") + part));
    }
    for (const char* name : {"a", "c"})
      write(world.in(std::string(".git/worktrees/") + name + "/commondir"), "../..\n");
    write(world.in(".git/worktrees/a/rebase-merge/git-rebase-todo"), "x touch x\n");
    write(world.in(".git/worktrees/b/commondir"), "../../../common\n");
    make_dir(world.in("common"));
    write(world.in("common/config"), "[core]\npager = evil\n");
    std::vector<GuardEvent> events = guard.finish();
    REQUIRE(events.size() == 2);
    CHECK(events[0].detail == "was made during the run; git would execute rebase-merge/git-rebase-todo");
    CHECK(events[1].detail == "was made during the run; git would execute core.pager");
  }
  SECTION("a folder with an old list that was moved there") {
    REQUIRE(::rename(world.in(".git/rebase-merge").c_str(), world.in(".git/r").c_str()) == 0);
    REQUIRE(::rename(world.in(".git/r").c_str(), world.in(".git/rebase-merge").c_str()) == 0);
    CHECK(guard.finish().size() == 1);
  }
}

TEST_CASE("the search at the end believes the memory of the start for what has not changed, and for nothing else") {
  World world;
  for (int i = 0; i < 260; ++i) make_dir(world.in("d" + std::to_string(i)));  // worth remembering
  make_dir(world.in("deep"));
  make_dir(world.in("deep/er"));
  Tree tree(abs(world.in("")));
  WalkRequest request{.top = tree.workspace(),
                      .roots = true,
                      .foreign = policy::foreign_directories(),
                      .markers = policy::package_markers(),
                      .kinds = {".envrc"}};
  request.noting = WalkRequest::Noting::yes;
  request.now_ns = INT64_MAX;
  WalkStore walks(abs(world.state), request);
  walks.note(walk(request).notes);
  walks.save();
  REQUIRE(walks.load());
  // In the same tick of the clock nothing might be seen: the rule that `now_ns` has put out of force.
  while (tree.look(tree.workspace() / "deep/er")->changed_ns == tree.root().changed_ns) {
    make_dir(world.in("tick"));
    ::rmdir(world.in("tick").c_str());
  }
  Kinds kinds{.executed = {".envrc"}, .obeyed = {}, .guarded = {}};
  auto search = [&](const WalkStore* store) {
    std::vector<std::string> found;
    for (const GuardEvent& event : find_executing(tree, {}, kinds, 0, store)) {
      found.push_back(event.path.str() + ": " + event.detail);
    }
    return found;
  };
  CHECK(search(&walks).empty());
  make_git(world, "deep/er/.git");
  write(world.in("deep/er/.git/config"), "[core]\nfsmonitor = evil\n");
  REQUIRE(search(nullptr).size() == 1);
  CHECK(search(&walks) == search(nullptr));
}
