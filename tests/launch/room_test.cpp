// The real bwrap, as an ordinary user or as root: what the launcher's parts do when they are put together.

#include <array>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <optional>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>

#include "agentbox/base/error.hpp"

#include "room_support.hpp"

using namespace agentbox;
using namespace agentbox::test;
using launch::Outcome;

namespace {

Outcome run(plan::LaunchPlan plan) {
  Room room(std::move(plan));
  return room.supervisor->run();
}

std::string refusal(plan::LaunchPlan plan) {
  try {
    Room room(std::move(plan));
  } catch (const base::SystemError& error) {
    return error.what();
  }
  return "built";
}

}  // namespace

TEST_CASE("a command's exit code and the signal that killed it come back") {
  TemporaryFolder folder;
  Outcome exited = run(plan_for(folder, "exit 7"));
  CHECK(exited.kind == Outcome::Kind::exited);
  CHECK(exited.value == 7);
  Outcome killed = run(plan_for(folder, "kill -TERM $$"));
  CHECK(killed.kind == Outcome::Kind::killed);
  CHECK(killed.value == SIGTERM);
}

TEST_CASE("a command that is not there or can't be executed is told apart") {
  TemporaryFolder folder;
  plan::LaunchPlan missing = plan_for(folder, "");
  missing.init.argv = {"no-such-command"};
  Outcome outcome = run(missing);
  CHECK(outcome.kind == Outcome::Kind::not_started);
  CHECK(outcome.value == ENOENT);
  CHECK(outcome.step.empty());
  plan::LaunchPlan plain = plan_for(folder, "");
  folder.write("work/plain", "text");
  plain.init.argv = {folder / "work/plain"};
  CHECK(run(plain).value == EACCES);
}

TEST_CASE("a read-only place inside a writable one can't be written, a hidden one can't be seen") {
  TemporaryFolder folder;
  fs::create_directories(folder / "work/fixed");
  fs::create_directories(folder / "work/secret");
  folder.write("work/secret/key", "key");
  folder.write("work/token", "token");
  plan::LaunchPlan plan = plan_for(
      folder, "touch plain; touch fixed/x 2>e1; touch secret/x 2>e2; ls -A secret >seen; cat token >seen2 2>e3; :");
  AbsPath work = path(folder / "work");
  plan.furnishings.emplace_back(Bind{work / "fixed", work / "fixed", FileKind::directory, Bind::Mode::read});
  plan.furnishings.emplace_back(plan::Mask{work / "secret", FileKind::directory});
  plan.furnishings.emplace_back(plan::Mask{work / "token", FileKind::regular});
  CHECK(run(plan).kind == Outcome::Kind::exited);
  CHECK(fs::exists(folder / "work/plain"));  // the control: writing beside it works
  CHECK_FALSE(fs::exists(folder / "work/fixed/x"));
  CHECK(folder.read("work/e1").find("Read-only file system") != std::string::npos);
  CHECK(folder.read("work/e2").find("Read-only file system") != std::string::npos);
  CHECK(folder.read("work/seen").empty());
  CHECK(folder.read("work/seen2").empty());
  if (::getuid() != 0) CHECK(folder.read("work/e3").find("Permission denied") != std::string::npos);
}

TEST_CASE("what stands behind a link on the way to a source or a target is never mounted") {
  TemporaryFolder folder;
  fs::create_directories(folder / "outside/deep");
  fs::create_directory_symlink(folder / "outside", folder / "work/link");
  AbsPath work = path(folder / "work");
  plan::LaunchPlan source = plan_for(folder, "true");
  source.furnishings.emplace_back(Bind{work / "link/deep", path("/granted"), FileKind::directory, Bind::Mode::read});
  CHECK(refusal(source) == "cannot open " + (folder / "work/link/deep") + ": Too many levels of symbolic links");
  plan::LaunchPlan target = plan_for(folder, "true");
  target.furnishings.emplace_back(
      Bind{path(folder / "outside/deep"), work / "link/deep", FileKind::directory, Bind::Mode::read});
  CHECK(refusal(target) ==
        "cannot open " + (folder / "work/link/deep") + " in the room: Too many levels of symbolic links");
  plan::LaunchPlan control = plan_for(folder, "true");
  control.furnishings.emplace_back(
      Bind{path(folder / "outside/deep"), path("/granted"), FileKind::directory, Bind::Mode::read});
  CHECK(refusal(control) == "built");
}

TEST_CASE("a source that turned into something else is refused") {
  TemporaryFolder folder;
  folder.write("thing", "file");
  plan::LaunchPlan plan = plan_for(folder, "true");
  plan.furnishings.emplace_back(Bind{path(folder / "thing"), path("/granted"), FileKind::directory, Bind::Mode::read});
  CHECK(refusal(plan) == (folder / "thing") + " was replaced while the room was built");
}

TEST_CASE("nothing is made on a folder of the host to mount upon") {
  TemporaryFolder folder;
  fs::create_directory(folder / "other");
  plan::LaunchPlan plan = plan_for(folder, "true");
  AbsPath work = path(folder / "work");
  plan.furnishings.emplace_back(Bind{path(folder / "other"), work / "new", FileKind::directory, Bind::Mode::read});
  CHECK(refusal(plan).starts_with("cannot place " + (folder / "work/new")));
  CHECK_FALSE(fs::exists(folder / "work/new"));
}

TEST_CASE("the host's tree is not in the room, and init can't be looked into") {
  TemporaryFolder folder;
  plan::LaunchPlan plan = plan_for(folder,
                                   "ls -A / | tr '\\n' ' ' >root; ls -A /run/agentbox >own; "
                                   "cat /proc/1/environ >environ 2>why; ls /proc/1/root/ >through 2>&1; "
                                   "cat /proc/self/environ >mine; :");
  run(plan);
  CHECK(folder.read("work/root").find("home") == std::string::npos);
  CHECK(folder.read("work/own") == "init\nmask-directory\nmask-file\n");
  CHECK(folder.read("work/environ").empty());
  CHECK(folder.read("work/why").find("Permission denied") != std::string::npos);
  CHECK(folder.read("work/through").find("Permission denied") != std::string::npos);
  CHECK(folder.read("work/mine").find("PATH=") != std::string::npos);  // the control
}

TEST_CASE("a device is placed in the room's /dev, in a folder that bwrap didn't make") {
  TemporaryFolder folder;
  plan::LaunchPlan plan = plan_for(folder,
                                   "echo x >/dev/dri/renderD128 && echo placed >device; "
                                   "mkdir /dev/more 2>why; :");
  plan.furnishings.emplace_back(
      Bind{path("/dev/null"), path("/dev/dri/renderD128"), FileKind::character_device, Bind::Mode::device});
  plan.furnishings.emplace_back(plan::Seal{path("/dev")});
  run(plan);
  CHECK(folder.read("work/device") == "placed\n");
  CHECK(folder.read("work/why").find("Read-only file system") != std::string::npos);
}

TEST_CASE("a killed supervisor leaves neither an agent that starts nor a process") {
  Cut cut = GENERATE(Cut::never, Cut::after_spawn, Cut::after_filter, Cut::after_child_pid, Cut::after_helper,
                     Cut::after_furnishing, Cut::after_start);
  TemporaryFolder folder;
  plan::LaunchPlan plan = plan_for(folder, "touch started; exec sleep 1000");
  if (cut == Cut::never) plan.init.argv[2] = "touch started";
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  pid_t supervisor = ::fork();
  REQUIRE(supervisor >= 0);
  if (supervisor == 0) {
    Room room(plan, cut);
    if (cut == Cut::after_start) {
      // Dies as soon as the agent has done something.
      if (::fork() == 0) {
        while (!fs::exists(folder / "work/started")) ::usleep(1000);
        ::kill(::getppid(), SIGKILL);
        ::_exit(0);
      }
    }
    (void)room.supervisor->run();
    ::_exit(0);
  }
  // Orphans become ours: when none is left, nothing of the run is.
  ::alarm(20);
  while (::waitpid(-1, nullptr, 0) > 0) {
  }
  ::alarm(0);
  ::prctl(PR_SET_CHILD_SUBREAPER, 0);
  INFO("cut " << static_cast<int>(cut));
  CHECK(errno == ECHILD);
  CHECK(fs::exists(folder / "work/started") == (cut == Cut::never || cut == Cut::after_start));
}

TEST_CASE("a frozen room does nothing, a thawed one goes on") {
  TemporaryFolder folder;
  // Two writers, one of them in a process group of its own, and many short-lived children.
  Room room(
      plan_for(folder, "(setsid sh -c 'while :; do echo x >>a; done') & while :; do /bin/true; echo x >>b; done"));
  pid_t driver = ::fork();
  if (driver == 0) {
    (void)room.supervisor->run();
    ::_exit(0);
  }
  auto size = [&](const char* name) {
    std::error_code none;
    auto bytes = fs::file_size(folder / (std::string("work/") + name), none);
    return none ? 0 : bytes;
  };
  while (size("a") < 100 || size("b") < 10) ::usleep(1000);
  room.supervisor->freeze();
  auto a = size("a"), b = size("b");
  for (int i = 0; i < 50; ++i) {
    ::usleep(1000);
    REQUIRE(size("a") == a);
    REQUIRE(size("b") == b);
  }
  room.supervisor->thaw();
  while (size("a") == a || size("b") == b) ::usleep(1000);
  ::kill(driver, SIGKILL);
  ::waitpid(driver, nullptr, 0);
}

TEST_CASE("an agent that stops itself while the room is being frozen gives the terminal back afterwards") {
  TemporaryFolder folder;
  Room room(plan_for(folder, "kill -STOP $$; echo on >went"));
  launch::Supervisor& supervisor = *room.supervisor;
  int turn = 0, stops = 0;
  supervisor.on_stopped = [&] { ++stops; };
  supervisor.between = [&] {
    ++turn;
    if (turn == 1) {  // it has started; what comes next is its stop
      pollfd stop{.fd = room.spawned.control.get(), .events = POLLIN, .revents = 0};
      REQUIRE(::poll(&stop, 1, 10'000) == 1);
      supervisor.freeze();
    } else if (turn == 2) {
      CHECK(stops == 0);
      supervisor.thaw();
    }
  };
  supervisor.limit_time(std::chrono::seconds(20));
  launch::Outcome outcome = supervisor.run();
  CHECK(stops == 1);
  CHECK_FALSE(outcome.timed_out);
  CHECK(folder.read("work/went") == "on\n");
}

TEST_CASE("the helper hides a file in a running room and opens sockets of the room's network") {
  TemporaryFolder folder;
  folder.write("work/late", "secret");
  Room room(plan_for(folder, "true"));
  room.supervisor->furnish(plan::Mask{path(folder / "work/late"), FileKind::regular});
  base::UniqueFd socket = room.supervisor->room_socket(AF_INET);
  CHECK(socket.get() >= 0);
  CHECK_THROWS_AS(room.supervisor->furnish(plan::Mask{path(folder / "work/none"), FileKind::regular}),
                  base::SystemError);
  CHECK(room.supervisor->run().value == 0);
}
