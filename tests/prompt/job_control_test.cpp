// The terminal under a real shell's job control: a session leader on a pty of its own, and agentbox's part as
// its job.

#include <chrono>
#include <fstream>
#include <optional>
#include <string>

#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <catch2/catch.hpp>

#include "agentbox/base/escape.hpp"
#include "agentbox/prompt/relay.hpp"

#include "pty.hpp"

using namespace std::chrono_literals;
using agentbox::base::escape;
using agentbox::base::UniqueFd;
using agentbox::prompt::HumanTerminal;
using agentbox::prompt::Relay;
using agentbox::test::is_raw;
using agentbox::test::modes_of;
using agentbox::test::Pty;
using agentbox::test::read_until;
using agentbox::test::same;
using agentbox::test::write_all;

namespace {

// What the launcher does with the relay, told by letters: 'p' the agent prints, 's' it has stopped, 'e' it
// has ended. Reports 'R' when it runs, 'C' when it was continued, a key that the agent got as itself.
[[noreturn]] void job(int orders) {
  boost::asio::io_context loop;
  auto terminal = HumanTerminal::open();
  Pty room;
  UniqueFd agent = room.open_slave();
  room.slave.reset();
  {
    Relay relay(loop, *terminal, std::move(room.master));
    relay.start();
    termios raw = modes_of(agent.get());
    ::cfmakeraw(&raw);
    ::tcsetattr(agent.get(), TCSANOW, &raw);
    boost::asio::posix::stream_descriptor line(loop, orders), keys(loop, agent.get());
    bool ended = false;
    std::function<void()> wait_for_order = [&] {
      line.async_wait(line.wait_read, [&](auto) {
        char order = 0;
        if (::read(orders, &order, 1) != 1) ::_exit(3);
        if (order == 'p') write_all(agent.get(), "\033[?1049hpicture");
        if (order == 'o') write_all(agent.get(), "output");
        if (order == 's') {
          relay.suspend();
          write_all(orders, "C");
        }
        if (order == 'e') {
          keys.release();
          agent.reset();
          relay.drain(5s, [&](Relay::End) { ended = true; });
          return;
        }
        wait_for_order();
      });
    };
    std::function<void()> wait_for_key = [&] {
      keys.async_wait(keys.wait_read, [&](auto error) {
        char key = 0;
        if (error || ::read(agent.get(), &key, 1) != 1) return;
        write_all(orders, std::string(1, key));
        wait_for_key();
      });
    };
    wait_for_order();
    wait_for_key();
    write_all(orders, "R");
    while (!ended) loop.run_one();
  }
  terminal.reset();
  ::_exit(0);
}

// The shell's side: SIGUSR1 is `fg`.
pid_t shells_job = -1;
void bring_to_foreground(int) {
  ::tcsetpgrp(0, shells_job);
}

enum class Place { foreground, background, without_shell };

// A shell with one job.
struct Session {
  Pty pty;
  termios before = modes_of(pty.slave.get());
  UniqueFd orders;  // to the job
  pid_t shell = -1, job_pid = -1;

  explicit Session(Place place) {
    int ends[2], pids[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    REQUIRE(::pipe(pids) == 0);
    orders.reset(ends[0]);
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);  // what is left behind by the dead comes to us
    shell = ::fork();
    if (shell == 0) {
      ::setsid();
      ::ioctl(pty.slave.get(), TIOCSCTTY, 0);
      for (int fd = 0; fd < 3; ++fd) ::dup2(pty.slave.get(), fd);
      orders.reset();
      pty.master.reset();
      pty.slave.reset();
      ::signal(SIGTTOU, SIG_IGN);
      const pid_t pid = place == Place::without_shell ? 0 : ::fork();
      if (pid == 0) {
        ::signal(SIGTTOU, SIG_DFL);
        if (place != Place::without_shell) ::setpgid(0, 0);
        if (place == Place::foreground) {
          ::signal(SIGTTOU, SIG_IGN);
          ::tcsetpgrp(0, ::getpgrp());
          ::signal(SIGTTOU, SIG_DFL);
        }
        const pid_t self = ::getpid();
        if (::write(pids[1], &self, sizeof self) != sizeof self) ::_exit(2);
        job(ends[1]);
      }
      shells_job = pid;
      ::signal(SIGUSR1, bring_to_foreground);  // restarts the wait
      for (;;) {                               // a shell reports what becomes of its job, and takes the terminal back
        int status = 0;
        if (::waitpid(pid, &status, WUNTRACED) < 0) ::_exit(0);
        ::tcsetpgrp(0, ::getpgrp());
        write_all(ends[1], WIFSTOPPED(status) ? "S" : WIFEXITED(status) ? "X" : "K");
        if (!WIFSTOPPED(status)) ::_exit(0);
      }
    }
    ::close(ends[1]);
    REQUIRE(::read(pids[0], &job_pid, sizeof job_pid) == sizeof job_pid);
    ::close(pids[0]);
    ::close(pids[1]);
  }

  ~Session() {
    ::kill(job_pid, SIGKILL);
    ::kill(shell, SIGKILL);
    while (::waitpid(-1, nullptr, __WALL) > 0) {
    }
  }

  void order(char c) { write_all(orders.get(), std::string(1, c)); }
  // Waits for it.
  char report() {
    char c = 0;
    pollfd ready{orders.get(), POLLIN, 0};
    if (::poll(&ready, 1, 10'000) != 1 || ::read(orders.get(), &c, 1) != 1) return 0;
    return c;
  }
  void type(std::string_view keys) { write_all(pty.master.get(), keys); }
  std::string screen(std::string_view until) { return read_until(pty.master.get(), until); }
  [[nodiscard]] bool raw() const { return is_raw(pty.slave.get()); }
  [[nodiscard]] bool as_before() const { return same(modes_of(pty.slave.get()), before); }
  template <class Condition>
  static bool until(Condition condition) {
    const auto limit = std::chrono::steady_clock::now() + 10s;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > limit) return false;
      ::poll(nullptr, 0, 2);
    }
    return true;
  }
  // Only a member of the session may do it.
  void foreground() const {
    ::kill(shell, SIGUSR1);
    REQUIRE(until([&] { return ::tcgetpgrp(pty.master.get()) == job_pid; }));
  }
};

pid_t watcher_of(pid_t pid) {
  std::ifstream children("/proc/" + std::to_string(pid) + "/task/" + std::to_string(pid) + "/children");
  pid_t child = -1;
  children >> child;
  return child;
}

}  // namespace

TEST_CASE("a job in the foreground has the terminal, and gives it back at its end") {
  Session session(Place::foreground);
  REQUIRE(session.report() == 'R');
  CHECK(session.raw());
  session.type("k");
  CHECK(session.report() == 'k');
  session.order('e');
  CHECK(session.report() == 'X');
  CHECK(session.as_before());
}

TEST_CASE("Ctrl-C is a key for the room, not a signal for us") {
  Session session(Place::foreground);
  REQUIRE(session.report() == 'R');
  session.type("\003");
  CHECK(session.report() == '\003');
}

TEST_CASE("after kill -9 the terminal is as it was, and nobody is left") {
  Session session(Place::foreground);
  REQUIRE(session.report() == 'R');
  session.order('p');
  session.screen("picture");
  const pid_t watcher = watcher_of(session.job_pid);
  REQUIRE(watcher > 0);
  ::kill(session.job_pid, SIGKILL);
  CHECK(session.report() == 'K');
  CHECK(::waitpid(watcher, nullptr, __WALL) == watcher);
  CHECK(session.as_before());
  CHECK(escape(session.screen("1049l")) == "\\x1b\\\\\\x1b[?1049l");
}

TEST_CASE("after kill -9 of the whole process group the terminal is as it was") {
  Session session(Place::foreground);
  REQUIRE(session.report() == 'R');
  const pid_t watcher = watcher_of(session.job_pid);
  ::kill(-session.job_pid, SIGKILL);
  CHECK(session.report() == 'K');
  CHECK(::waitpid(watcher, nullptr, __WALL) == watcher);
  CHECK(session.as_before());
}

TEST_CASE("modes that another has set after our death are left alone") {
  Session session(Place::foreground);
  REQUIRE(session.report() == 'R');
  const pid_t watcher = watcher_of(session.job_pid);
  ::kill(watcher, SIGSTOP);
  ::kill(session.job_pid, SIGKILL);
  CHECK(session.report() == 'K');
  termios other = session.before;
  other.c_lflag &= ~static_cast<tcflag_t>(ECHO | ICANON);
  ::tcsetattr(session.pty.slave.get(), TCSANOW, &other);
  ::kill(watcher, SIGCONT);
  CHECK(::waitpid(watcher, nullptr, __WALL) == watcher);
  CHECK(same(modes_of(session.pty.slave.get()), other));
}

TEST_CASE("a watcher that was killed is no harm") {
  Session session(Place::foreground);
  REQUIRE(session.report() == 'R');
  ::kill(watcher_of(session.job_pid), SIGKILL);
  session.order('e');
  CHECK(session.report() == 'X');
  CHECK(session.as_before());
}

TEST_CASE("Ctrl-Z gives the terminal to the shell, and fg takes it again") {
  Session session(Place::foreground);
  REQUIRE(session.report() == 'R');
  session.order('p');
  session.screen("picture");
  session.order('s');
  REQUIRE(session.report() == 'S');
  CHECK(session.as_before());
  CHECK(escape(session.screen("l")) == "\\x1b[?1049l");

  session.foreground();
  ::kill(-session.job_pid, SIGCONT);
  REQUIRE(session.report() == 'C');
  CHECK(session.raw());
  CHECK(escape(session.screen("h")) == "\\x1b[?1049h");
  session.type("k");
  CHECK(session.report() == 'k');
}

TEST_CASE("after bg the terminal stays the shell's and output goes on, until fg") {
  Session session(Place::foreground);
  REQUIRE(session.report() == 'R');
  session.order('s');
  REQUIRE(session.report() == 'S');
  ::kill(-session.job_pid, SIGCONT);
  REQUIRE(session.report() == 'C');
  session.order('o');
  CHECK(session.screen("output") == "output");
  CHECK(session.as_before());
  session.foreground();
  CHECK(Session::until([&] { return session.raw(); }));
  session.type("k");
  CHECK(session.report() == 'k');
}

TEST_CASE("a job that is started in the background prints, and does not touch the terminal") {
  Session session(Place::background);
  REQUIRE(session.report() == 'R');
  session.order('o');
  CHECK(session.screen("output") == "output");
  CHECK(session.as_before());
  session.order('e');
  CHECK(session.report() == 'X');
  CHECK(session.as_before());
}

TEST_CASE("where no shell could continue us, Ctrl-Z does not stop us") {
  Session session(Place::without_shell);
  REQUIRE(session.report() == 'R');
  session.order('s');
  CHECK(session.report() == 'C');
  CHECK(session.raw());
  session.type("k");
  CHECK(session.report() == 'k');
}

TEST_CASE("a stop that nobody announced is survived") {
  Session session(Place::foreground);
  REQUIRE(session.report() == 'R');
  ::kill(session.job_pid, SIGSTOP);
  REQUIRE(session.report() == 'S');
  ::tcsetattr(session.pty.slave.get(), TCSANOW, &session.before);  // as a shell does
  session.foreground();
  ::kill(-session.job_pid, SIGCONT);
  CHECK(Session::until([&] { return session.raw(); }));
  session.order('e');
  CHECK(session.report() == 'X');
  CHECK(session.as_before());
}
