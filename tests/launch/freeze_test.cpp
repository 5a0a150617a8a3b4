// A frozen room against agents that don't want to be. Each test that something stands still shows first that SIGSTOP
// alone, sent to everybody on a list, would not do it.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>

#include <sys/wait.h>

#include "process.hpp"
#include "room_support.hpp"

using namespace agentbox;
using namespace agentbox::test;

namespace {

// An agent `waker MODE` in a room that another process supervises.
class Waking {
 public:
  explicit Waking(const std::string& arguments) : room_((copy(), plan_for(folder_, "exec ./waker " + arguments))) {
    driver_ = ::fork();
    if (driver_ == 0) {
      (void)room_.supervisor->run();
      ::_exit(0);
    }
    REQUIRE(moves_from(0));
  }
  ~Waking() {
    ::kill(driver_, SIGKILL);
    ::waitpid(driver_, nullptr, 0);
  }
  Waking(const Waking&) = delete;

  [[nodiscard]] std::uintmax_t count() const {
    std::error_code none;
    const auto bytes = fs::file_size(folder_ / "work/count", none);
    return none ? 0 : bytes;
  }
  // Waits for it, ten seconds at most.
  [[nodiscard]] bool moves_from(std::uintmax_t before) const {
    for (int i = 0; i < 10000 && count() == before; ++i) ::usleep(1000);
    return count() != before;
  }
  [[nodiscard]] bool stands_still(int ms) const {
    const auto before = count();
    for (int i = 0; i < ms / 10 && count() == before; ++i) ::usleep(10'000);
    return count() == before;
  }
  // A list of the room, and a signal for each on it.
  void signal(int number) const {
    for (pid_t pid : processes()) {
      if (pid != room_.spawned.child) ::kill(pid, number);
    }
  }
  [[nodiscard]] std::vector<pid_t> processes() const { return launch::room_processes(room_.spawned.child); }
  [[nodiscard]] launch::Supervisor& supervisor() { return *room_.supervisor; }

 private:
  void copy() const { fs::copy_file(AGENTBOX_TEST_WAKER, folder_ / "work/waker"); }
  TemporaryFolder folder_;
  Room room_;
  pid_t driver_ = -1;
};

}  // namespace

TEST_CASE("SIGSTOP alone does not stop an agent that is woken or forks away") {
  for (const char* mode : {"timer", "chain", "'death of the parent'"}) {
    INFO(mode);
    Waking waking(mode);
    // The signal may come at a lucky moment, but not always.
    bool goes_on = false;
    for (int i = 0; i < 50 && !goes_on; ++i) {
      waking.signal(SIGSTOP);
      ::usleep(20'000);  // one step may have been under way
      goes_on = !waking.stands_still(std::string(mode).starts_with("'death") ? 2000 : 100);
      if (!goes_on) waking.signal(SIGCONT);
    }
    CHECK(goes_on);
  }
}

TEST_CASE("a frozen room stands still whatever its agent has prepared, and goes on when it is thawed") {
  for (const char* mode : {"timer", "chain", "'woken chain'", "'untraced chain'", "'death of the parent'",
                           "'thread chain'", "'many threads' 200", "vfork", "execve", "undumpable"}) {
    for (int i = 0; i < 3; ++i) {
      INFO(mode);
      Waking waking(mode);
      waking.supervisor().freeze();
      CHECK(waking.stands_still(std::string(mode).starts_with("'death") ? 1000 : 100));
      const auto before = waking.count();
      waking.supervisor().thaw();
      CHECK(waking.moves_from(before));
      if (std::string(mode).starts_with("'death")) break;
      waking.supervisor().freeze();
      CHECK(waking.stands_still(50));
      waking.supervisor().thaw();
      CHECK(waking.moves_from(waking.count()));
    }
  }
}

TEST_CASE("what a signal had stopped stays stopped when the room is thawed") {
  Waking waking("'many threads' 3");
  pid_t agent = waking.processes().back();
  ::kill(agent, SIGSTOP);
  while (launch::stat_of(agent).state != 'T') ::usleep(1000);
  waking.supervisor().freeze();
  CHECK(launch::stat_of(agent).state == 't');
  waking.supervisor().thaw();
  for (int i = 0; i < 10000 && launch::stat_of(agent).state != 'T'; ++i) ::usleep(1000);
  CHECK(launch::stat_of(agent).state == 'T');
  CHECK(waking.stands_still(50));
  const auto before = waking.count();
  ::kill(agent, SIGCONT);
  CHECK(waking.moves_from(before));
}

TEST_CASE("a dead room is frozen") {
  Waking waking("timer");
  waking.supervisor().kill_room();
  waking.supervisor().freeze();
  waking.supervisor().thaw();
}

TEST_CASE("a frozen room can be killed") {
  Waking waking("timer");
  waking.supervisor().freeze();
  pid_t agent = waking.processes().back();
  waking.supervisor().kill_room();
  int tries = 0;
  while (launch::stat_of(agent).state != 0 && ++tries < 10000) ::usleep(1000);
  CHECK(launch::stat_of(agent).state == 0);
  waking.supervisor().thaw();
}

TEST_CASE("how long a freeze takes", "[.measure]") {
  for (int threads : {1, 50, 500}) {
    Waking waking("'many threads' " + std::to_string(threads));
    std::vector<double> times;
    for (int i = 0; i < 30; ++i) {
      const auto begin = std::chrono::steady_clock::now();
      waking.supervisor().freeze();
      waking.supervisor().thaw();
      times.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
      (void)waking.moves_from(waking.count());
    }
    std::ranges::sort(times);
    std::printf("# %d threads: median %.2f ms, worst %.2f ms\n", threads, times[times.size() / 2], times.back());
  }
}
