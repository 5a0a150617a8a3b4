// `agentbox` in the room and its shims, against a command server: each test starts the real program.

#include <csignal>
#include <sstream>

#include <pty.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include <catch2/catch.hpp>

#include "world.hpp"

using namespace agentbox;
using namespace agentbox::test::commands;

namespace {

struct Pipe {
  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    read.reset(ends[0]);
    write.reset(ends[1]);
  }
  UniqueFd read, write;
};

// One run of the program, called `name`, in `directory`.
class Program {
 public:
  Program(World& world, const std::string& name, std::vector<std::string> arguments,
          std::vector<std::string> environment = {}) {
    std::vector<std::string> words{name};
    words.insert(words.end(), arguments.begin(), arguments.end());
    environment.push_back("AGENTBOX_SOCKET=" + world.socket());
    start(world.workspace, pointers(words), pointers(environment), nullptr);
  }
  // With a terminal.
  Program(World& world, std::vector<std::string> words, UniqueFd& master) {
    std::vector<std::string> environment{"AGENTBOX_SOCKET=" + world.socket()};
    start(world.workspace, pointers(words), pointers(environment), &master);
  }
  ~Program() {
    if (pid <= 0) return;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  int exit_code() {
    int status = 0;
    if (::waitpid(std::exchange(pid, -1), &status, 0) < 0) throw std::runtime_error("wait");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }
  struct Whole {
    int code;
    std::string out, error;
  };
  Whole whole() {
    in.write.reset();
    std::string said = read_all(out.read), errors = read_all(error.read);
    return {exit_code(), said, errors};
  }

  pid_t pid = -1;
  Pipe in, out, error;

 private:
  static std::vector<char*> pointers(std::vector<std::string>& words) {
    std::vector<char*> list;
    for (std::string& word : words) list.push_back(word.data());
    list.push_back(nullptr);
    return list;
  }
  void start(const std::string& directory, std::vector<char*> argv, std::vector<char*> environment, UniqueFd* master) {
    int terminal = -1;
    const winsize size{.ws_row = 33, .ws_col = 77, .ws_xpixel = 0, .ws_ypixel = 0};
    pid = master != nullptr ? ::forkpty(&terminal, nullptr, nullptr, &size) : ::fork();
    if (pid == 0) {
      if (master == nullptr) {
        ::dup2(in.read.get(), 0);
        ::dup2(out.write.get(), 1);
        ::dup2(error.write.get(), 2);
      }
      if (::chdir(directory.c_str()) == 0) ::execve(AGENTBOX_ROOM, argv.data(), environment.data());
      ::_exit(99);
    }
    if (master != nullptr) master->reset(terminal);
    in.read.reset();
    out.write.reset();
    error.write.reset();
  }
};

void allow_only(World& world, const std::string& text, std::vector<std::string> words) {
  profile::CommandPattern pattern{.text = text, .words = std::move(words)};
  world.setup.rules.commands.allow.push_back({.value = pattern, .origin = {}});
  world.setup.rules.commands.default_ = profile::Default::deny;
}

}  // namespace

TEST_CASE("agentbox host runs a command on the host with its streams and its exit code") {
  World world;
  world.start();
  Program program(world, "agentbox", {"host", "--why", "the reason", "--", "sh", "-c", "cat; echo no >&2; exit 9"});
  CHECK(::write(program.in.write.get(), "given", 5) == 5);
  auto ran = program.whole();
  CHECK(ran.code == 9);
  CHECK(ran.out == "given");
  CHECK(ran.error == "no\n");
  CHECK(world.decider.asked(1).at(0).said == "the reason");
  CHECK(Program(world, "agentbox", {"host", "sh", "-c", "kill -KILL $$"}).whole().code == 128 + SIGKILL);
  CHECK(Program(world, "agentbox", {"host", "pwd"}).whole().out == world.workspace + "\n");
}

TEST_CASE("much output and a slow reader lose nothing") {
  World world;
  world.start();
  Program program(world, "agentbox", {"host", "head", "-c", "3000000", "/dev/zero"});
  auto ran = program.whole();
  CHECK(ran.code == 0);
  CHECK(ran.out.size() == 3'000'000);
}

TEST_CASE("a command whose reader has gone hears of it") {
  World world;
  world.start();
  Program program(world, "agentbox", {"host", "yes"});
  CHECK(read_until(program.out.read, "y\n").starts_with("y"));
  program.out.read.reset();
  CHECK(program.exit_code() == 128 + SIGPIPE);
}

TEST_CASE("what a command leaves running does not hold up its end") {
  World world;
  world.start();
  Program program(world, "agentbox", {"host", "sh", "-c", "echo said; sleep 1000 & echo $!"});
  auto ran = program.whole();
  CHECK(ran.code == 0);
  REQUIRE(ran.out.starts_with("said\n"));
  ::kill(std::stoi(ran.out.substr(5)), SIGKILL);
}

TEST_CASE("a denial says what was refused, by what, and what to do instead") {
  World world;
  world.decider.answer = [](const broker::Asked&) {
    Verdict said = verdict(Verdict::Kind::deny, "the owner said no");
    said.rule = "git push **";
    said.comment = "not on a \x1b[31mfriday";
    return said;
  };
  world.start();
  auto ran = Program(world, "agentbox", {"host", "echo", "a b"}).whole();
  CHECK(ran.code == 77);
  CHECK(ran.out.empty());
  CHECK(ran.error ==
        "agentbox: denied: echo 'a b'\n"
        "  reason: the owner said no\n"
        "  rule: git push **\n"
        "  the owner says: not on a \\x1b[31mfriday\n"
        "This was decided outside the room. Do not try a workaround: go on without it, or tell the owner what you need "
        "and why. `agentbox status` lists what is allowed.\n");
}

TEST_CASE("each way of not being run has its exit code") {
  World world;
  auto [kind, code] = GENERATE(table<Verdict::Kind, int>({{Verdict::Kind::expired, 75},
                                                          {Verdict::Kind::unavailable, 75},
                                                          {Verdict::Kind::duplicate, 75},
                                                          {Verdict::Kind::cancelled, 130}}));
  world.decider.answer = [said = kind](const broker::Asked&) { return verdict(said); };
  world.start();
  CHECK(Program(world, "agentbox", {"host", "true"}).whole().code == code);
  auto missing = Program(world, "agentbox", {"host", "no-such-program"}).whole();
  CHECK(missing.code == 127);
  CHECK(missing.error.starts_with("agentbox: not run on the host: no-such-program\n  reason: the host has no program"));
  write_file(world.folder / "bin/plain", "", 0644);
  CHECK(Program(world, "agentbox", {"host", world.folder / "bin/plain"}).whole().code == 126);
}

TEST_CASE("without a broker nothing runs, and it says so") {
  World world;
  auto ran = Program(world, "agentbox", {"host", "true"}).whole();
  CHECK(ran.code == 125);
  CHECK(ran.error ==
        "agentbox: there is no broker at " + world.socket() +
            ": No such file or directory\nThis program asks the owner of a room of agentbox; nothing was run.\n");
  CHECK(Program(world, "agentbox", {"status"}).whole().code == 125);
}

TEST_CASE("a broker that goes away ends the wait") {
  World world;
  world.decider.answer = [](const broker::Asked&) { return std::nullopt; };
  world.start();
  Program program(world, "agentbox", {"host", "true"});
  world.decider.asked(1);
  world.end();
  auto ran = program.whole();
  CHECK(ran.code == 125);
  CHECK(ran.error == "agentbox: the broker has closed the connection\n");
}

TEST_CASE("a shim runs what a rule speaks of on the host, and else the room's own program") {
  World world;
  allow_only(world, "tool -x **", {"tool", "-x", "**"});
  write_file(world.folder / "bin/tool", "#!/bin/sh\necho host \"$@\"\n", 0755);
  // In the room: the shim's own folder comes first in PATH, and holds the very same program.
  std::filesystem::create_directory(world.folder / "shims");
  std::filesystem::create_directory(world.folder / "room");
  std::filesystem::create_symlink(AGENTBOX_ROOM, world.folder / "shims/tool");
  write_file(world.folder / "room/tool", "#!/bin/sh\necho room \"$0\" \"$@\"\n", 0755);
  world.start();
  const std::string path = "PATH=" + (world.folder / "shims") + ":" + (world.folder / "room");
  CHECK(Program(world, "tool", {"-x", "1"}, {path}).whole().out == "host -x 1\n");
  CHECK(Program(world, "/any/where/tool", {"-x"}, {path}).whole().out == "host -x\n");
  CHECK(Program(world, "tool", {"status"}, {path}).whole().out == "room " + (world.folder / "room/tool") + " status\n");
  auto near = Program(world, "tool", {"-x", "-q", "1"}, {path}).whole();
  CHECK(near.out == "room " + (world.folder / "room/tool") + " -x -q 1\n");
  CHECK(near.error ==
        "agentbox: note: this runs in the room: 'tool -x **' comes near, but '*' and '**' match no option; "
        "'tool -x -q **' would\n");
  auto none = Program(world, "other", {"status"}, {path}).whole();
  CHECK(none.code == 127);
  CHECK(none.error ==
        "agentbox: no rule lets this run on the host, and the room has no program other of its own\n"
        "hint: `agentbox status` lists what may run on the host\n");
}

TEST_CASE("a shim that is killed takes its command with it") {
  World world;
  world.start();
  Program program(world, "agentbox", {"host", "sh", "-c", "echo $$; exec sleep 1000"});
  const pid_t pid = std::stoi(read_until(program.out.read, "\n"));
  CHECK(::kill(pid, 0) == 0);
  ::kill(program.pid, SIGKILL);
  wait_for_end(pid);
}

TEST_CASE("a shim that is killed while it asks takes its question back") {
  World world;
  world.decider.answer = [](const broker::Asked&) { return std::nullopt; };
  world.start();
  Program program(world, "agentbox", {"host", "true"});
  world.decider.asked(1);
  ::kill(program.pid, SIGKILL);
  world.decider.wait_for_cancel();
}

TEST_CASE("an interrupt takes a question back, and ends a command as it would at home") {
  World world;
  bool asking = GENERATE(true, false);
  if (asking) world.decider.answer = [](const broker::Asked&) { return std::nullopt; };
  world.start();
  Program program(world, "agentbox",
                  {"host", "sh", "-c", "trap 'echo heard; exit 3' INT; echo ready; while :; do read x; done"});
  world.decider.asked(1);
  if (!asking) read_until(program.out.read, "ready");
  ::kill(program.pid, SIGINT);
  if (asking) {
    auto ran = program.whole();
    CHECK(ran.code == 130);
    CHECK(ran.error.starts_with("agentbox: cancelled: sh -c "));
  } else {
    read_until(program.out.read, "heard");
    CHECK(program.exit_code() == 3);
  }
}

TEST_CASE("in a terminal the command has one of its own, with its size, its keys and its changes of size") {
  World world;
  world.start();
  UniqueFd master;
  Program program(world,
                  {"agentbox", "host", "sh", "-c",
                   "trap 'stty size; exit 4' WINCH; stty size; trap 'echo interrupted' INT; "
                   "while :; do read x && echo \"got $x\"; done"},
                  master);
  read_until(master, "33 77\r\n");
  CHECK(::write(master.get(), "hello\r", 6) == 6);
  read_until(master, "got hello\r\n");
  CHECK(::write(master.get(), "\x03", 1) == 1);  // raw: the key itself goes through
  read_until(master, "interrupted");
  CHECK(::write(master.get(), "again\r", 6) == 6);
  read_until(master, "got again");
  const winsize size{.ws_row = 40, .ws_col = 100, .ws_xpixel = 0, .ws_ypixel = 0};
  ::ioctl(master.get(), TIOCSWINSZ, &size);
  // The trap runs when `read` is over: a shell's way, not ours.
  CHECK(::write(master.get(), "\r", 1) == 1);
  read_until(master, "40 100");
  CHECK(program.exit_code() == 4);
}

TEST_CASE("status says what is allowed, as text and as JSON") {
  World world;
  allow_only(world, "notify-send **", {"notify-send", "**"});
  world.requests.waiting = [] { return std::size_t{2}; };
  world.start();
  auto text = Program(world, "agentbox", {"status"}).whole();
  CHECK(text.code == 0);
  CHECK(text.out.find("session test-1, profile test") != std::string::npos);
  CHECK(text.out.find("  allowed   notify-send **\n  all else  denied\n") != std::string::npos);
  CHECK(text.out.find("wait for the owner: 2\n") != std::string::npos);
  CHECK(Program(world, "agentbox", {"status", "--json"}).whole().out ==
        R"({"session":"test-1","profile":"test","commands":{"allow":["notify-send **"],"ask":[],"deny":[],)"
        R"("default":"deny"},"network":{"allow":[],"ask":[],"deny":[],"default":"deny"},"waiting":2})"
        "\n");
}

TEST_CASE("what it does not understand it refuses") {
  World world;
  CHECK(Program(world, "agentbox", {"host"}).whole().error ==
        "agentbox: host: no command is given\nhint: `agentbox help` shows how\n");
  CHECK(Program(world, "agentbox", {"host", "--shell", "x"}).whole().code == 2);
  CHECK(Program(world, "agentbox", {"launch"}).whole().code == 2);
  CHECK(Program(world, "agentbox", {"ask", "x"}).whole().code == 77);
  CHECK(Program(world, "agentbox", {"send", "x"}).whole().error ==
        "agentbox: send: unknown option x\nhint: `agentbox help` shows how\n");
  CHECK(Program(world, "agentbox", {"send", "--to", "x"}).whole().error ==
        "agentbox: send: --via is missing; `agentbox status` lists the ways to send\n"
        "hint: `agentbox help` shows how\n");
  CHECK(Program(world, "agentbox", {"send", "--via=email"}).whole().code == 2);
  CHECK(Program(world, "agentbox", {"send", "--via"}).whole().code == 2);
  CHECK(
      Program(world, "agentbox", {"send", "--via=email", "--to=x", "--subject", std::string(201, 'x')}).whole().code ==
      2);
  const std::string help = Program(world, "agentbox", {}).whole().out;
  CHECK(help.starts_with("usage: agentbox host"));
  std::istringstream lines(help);
  for (std::string line; std::getline(lines, line);) {
    CAPTURE(line);
    CHECK(line.size() <= 80);
  }
}
