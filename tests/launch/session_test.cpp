#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "agentbox/base/error.hpp"
#include "agentbox/launch/reap.hpp"
#include "agentbox/launch/sessions.hpp"

#include "helper.hpp"
#include "places.hpp"
#include "process.hpp"

namespace fs = std::filesystem;
using namespace agentbox;

namespace {

// A runtime folder of the test's own.
class Runtime {
 public:
  Runtime() {
    std::string name = (fs::temp_directory_path() / "agentbox-session-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
    ::setenv("XDG_RUNTIME_DIR", path_.c_str(), 1);
  }
  ~Runtime() {
    ::unsetenv("XDG_RUNTIME_DIR");
    fs::remove_all(path_);
  }
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

policy::Policy example() {
  policy::Policy policy;
  policy.profile = "/home/me/My Agent.toml";
  policy.workspace = base::AbsPath::parse("/home/me/a\nb\xff").value();
  policy.command = {"pi", "-p", "do it"};
  return policy;
}

// A process that holds a session until it is killed.
pid_t start_holder(bool obeys_sigterm) {
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  pid_t pid = ::fork();
  if (pid == 0) {
    ::signal(SIGTERM, obeys_sigterm ? SIG_DFL : SIG_IGN);  // Catch2 has a handler of its own
    launch::Session session(example());
    (void)!::write(ready[1], "x", 1);
    for (;;) ::pause();
  }
  char byte = 0;
  REQUIRE(::read(ready[0], &byte, 1) == 1);
  ::close(ready[0]);
  ::close(ready[1]);
  return pid;
}

}  // namespace

TEST_CASE("a running session is listed with what it is, and gone afterwards") {
  Runtime runtime;
  {
    launch::Session session(example());
    auto sessions = launch::list_sessions();
    REQUIRE(sessions.size() == 1);
    CHECK(sessions[0].id == session.id());
    CHECK(session.id().starts_with("_y__gent-"));
    CHECK(sessions[0].pid == ::getpid());
    CHECK(sessions[0].start_time == launch::stat_of(::getpid()).start_time);
    CHECK(sessions[0].workspace == "/home/me/a\\nb\\xff");
    CHECK(sessions[0].command == std::vector<std::string>{"pi", "-p", "do it"});
    CHECK((fs::status(session.folder().str()).permissions() & fs::perms::all) == fs::perms::owner_all);
  }
  CHECK(launch::list_sessions().empty());
  CHECK(fs::is_empty(runtime.path() + "/agentbox"));
}

TEST_CASE("the folder of a killed supervisor is swept by the next look") {
  Runtime runtime;
  pid_t holder = start_holder(true);
  REQUIRE(launch::list_sessions().size() == 1);
  ::kill(holder, SIGKILL);
  ::waitpid(holder, nullptr, 0);
  CHECK_FALSE(fs::is_empty(runtime.path() + "/agentbox"));
  CHECK(launch::list_sessions().empty());
  CHECK(fs::is_empty(runtime.path() + "/agentbox"));
}

TEST_CASE("a session is stopped, politely first") {
  Runtime runtime;
  bool obeys = GENERATE(true, false);
  pid_t holder = start_holder(obeys);
  auto sessions = launch::list_sessions();
  REQUIRE(sessions.size() == 1);
  CHECK(launch::stop_session(sessions[0], obeys ? 5000 : 50));
  int status = 0;
  ::waitpid(holder, &status, 0);
  CHECK(WTERMSIG(status) == (obeys ? SIGTERM : SIGKILL));
}

TEST_CASE("a process that merely got the number of a dead supervisor is left alone") {
  Runtime runtime;
  pid_t holder = start_holder(true);
  auto sessions = launch::list_sessions();
  REQUIRE(sessions.size() == 1);
  sessions[0].start_time += 1;
  CHECK_FALSE(launch::stop_session(sessions[0], 1000));
  CHECK(::kill(holder, 0) == 0);
  ::kill(holder, SIGKILL);
  ::waitpid(holder, nullptr, 0);
}

TEST_CASE("a runtime folder that others can open is refused") {
  Runtime runtime;
  fs::create_directory(runtime.path() + "/agentbox");
  fs::permissions(runtime.path() + "/agentbox", fs::perms::others_all, fs::perm_options::add);
  CHECK_THROWS_WITH(launch::Session(example()), runtime.path() + "/agentbox is not a folder that only you can open");
}

TEST_CASE("a process's name can't forge its line in /proc") {
  std::string file = (fs::temp_directory_path() / ("agentbox-stat-" + std::to_string(::getpid()))).string();
  std::ofstream(file) << "7 (x) R 1 (y) S 42 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 12345 1000 10\n";
  launch::ProcessStat stat = launch::read_stat(file);
  fs::remove(file);
  CHECK(stat.state == 'S');
  CHECK(stat.parent == 42);
  CHECK(stat.start_time == 12345);
  CHECK(launch::parent_of(::getpid()) == ::getppid());
}

TEST_CASE("a session that is given a name has it alone, and a dead one's is free") {
  Runtime runtime;
  using Kind = launch::SessionInfo::Kind;
  {
    launch::Session first(example(), Kind::broker, "side");
    CHECK(first.id() == "side");
    REQUIRE_THROWS_WITH(launch::Session(example(), Kind::broker, "side"), "a session called side is running");
    auto listed = launch::list_sessions();
    REQUIRE(listed.size() == 1);
    CHECK(listed[0].kind == Kind::broker);
    launch::Session room(example());
    CHECK(launch::list_sessions().size() == 2);
  }
  CHECK(launch::list_sessions().empty());
  // What a killed one leaves: a folder whose file nobody holds locked.
  fs::create_directory(runtime.path() + "/agentbox/side");
  fs::permissions(runtime.path() + "/agentbox/side", fs::perms::owner_all);
  std::ofstream(runtime.path() + "/agentbox/side/request.sock") << "x";
  launch::Session second(example(), Kind::broker, "side");
  CHECK_FALSE(fs::exists(second.folder().str() + "/request.sock"));
}

TEST_CASE("a session's name is short and plain") {
  for (const char* good : {"a", "side", "pi-k3f9", "a_b", "0", "12345678901234567890123456789012"}) {
    CHECK(launch::is_session_name(good));
  }
  for (const char* bad :
       {"", "-x", "Side", "a b", "a/b", "..", ".", "a\n", "\xff", "123456789012345678901234567890123"}) {
    CHECK_FALSE(launch::is_session_name(bad));
  }
}

namespace {

int alarmed = -1;         // written to by the handler
pid_t alarmed_child = 0;  // killed by it

// One signal in a moment, whose handler does what is waited for: nothing happens without the interruption.
void alarm_soon() {
  struct sigaction action{};
  action.sa_handler = [](int) {
    if (alarmed >= 0) (void)!::write(alarmed, "x", 1);
    if (alarmed_child > 0) ::kill(alarmed_child, SIGKILL);
  };
  REQUIRE(::sigaction(SIGALRM, &action, nullptr) == 0);
  itimerval time{.it_interval = {}, .it_value = {.tv_sec = 0, .tv_usec = 20'000}};
  REQUIRE(::setitimer(ITIMER_REAL, &time, nullptr) == 0);
}

}  // namespace

TEST_CASE("a signal doesn't end the wait for the helper, nor that for a child") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  CHECK_FALSE(launch::has_input_within(ends[0], std::chrono::milliseconds(1)));
  alarmed = ends[1];
  alarm_soon();
  CHECK(launch::has_input_within(ends[0], std::chrono::seconds(60)));
  alarmed = -1;
  ::close(ends[0]);
  ::close(ends[1]);

  alarmed_child = ::fork();
  if (alarmed_child == 0) {
    while (true) ::pause();
  }
  alarm_soon();
  int status = launch::reap(alarmed_child);
  CHECK(WIFSIGNALED(status));
  CHECK(::waitpid(alarmed_child, nullptr, WNOHANG) == -1);
  alarmed_child = 0;
  ::signal(SIGALRM, SIG_DFL);
}

TEST_CASE("folders that were made go again while they are empty") {
  const Runtime runtime;
  std::vector<base::AbsPath> made;
  const base::AbsPath top = base::AbsPath::parse(runtime.path()).value();
  launch::make_private_folders(top / "a/b/c", &made);
  launch::make_private_folders(top / "a/d", &made);
  REQUIRE(made.size() == 4);
  std::ofstream(runtime.path() + "/a/d/file") << "x";
  launch::remove_empty_folders(made);
  CHECK_FALSE(fs::exists(runtime.path() + "/a/b"));
  CHECK(fs::exists(runtime.path() + "/a/d/file"));
}
