#include <ctime>

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <catch2/catch.hpp>

#include "doctor.hpp"
#include "guard_support.hpp"

using namespace agentbox::launch::test;
using namespace agentbox::launch;
using namespace agentbox;

namespace {

// A process of its own that holds a guard, until it is killed.
class Supervisor {
 public:
  Supervisor(World& world, const std::string& session) {
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) throw std::runtime_error("socketpair");
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      Guard guard(world.policy, world.plan, abs(world.state), session);
      for (const plan::Furnishing& one : world.plan.furnishings) {
        if (const auto* ghost = std::get_if<plan::Ghost>(&one)) ::mkdir(ghost->target.c_str(), 0755);
      }
      char byte = 'x';
      (void)!::write(pair[1], &byte, 1);
      (void)!::read(pair[1], &byte, 1);  // for ever
      ::_exit(0);
    }
    ::close(pair[1]);
    held_ = base::UniqueFd(pair[0]);
    char byte = 0;
    if (::read(held_.get(), &byte, 1) != 1) throw std::runtime_error("the child has failed");
  }
  ~Supervisor() { kill(); }
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  pid_t pid_ = -1;
  base::UniqueFd held_;
};

void set_last_alive(const World& world, const std::string& session, std::int64_t seconds) {
  write(world.state + "/runs/" + session + "/alive", std::to_string(seconds));
  // The start counts as well.
  std::string record = read(world.state + "/runs/" + session + "/record.json");
  std::size_t at = record.find("\"started\":") + 10;
  record.replace(at, record.find_first_of(",}", at) - at, std::to_string(seconds));
  write(world.state + "/runs/" + session + "/record.json", record);
}

}  // namespace

TEST_CASE("without records a sweep does nothing and makes nothing") {
  World world;
  CHECK(sweep(abs(world.state)).empty());
  CHECK_FALSE(exists(world.state));
}

TEST_CASE("after kill -9 the next sweep clears up; before it, it leaves the run alone") {
  World world;
  write(world.in("AGENTS.md"), "original");
  world.hold("AGENTS.md");
  world.watch_for(".envrc");
  world.ghost(".vscode");
  world.ghost(".claude");
  Supervisor supervisor(world, "s1");
  write(world.in("AGENTS.md"), "evil");
  write(world.in(".envrc"), "evil");

  CHECK(sweep(abs(world.state)).empty());
  CHECK(read(world.in("AGENTS.md")) == "evil");
  CHECK(exists(world.in(".vscode")));
  CHECK(world.runs() == std::vector<std::string>{"s1"});

  supervisor.kill();
  std::vector<Swept> swept = sweep(abs(world.state));
  REQUIRE(swept.size() == 2);
  CHECK(swept[0].path.str() == world.in(".envrc"));
  CHECK(swept[0].what.starts_with("taken to the quarantine: it appeared during the run"));
  CHECK(swept[1].what.starts_with(
      "restored: was changed during the run; what was there before is back; quarantine item"));
  CHECK(read(world.in("AGENTS.md")) == "original");
  CHECK_FALSE(exists(world.in(".envrc")));
  CHECK_FALSE(exists(world.in(".vscode")));
  CHECK_FALSE(exists(world.in(".claude")));
  CHECK(world.runs().empty());
  CHECK(world.quarantine().size() == 2);
  CHECK(sweep(abs(world.state)).empty());
}

TEST_CASE("what was written after the room had died is its owner's, and is left to him") {
  World world;
  write(world.in("AGENTS.md"), "original");
  world.hold("AGENTS.md");
  world.watch_for(".envrc");
  Supervisor supervisor(world, "s1");
  supervisor.kill();
  set_last_alive(world, "s1", std::time(nullptr) - 600);
  write(world.in("AGENTS.md"), "the owner's next version");
  write(world.in(".envrc"), "the owner's");
  std::vector<Swept> swept = sweep(abs(world.state));
  REQUIRE(swept.size() == 2);
  CHECK(swept[0].what == "it was made after a room that was killed had died; left as it is (run s1 was killed)");
  CHECK(read(world.in("AGENTS.md")) == "the owner's next version");
  CHECK(read(world.in(".envrc")) == "the owner's");
  // The version from before is kept beside it.
  REQUIRE(world.quarantine().size() == 1);
  CHECK(Quarantine(abs(world.state)).content(world.quarantine()[0], 100).bytes == "original");
  CHECK(world.runs().empty());
}

TEST_CASE("a ghost of a dead run that a living one relies on stays until that one goes") {
  World world;
  world.ghost(".vscode");
  Supervisor dead(world, "s1");
  Supervisor living(world, "s2");
  dead.kill();
  CHECK(sweep(abs(world.state)).empty());
  CHECK(exists(world.in(".vscode")));
  CHECK(world.runs() == std::vector<std::string>{"s2"});
  living.kill();
  CHECK(sweep(abs(world.state)).empty());
  CHECK_FALSE(exists(world.in(".vscode")));
}

TEST_CASE("a run that died before it had written its record leaves nothing") {
  World world;
  make_dir(world.state);
  make_dir(world.state + "/runs");
  make_dir(world.state + "/runs/s1");
  write(world.state + "/runs/s1/held", "x");
  write(world.state + "/runs/s1/.new-record.json", "{");
  CHECK(sweep(abs(world.state)).empty());
  CHECK(world.runs().empty());
}

TEST_CASE("a record that can't be read is told of and kept") {
  World world;
  world.ghost(".vscode");
  Supervisor supervisor(world, "s1");
  supervisor.kill();
  write(world.state + "/runs/s1/record.json", "{\"version\": 7");
  std::vector<Swept> swept = sweep(abs(world.state));
  REQUIRE(swept.size() == 1);
  CHECK(swept[0].what == "the record of run s1 cannot be read; look at it, then remove it");
  CHECK(world.runs().size() == 1);
}

TEST_CASE("a workspace that is deleted takes its record with it; one that was replaced is not touched") {
  World world;
  world.watch_for(".envrc");
  Supervisor supervisor(world, "s1");
  supervisor.kill();
  REQUIRE(::rename(world.workspace.c_str(), (world.folder / "moved").c_str()) == 0);
  SECTION("deleted") {}
  SECTION("replaced") {
    make_dir(world.workspace);
    write(world.in(".envrc"), "another workspace's");
  }
  CHECK(sweep(abs(world.state)).empty());
  CHECK(world.runs().empty());
  CHECK(world.quarantine().empty());
}

TEST_CASE("two sweeps at once settle each run once") {
  World world;
  write(world.in("AGENTS.md"), "original");
  world.hold("AGENTS.md");
  for (int i = 0; i < 5; ++i) Supervisor(world, "s" + std::to_string(i)).kill();
  write(world.in("AGENTS.md"), "evil");
  std::vector<pid_t> sweepers;
  for (int i = 0; i < 4; ++i) {
    pid_t pid = ::fork();
    if (pid == 0) {
      try {
        (void)sweep(abs(world.state));
        ::_exit(0);
      } catch (...) {
        ::_exit(1);
      }
    }
    sweepers.push_back(pid);
  }
  for (pid_t pid : sweepers) {
    int status = -1;
    ::waitpid(pid, &status, 0);
    CHECK(status == 0);
  }
  CHECK(read(world.in("AGENTS.md")) == "original");
  CHECK(world.runs().empty());
  CHECK(world.quarantine().size() == 1);
}

TEST_CASE("the doctor names what a killed run has left, and how it goes") {
  World world;
  world.ghost(".vscode");
  world.ghost(".idea");
  auto findings = [&] {
    Findings found;
    examine_killed_runs(abs(world.state), found);
    return found;
  };
  Supervisor supervisor(world, "s1");
  CHECK(findings().empty());  // it lives
  supervisor.kill();
  ::rmdir(world.in(".idea").c_str());
  Findings found = findings();
  REQUIRE(found.size() == 1);
  CHECK(found[0].text ==
        "a run was killed; the empty folders that stood in the workspace for missing ones are still "
        "there: " +
            world.in(".vscode") + "/");
  CHECK(found[0].mend.find("agentbox doctor --sweep") != std::string::npos);
  (void)sweep(abs(world.state));
  CHECK(findings().empty());
  CHECK_FALSE(exists(world.in(".vscode")));
}
