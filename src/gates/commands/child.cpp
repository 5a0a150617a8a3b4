#include "child.hpp"

#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agentbox/base/error.hpp"
#include "agentbox/gates/open_files.hpp"

namespace agentbox::gates::commands {

namespace {

// Between vfork and exec: no allocation, no exception, no library but the bare system calls. Every signal is blocked, so
// no handler of ours runs here.
[[noreturn]] void become(const Child& child, pid_t parent, const rlimit* open_files, int report) noexcept {
  auto fail = [report] {
    int error = errno;
    (void)!::write(report, &error, sizeof error);
    ::_exit(127);
  };
  // An agentbox that is killed leaves no command behind. (Lost on a set-user-ID program: those the owner must end.)
  if (::prctl(PR_SET_PDEATHSIG, SIGHUP) != 0 || ::getppid() != parent) fail();
  if (::setsid() < 0) fail();
  for (int stream = 0; stream < 3; ++stream) {
    if (::dup2(child.streams[static_cast<std::size_t>(stream)], stream) < 0) fail();
  }
  if (child.terminal == Child::Terminal::controlling && ::ioctl(0, TIOCSCTTY, 0) != 0) fail();
  if (::fchdir(child.directory) != 0) fail();
  ::umask(022);
  if (open_files != nullptr && ::setrlimit(RLIMIT_NOFILE, open_files) != 0) fail();
  // Whatever the supervisor ignores or handles is not the command's.
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  // All of ours are close-on-exec; this is for what a library may have forgotten.
  if (::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) != 0) fail();
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (child.script != nullptr) {
    ::execve(child.script, child.argv, child.environment);
  } else {
    ::syscall(SYS_execveat, child.program, "", child.argv, child.environment, AT_EMPTY_PATH);
  }
  fail();
  ::_exit(127);
}

}  // namespace

Born give_birth(const Child& child) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw base::SystemError(errno, "cannot make a pipe");
  base::UniqueFd reading(ends[0]), writing(ends[1]);
  Born born;
  sigset_t all, before;
  sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, &before);
  const pid_t parent = ::getpid();
  const rlimit* const open_files = open_files_before();
  // NOLINTBEGIN(clang-analyzer-security.insecureAPI.vfork, clang-analyzer-unix.Vfork, bugprone-unsafe-functions)
  born.pid = ::vfork();
  if (born.pid == 0) become(child, parent, open_files, writing.get());
  // NOLINTEND(clang-analyzer-security.insecureAPI.vfork, clang-analyzer-unix.Vfork, bugprone-unsafe-functions)
  const int forked = errno;
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  if (born.pid < 0) throw base::SystemError(forked, "cannot start a process");
  writing.reset();
  int error = 0;
  ssize_t count = 0;
  do {
    count = ::read(reading.get(), &error, sizeof error);
  } while (count < 0 && errno == EINTR);
  if (count == sizeof error) {
    ::waitpid(born.pid, nullptr, 0);
    born.error = error != 0 ? error : EIO;
    return born;
  }
  born.pidfd.reset(static_cast<int>(::syscall(SYS_pidfd_open, born.pid, 0)));
  if (!born.pidfd) {
    const int refused = errno;
    ::kill(-born.pid, SIGKILL);
    ::waitpid(born.pid, nullptr, 0);
    throw base::SystemError(refused, "cannot watch a process");
  }
  return born;
}

}  // namespace agentbox::gates::commands
