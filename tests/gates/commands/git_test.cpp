// git on the host: in a repository that can't make it run anything, while the room stands still.

#include <algorithm>
#include <cstdlib>

#include <catch2/catch.hpp>

#include "agentbox/base/error.hpp"

#include "world.hpp"

using namespace agentbox;
using namespace agentbox::test::commands;
using wire::CommandExited;
using wire::CommandStarted;
namespace fs = std::filesystem;

namespace {

// As the owner would on his own command line.
int shell(const std::string& directory, const std::string& script) {
  return std::system(
      ("cd '" + directory + "' && export GIT_CONFIG_GLOBAL=/dev/null && { " + script + "; } >/dev/null 2>&1").c_str());
}

constexpr const char* make_repository =
    "git init -q -b main && git config user.name U && git config user.email u@example.org && echo a > f && git add f "
    "&& "
    "git commit -qm first";

struct Answer {
  std::string refused, out, error;
  CommandExited exited;
};
Answer git(World& world, std::vector<std::string> arguments, const std::string& directory) {
  arguments.insert(arguments.begin(), "git");
  Client client = world.client();
  client.run(1, std::move(arguments), directory);
  Answer answer;
  auto heard = client.hear();
  REQUIRE(heard);
  if (const auto* refusal = std::get_if<wire::Refusal>(&heard->message.body)) {
    answer.refused = refusal->message;
    return answer;
  }
  REQUIRE(std::get<wire::Verdict>(heard->message.body).verdict == wire::Verdict::Kind::allow);
  heard = client.hear();
  REQUIRE(heard);
  if (std::holds_alternative<CommandStarted>(heard->message.body)) {
    REQUIRE(heard->with.size() == 3);
    answer.out = read_all(heard->with[1]);
    answer.error = read_all(heard->with[2]);
    answer.exited = client.expect<CommandExited>();
  } else {
    answer.exited = std::get<CommandExited>(heard->message.body);
  }
  return answer;
}

}  // namespace

TEST_CASE("git runs in the workspace's repository, and the room stands still meanwhile") {
  std::vector<std::string> order;
  World world;
  world.setup.before = [&] { order.emplace_back("before"); };
  world.setup.after = [&] { order.emplace_back(fs::exists(world.workspace + "/g") ? "after" : "too early"); };
  REQUIRE(shell(world.workspace, std::string(make_repository) + " && mkdir -p sub") == 0);
  world.start();
  Answer answer = git(world, {"rev-parse", "--show-toplevel", "--show-prefix"}, world.workspace + "/sub");
  CHECK(answer.out == world.workspace + "\nsub/\n");
  order.clear();
  answer = git(world, {"branch", "new"}, world.workspace);
  CHECK(answer.exited == CommandExited{CommandExited::How::exited, 0, {}});
  write_file(world.workspace + "/g", "");
  order.clear();
  CHECK(git(world, {"no-such-command"}, world.workspace).exited.number == 1);
  world.in_loop([] {});
  CHECK(order == std::vector<std::string>{"before", "after"});
  CHECK(shell(world.workspace, "git rev-parse --verify new") == 0);
}

TEST_CASE("no hook of the repository runs on the host") {
  World world;
  REQUIRE(shell(world.workspace, make_repository) == 0);
  write_file(world.workspace + "/.git/hooks/pre-commit", "#!/bin/sh\ntouch " + (world.folder / "ran") + "\n", 0755);
  REQUIRE(shell(world.workspace, "git commit --allow-empty -qm control") == 0);
  REQUIRE(fs::remove(world.folder / "ran"));
  world.start();
  CHECK(git(world, {"commit", "--allow-empty", "-qm", "second"}, world.workspace).exited.number == 0);
  CHECK_FALSE(fs::exists(world.folder / "ran"));
  CHECK(git(world, {"log", "--format=%s"}, world.workspace).out == "second\ncontrol\nfirst\n");
}

TEST_CASE("git on the host reaches no repository by its path, whose hooks it would run") {
  World world;
  REQUIRE(shell(world.workspace, make_repository) == 0);
  REQUIRE(shell(world.folder.str(), "git init -q --bare other.git") == 0);
  const std::string other = world.folder / "other.git";
  write_file(other + "/hooks/pre-receive", "#!/bin/sh\ntouch " + (world.folder / "ran") + "\n", 0755);
  REQUIRE(shell(world.workspace, "git push '" + other + "' main:control") == 0);
  REQUIRE(fs::remove(world.folder / "ran"));
  world.start();
  for (const std::string& address :
       {other, "file://" + other, std::string("ext::sh -c touch% ") + (world.folder / "ran")}) {
    Answer answer = git(world, {"push", address, "main"}, world.workspace);
    CHECK(answer.exited.number == 128);
    CHECK(answer.error.find("not allowed") != std::string::npos);
  }
  CHECK_FALSE(fs::exists(world.folder / "ran"));
}

TEST_CASE("a repository that could make git run something is refused, with what it is") {
  World world;
  const std::string& w = world.workspace;
  REQUIRE(shell(w, make_repository) == 0);
  auto [spoil, why] = GENERATE(table<std::string, std::string>({
      {"git config core.fsmonitor 'touch ran'",
       "git on the host would act on settings of the repository that are not known to be harmless, in W/.git/config: "
       "core.fsmonitor"},
      {"git config remote.origin.url 'ext::sh -c x'",
       "git on the host would act on settings of the repository that are not known to be harmless, in W/.git/config: "
       "remote.origin.url, which is no plain https, ssh or git address"},
      {"git config extensions.worktreeConfig true && git config --worktree core.pager x",
       "git on the host would act on settings of the repository that are not known to be harmless, in "
       "W/.git/config.worktree: core.pager"},
      {"mv .git/index elsewhere && ln -s ../elsewhere .git/index",
       "W/.git/index is a symbolic link: git would read or write elsewhere"},
      {"mkdir -p .git/refs/heads/objects/ab && ln -s /tmp/x .git/refs/heads/objects/ab/y",
       "W/.git/refs/heads/objects/ab/y is a symbolic link: git would read or write elsewhere"},
      {"ln -s /tmp/x .git/objects/info/commit-graph",
       "W/.git/objects/info/commit-graph is a symbolic link: git would read or write elsewhere"},
      {"rm -r .git/logs && ln -s /tmp .git/logs", "W/.git/logs is a symbolic link: git would read or write elsewhere"},
      {"mv .git elsewhere && ln -s elsewhere .git", "W/.git is a symbolic link, or nothing that git knows"},
      {"rm .git/config && mkfifo .git/config", "W/.git/config can't be read"},
      {"echo /x > .git/objects/info/alternates",
       "the repository borrows objects of another one (objects/info/alternates)"},
      {"mv .git elsewhere && echo 'gitdir: ../w/elsewhere' > .git",
       "W/.git leads to a repository that does not know of it (a submodule, or a planted file)"},
      {"rm -r .git && mkdir -p objects refs && echo 'ref: refs/heads/main' > HEAD",
       "W looks like a repository without a working tree"},
  }));
  REQUIRE(shell(w, spoil) == 0);
  world.start();
  std::string expected = why;
  for (std::size_t at = 0; (at = expected.find('W', at)) != std::string::npos; at += w.size())
    expected.replace(at, 1, w);
  CHECK(git(world, {"status"}, w).refused == expected);
  CHECK(world.decider.asked_so_far() == 0);
}

TEST_CASE("a repository within another is refused") {
  World world;
  REQUIRE(shell(world.workspace, make_repository) == 0);
  REQUIRE(shell(world.workspace + "/sub", make_repository) == 0);
  world.start();
  CHECK(git(world, {"status"}, world.workspace + "/sub").refused ==
        "the repository " + world.workspace + "/sub lies within another, " + world.workspace);
  CHECK(git(world, {"status"}, world.workspace).exited.number == 0);
}

TEST_CASE("a linked worktree that its repository knows is one") {
  World world;
  REQUIRE(shell(world.folder / "outside", std::string(make_repository) + " && git worktree add ../w/tree -b side") ==
          0);
  world.start();
  Answer answer = git(world, {"rev-parse", "--abbrev-ref", "HEAD"}, world.workspace + "/tree");
  CHECK(answer.refused.empty());
  CHECK(answer.out == "side\n");
  // A file that claims the same from elsewhere is not.
  fs::create_directory(world.workspace + "/fake");
  fs::copy_file(world.workspace + "/tree/.git", world.workspace + "/fake/.git");
  CHECK(git(world, {"status"}, world.workspace + "/fake").refused ==
        world.workspace + "/fake/.git leads to a repository that does not know of it (a submodule, or a planted file)");
}

TEST_CASE("what git's own arguments would make it do is refused") {
  World world;
  REQUIRE(shell(world.workspace, make_repository) == 0);
  world.start();
  for (const char* option : {"-c", "--git-dir=/x", "-C", "--exec-path=/x", "--config-env=a=b", "--work-tree=/", "-p"}) {
    CHECK(git(world, {option, "core.pager=x", "log"}, world.workspace).refused ==
          "git's option " + std::string(option) +
              " is refused on the host: change to the repository's directory and run git there without it");
  }
  for (const char* command : {"config", "submodule", "credential", "credential-store", "hook"}) {
    CHECK(git(world, {"--no-pager", command, "x"}, world.workspace).refused ==
          "`git " + std::string(command) + "` is refused on the host: ask the owner to run it himself");
  }
  CHECK(git(world, {"--no-pager", "log", "--oneline"}, world.workspace).exited.number == 0);
}

TEST_CASE("a repository is looked at again when the room stands still") {
  World world;
  REQUIRE(shell(world.workspace, make_repository) == 0);
  int after = 0;
  world.setup.before = [&] { REQUIRE(shell(world.workspace, "git config core.fsmonitor 'touch ran'") == 0); };
  world.setup.after = [&] { ++after; };
  world.start();
  Answer answer = git(world, {"status"}, world.workspace);
  CHECK(answer.exited.number == 126);
  CHECK(answer.exited.reason.ends_with("/.git/config: core.fsmonitor"));
  world.in_loop([] {});
  CHECK(after == 1);
}

TEST_CASE("a push says where to, and doesn't go when that has changed since the question") {
  World world;
  REQUIRE(shell(world.workspace, std::string(make_repository) + " && git remote add origin http://127.0.0.1:9/a") == 0);
  const bool changes = GENERATE(false, true);
  world.setup.before = [&] {
    if (changes) REQUIRE(shell(world.workspace, "git remote set-url origin http://127.0.0.1:9/evil") == 0);
  };
  world.start();
  Answer answer = git(world, {"push", "origin", "main"}, world.workspace);
  const broker::Asked asked = world.decider.asked(1).at(0);
  const auto fact = std::ranges::find(asked.facts, "sends to", &prompt::Fact::label);
  REQUIRE(fact != asked.facts.end());
  CHECK(fact->value == "http://127.0.0.1:9/a");
  CHECK(std::get<policy::Command>(asked.action).remotes ==
        policy::Remotes{policy::Remotes::Certain::yes, {"http://127.0.0.1:9/a"}});
  if (changes) {
    CHECK(answer.exited == CommandExited{CommandExited::How::exited, 126,
                                         "the addresses that git would talk to are others than in the question"});
  } else {
    CHECK(answer.error.find("http://127.0.0.1:9/a") != std::string::npos);  // git's own words: nobody is there
  }
}

TEST_CASE("where nobody can say where git would send to, that is said, and no answer lasts") {
  World world;
  REQUIRE(shell(world.workspace, make_repository) == 0);
  world.start();
  CHECK(git(world, {"push", "origin", "main"}, world.workspace).exited.number == 128);
  const broker::Asked asked = world.decider.asked(1).at(0);
  CHECK(std::ranges::count(asked.facts, "nobody can say which address git will talk to", &prompt::Fact::value) == 1);
  CHECK(asked.session_scopes.empty());
  CHECK(asked.lasting_scopes.empty());
}

TEST_CASE("nothing runs when the room can't be stopped") {
  World world;
  REQUIRE(shell(world.workspace, make_repository) == 0);
  bool called = false;
  world.setup.before = [] { throw base::SystemError(0, "something in the room still runs"); };
  world.setup.after = [&] { called = true; };
  world.start();
  CHECK(git(world, {"branch", "new"}, world.workspace).exited ==
        CommandExited{CommandExited::How::exited, 126, "something in the room still runs"});
  CHECK(shell(world.workspace, "git rev-parse --verify new") != 0);
  world.end();
  CHECK_FALSE(called);
}

TEST_CASE("while the room stands still neither time nor output is without end") {
  World world([](auto& setup) {
    setup.limits.hang_up = std::chrono::milliseconds(50);
    setup.limits.standstill = std::chrono::milliseconds(100);
  });
  write_file(world.folder / "bin/git", "#!/bin/sh\nexec $1 $2\n", 0755);
  std::string which = GENERATE("time", "output");
  if (which == "output") {
    world.setup.limits.standstill = std::chrono::minutes(1);
    world.setup.limits.standstill_output = 100'000;
  }
  world.start();
  Answer answer =
      which == "time" ? git(world, {"sleep", "1000"}, world.workspace) : git(world, {"yes"}, world.workspace);
  CHECK(answer.exited.how == CommandExited::How::killed);
  CHECK(answer.exited.reason == (which == "time" ? "it took too long while the room stood still"
                                                 : "it wrote too much while the room stood still"));
}
