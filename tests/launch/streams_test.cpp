#include "streams.hpp"

#include <string>

#include <fcntl.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "agentbox/base/error.hpp"

using namespace agentbox;

namespace {

// What is said of `fd` as standard input, in a process of its own: "terminal", "passed" or the refusal.
std::string judged(int fd) {
  int answer[2];
  REQUIRE(::pipe(answer) == 0);
  pid_t pid = ::fork();
  if (pid == 0) {
    int null = ::open("/dev/null", O_RDWR);
    ::dup2(null, 1);
    ::dup2(null, 2);
    ::dup2(fd, 0);
    std::string text;
    try {
      text = launch::judge_streams().kind[0] == launch::StreamKind::terminal ? "terminal" : "passed";
    } catch (const base::SystemError& error) {
      text = error.what();
    }
    (void)!::write(answer[1], text.data(), text.size());
    ::_exit(0);
  }
  ::close(answer[1]);
  ::waitpid(pid, nullptr, 0);
  char buffer[256];
  ssize_t count = ::read(answer[0], buffer, sizeof buffer);
  ::close(answer[0]);
  return {buffer, static_cast<std::size_t>(count)};
}

std::string judged_file(const char* path) {
  base::UniqueFd fd(::open(path, O_RDONLY));
  REQUIRE(fd);
  return judged(fd.get());
}

}  // namespace

TEST_CASE("files, pipes and /dev/null pass into the room") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  CHECK(judged(ends[0]) == "passed");
  CHECK(judged_file("/dev/null") == "passed");
  CHECK(judged_file("/etc/passwd") == "passed");
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_CASE("a terminal is told from the rest") {
  int master = -1, slave = -1;
  REQUIRE(::openpty(&master, &slave, nullptr, nullptr, nullptr) == 0);
  CHECK(judged(slave) == "terminal");
  ::close(master);
  ::close(slave);
}

TEST_CASE("a directory or a device on a standard stream is refused") {
  CHECK(judged_file("/") == "standard input is a directory, which the room could walk out through");
  CHECK(judged_file("/dev/zero") == "standard input is a device that does not belong into the room");
}
