// What was allowed runs, as it was asked, and ends as it should.

#include <csignal>
#include <set>

#include <catch2/catch.hpp>

#include "world.hpp"

using namespace agentbox;
using namespace agentbox::test::commands;
using wire::CommandExited;
using wire::CommandStarted;
using How = CommandExited::How;

namespace {

struct Ran {
  std::string out, error;
  CommandExited exited;
};

// From the request to its end; the input is given at once.
Ran run(World& world, std::vector<std::string> argv, std::string_view input = {}) {
  Client client = world.client();
  client.run(1, std::move(argv), world.workspace);
  CHECK(client.expect<wire::Verdict>().verdict == wire::Verdict::Kind::allow);
  std::vector<UniqueFd> streams;
  client.expect<CommandStarted>(&streams);
  REQUIRE(streams.size() == 3);
  CHECK(::write(streams[0].get(), input.data(), input.size()) == static_cast<ssize_t>(input.size()));
  streams[0].reset();
  Ran ran;
  ran.out = read_all(streams[1]);
  ran.error = read_all(streams[2]);
  ran.exited = client.expect<CommandExited>();
  return ran;
}

}  // namespace

TEST_CASE("a command gets its arguments as they are, its directory, and its own streams") {
  World world;
  world.start();
  Ran ran = run(world, {"printf", "[%s]", "a b", "", "*", "\xff"});
  CHECK(ran.out == "[a b][][*][\xff]");
  CHECK(ran.exited == CommandExited{How::exited, 0, {}});
  CHECK(run(world, {"pwd", "-P"}).out == world.workspace + "\n");
  ran = run(world, {"sh", "-c", "cat; echo no >&2; exit 7"}, "said to it");
  CHECK(ran.out == "said to it");
  CHECK(ran.error == "no\n");
  CHECK(ran.exited == CommandExited{How::exited, 7, {}});
  CHECK(run(world, {"sh", "-c", "kill -TERM $$"}).exited == CommandExited{How::killed, SIGTERM, {}});
  CHECK(world.decider.outcomes(4) ==
        std::vector<std::string>{"exit code 0", "exit code 0", "exit code 7", "killed by signal 15"});
}

TEST_CASE("a command's environment is written by us, name by name") {
  ::setenv("AGENTBOX_TEST_SECRET", "x", 1);
  World world([](auto& setup) {
    setup.owner.environment = {"LANG=C.UTF-8",    "LC_TIME=C",   "LD_PRELOAD=/x.so", "SSH_AUTH_SOCK=/run/agent",
                               "PATH=/home/me/x", "GIT_DIR=/x",  "TERM=vt100",       "LANG=second",
                               "GPG_TTY=/dev/x",  "EDITOR=evil", "HOME=/other"};
  });
  world.start();
  std::string out = run(world, {"env"}).out;
  std::set<std::string> lines;
  for (std::size_t at = 0; at < out.size();) {
    std::size_t end = out.find('\n', at);
    lines.insert(out.substr(at, end - at));
    at = end + 1;
  }
  std::string path;
  for (const AbsPath& folder : world.setup.folders) path += (path.empty() ? "" : ":") + folder.str();
  CHECK(lines == std::set<std::string>{"PATH=" + path, "HOME=" + world.setup.owner.home, "USER=me", "LOGNAME=me",
                                       "SHELL=/bin/sh", "LANG=C.UTF-8", "LC_TIME=C", "SSH_AUTH_SOCK=/run/agent",
                                       "PWD=" + world.workspace});
}

TEST_CASE("a command inherits nothing but its three streams, no signal that is ignored, and leads its own session") {
  // Not close-on-exec: as a library might have left it.
  UniqueFd forgotten(::open("/dev/null", O_RDONLY));
  ::signal(SIGUSR1, SIG_IGN);
  World world;
  world.start();
  REQUIRE(forgotten.get() < 40);
  const std::string look = "n=3; while [ $n -lt 40 ]; do [ -e /proc/$$/fd/$n ] && echo $n; n=$((n+1)); done; :";
  CHECK(run(world, {"sh", "-c", look}).out.empty());
  CHECK(run(world, {"sh", "-c", "exec 7</dev/null; " + look}).out == "7\n");
  // The shell itself: while it starts another program it may block what it likes.
  const std::string read = "while read -r line; do case $line in SigBlk*|SigIgn*) echo \"$line\";; esac; done";
  std::string status = run(world, {"sh", "-c", read + " < /proc/$$/status"}).out;
  CHECK(status == "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
  // field 1 is the pid, 5 the process group, 6 the session
  CHECK(run(world, {"sh", "-c", "set -- $(cat /proc/$$/stat); [ $1 = $5 ] && [ $1 = $6 ] && umask"}).out == "0022\n");
  ::signal(SIGUSR1, SIG_DFL);
}

TEST_CASE("more than a pipe holds flows through, at the reader's pace") {
  World world;
  world.start();
  CHECK(run(world, {"head", "-c", "10000000", "/dev/zero"}).out.size() == 10'000'000);
}

TEST_CASE("a command gets a terminal if it is wanted, of the size that is wanted") {
  World world;
  world.start();
  Client client = world.client();
  client.run(1, {"sh", "-c", "tty >/dev/null && echo tty; stty size; read x; stty size; echo $TERM"}, world.workspace,
             wire::CommandRequest::From::request, wire::WindowSize{31, 97});
  client.expect<wire::Verdict>();
  std::vector<UniqueFd> streams;
  client.expect<CommandStarted>(&streams);
  REQUIRE(streams.size() == 1);
  CHECK(read_until(streams[0], "31 97\r\n") == "tty\r\n31 97\r\n");
  client.send({1, wire::CommandResize{{50, 132}}});
  // The answer to a later request: the resize has been done.
  client.send({2, wire::StatusRequest{}});
  client.expect<wire::RoomStatus>();
  CHECK(::write(streams[0].get(), "\n", 1) == 1);
  CHECK(read_all(streams[0]).find("50 132\r\nxterm-256color") != std::string::npos);
  CHECK(client.expect<CommandExited>() == CommandExited{How::exited, 0, {}});
}

TEST_CASE("a signal reaches the command, and in a terminal whoever is in the foreground") {
  World world;
  world.start();
  for (bool terminal : {false, true}) {
    Client client = world.client();
    client.run(1, {"sh", "-c", "trap 'echo heard; exit 3' INT; echo ready; while :; do read x || sleep 0.01; done"},
               world.workspace, wire::CommandRequest::From::request,
               terminal ? std::optional(wire::WindowSize{}) : std::nullopt);
    client.expect<wire::Verdict>();
    std::vector<UniqueFd> streams;
    client.expect<CommandStarted>(&streams);
    const UniqueFd& out = streams[terminal ? 0 : 1];
    read_until(out, "ready");
    if (!terminal) streams[0].reset();
    client.send({1, wire::CommandSignal{SIGINT}});
    read_until(out, "heard");
    CHECK(client.expect<CommandExited>() == CommandExited{How::exited, 3, {}});
  }
}

TEST_CASE("a command ends with the connection that asked for it, also one that ignores SIGHUP") {
  World world([](auto& setup) { setup.limits.hang_up = std::chrono::milliseconds(50); });
  world.start();
  for (const char* script : {"echo $$; exec sleep 1000", "trap '' HUP; echo $$; sleep 1000; sleep 1000",
                             // a member of the session in a group of its own
                             "set -m; trap '' HUP; sleep 1000 & echo $!; wait"}) {
    INFO(script);
    Client client = world.client();
    client.run(1, {"sh", "-c", script}, world.workspace);
    client.expect<wire::Verdict>();
    std::vector<UniqueFd> streams;
    client.expect<CommandStarted>(&streams);
    const pid_t pid = std::stoi(read_until(streams[1], "\n"));
    CHECK(::kill(pid, 0) == 0);
    client.close();
    wait_for_end(pid);
  }
  CHECK(world.decider.outcomes(3).at(0) == "killed by signal 1: its requester has gone");
  CHECK(world.counters().requests == 0);
  CHECK(world.counters().running == 0);
}

TEST_CASE("what a command leaves running when it ends by itself is let be") {
  World world;
  world.start();
  pid_t pid = std::stoi(run(world, {"sh", "-c", "sleep 1000 >/dev/null 2>&1 </dev/null & echo $!"}).out);
  CHECK(::kill(pid, 0) == 0);
  ::kill(pid, SIGKILL);
}

TEST_CASE("the session's end ends the commands") {
  World world;
  world.start();
  Client client = world.client();
  client.run(1, {"sh", "-c", "trap '' HUP; echo $$; sleep 1000; sleep 1000"}, world.workspace);
  client.expect<wire::Verdict>();
  std::vector<UniqueFd> streams;
  client.expect<CommandStarted>(&streams);
  const pid_t pid = std::stoi(read_until(streams[1], "\n"));
  world.end();
  CHECK(::kill(pid, 0) != 0);
  CHECK(world.decider.outcomes(1) == std::vector<std::string>{"killed: the session has ended"});
}

TEST_CASE("only so many commands run at once") {
  World world([](auto& setup) { setup.limits.running = 2; });
  world.start();
  Client client = world.client();
  for (std::uint64_t id : {std::uint64_t{1}, std::uint64_t{2}}) {
    client.run(id, {"sleep", "1000"}, world.workspace);
    client.expect<wire::Verdict>();
    client.expect<CommandStarted>();
  }
  client.run(3, {"sleep", "1000"}, world.workspace);
  client.expect<wire::Verdict>();
  CHECK(client.expect<CommandExited>() ==
        CommandExited{How::exited, 126, "2 commands run already: wait until some have ended"});
}
