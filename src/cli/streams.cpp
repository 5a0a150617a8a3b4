#include "streams.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "agentbox/base/error.hpp"

namespace agentbox::cli {

namespace {

// Only main's first thread runs here, and nothing sets a variable.
std::string_view variable(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
  return value == nullptr ? std::string_view{} : std::string_view(value);
}

}  // namespace

void open_missing_streams() {
  for (int fd = 0; fd <= 2; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0) continue;
    // The lowest free number is this one: those below it are open. A standard stream is inherited, so no
    // O_CLOEXEC. NOLINTNEXTLINE(android-cloexec-open)
    int opened = ::open("/dev/null", O_RDWR);
    if (opened != fd) throw base::SystemError(errno, "cannot open /dev/null for a closed standard stream");
  }
}

Terminal judge_terminal() {
  const bool wanted = variable("NO_COLOR").empty() && !variable("TERM").empty() && variable("TERM") != "dumb";
  auto judge = [&](int fd) { return wanted && ::isatty(fd) == 1 ? base::Colour::on : base::Colour::off; };
  return {.out = judge(STDOUT_FILENO), .err = judge(STDERR_FILENO)};
}

std::size_t terminal_width() {
  winsize size{};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

void finish_output() {
  errno = 0;
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return;
  if (errno == EPIPE) return;
  throw base::SystemError(errno, "cannot write to standard output");
}

}  // namespace agentbox::cli
