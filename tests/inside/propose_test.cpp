// `agentbox propose` against a changes gate: each test starts the real program.

#include <sys/wait.h>

#include <catch2/catch.hpp>

#include "../gates/changes/world.hpp"
#include "room_propose.hpp"

using namespace agentbox;
using namespace agentbox::test::changes;

namespace {

struct Ran {
  int code = -1;
  std::string out, error;
};

// The program as $agentbox in a shell, which begins in the workspace.
Ran shell(World& world, const std::string& script) {
  const std::string out = world.folder / "out", error = world.folder / "error", own = world.folder / "agentbox";
  // By another name it is a shim.
  if (::symlink(AGENTBOX_ROOM, own.c_str()) != 0 && errno != EEXIST) throw std::runtime_error("symlink");
  const std::string line = "cd '" + world.workspace + "' && export AGENTBOX_TEST_SOCKET='" + world.socket() +
                           "' AGENTBOX_SOCKET='" + world.socket() + "' agentbox='" + own + "' && { " + script +
                           "\n} >'" + out + "' 2>'" + error + "'";
  const int status = std::system(line.c_str());  // NOLINT(concurrency-mt-unsafe)
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 1000, content_of(out), content_of(error)};
}

}  // namespace

TEST_CASE("propose hands over standard input, sealed, and says when it is done") {
  World world;
  write_file(world.at(".envrc"), "old\n");
  world.start();
  Ran ran = shell(world, "printf 'new\\n' | $agentbox propose --why 'the reason' .envrc");
  CHECK(ran.code == 0);
  CHECK(ran.out == "changed " + world.at(".envrc") + "\n");
  CHECK(content_of(world.at(".envrc")) == "new\n");
  CHECK(world.decider.asked(1).at(0).said == "the reason");
  CHECK(shell(world, "cd sub && $agentbox propose --remove ../.envrc").out == "removed " + world.at(".envrc") + "\n");
  CHECK_FALSE(std::filesystem::exists(world.at(".envrc")));
  CHECK(shell(world, "head -c 300000 /dev/zero | tr '\\0' x | AGENTBOX_WHY=env $agentbox propose sub/big").code == 0);
  CHECK(content_of(world.at("sub/big")).size() == 300'000);
  CHECK(world.decider.asked(3).at(2).said == "env");
}

TEST_CASE("propose ends with a code for each way in which it was not done, and says what to do") {
  struct Case {
    Verdict::Kind kind;
    int code;
    std::string_view says;
  };
  for (const Case& one : {Case{Verdict::Kind::deny, 77, "agentbox: denied: "},
                          Case{Verdict::Kind::expired, 75, "nobody answered in time"},
                          Case{Verdict::Kind::unavailable, 75, "Nothing was changed."},
                          Case{Verdict::Kind::duplicate, 75, "The same change was proposed at the same time"}}) {
    World world;
    world.decider.answer = [&](auto&) { return verdict(one.kind); };
    world.start();
    Ran ran = shell(world, "echo x | $agentbox propose file");
    INFO(ran.error);
    CHECK(ran.code == one.code);
    CHECK(ran.error.find(one.says) != std::string::npos);
    CHECK(ran.error.find("reason: because the test says so") != std::string::npos);
  }
  World world;
  world.start();
  Ran ran = shell(world, "echo x | $agentbox propose hidden/x");
  CHECK(ran.code == 126);
  CHECK(ran.error == "agentbox: not changed: " + world.at("hidden/x") + "\n  reason: " + world.at("hidden/x") +
                         " is hidden from this room, and not changed from here\n");
  CHECK(shell(world, "head -c 1048577 /dev/zero | $agentbox propose x").error ==
        "agentbox: the new content is bigger than 1 MiB: nobody could read the difference\n");
  CHECK(shell(world, "export AGENTBOX_TEST_SOCKET=/nowhere AGENTBOX_SOCKET=/nowhere; $agentbox propose x </dev/null")
            .code == 125);
}

TEST_CASE("propose says so when it is misused") {
  World world;
  for (const char* words : {"", "a b", "--why", "--force x", "a/../b", "/a/.."}) {
    Ran ran = shell(world, std::string("$agentbox propose ") + words + " </dev/null");
    INFO(words << ": " << ran.error);
    CHECK(ran.code == 2);
    CHECK(ran.error.find("hint: `agentbox help` shows how\n") != std::string::npos);
  }
}

TEST_CASE("a relative path is made absolute without looking") {
  using inside::absolute;
  CHECK(absolute("a", "/w") == "/w/a");
  CHECK(absolute("./a//b/", "/w") == "/w/a/b");
  CHECK(absolute("../../a", "/w/x/y") == "/w/a");
  CHECK(absolute("../../../../a", "/w/x") == "/a");
  CHECK(absolute("/a/b", "/w") == "/a/b");
  CHECK(absolute("a", "/") == "/a");
  CHECK(absolute("..", "/w") == "/");
  CHECK_FALSE(absolute("a/../b", "/w"));
  CHECK_FALSE(absolute("/../b", "/w"));
}
