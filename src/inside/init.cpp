// The room's first process. bwrap executes it when the room is furnished and locked: it starts the agent,
// reaps the room's orphans, and tells the supervisor what became of the agent. Trust: it runs inside, with
// the agent's own uid and under the same seccomp filter; nothing outside relies on it after the agent has
// started. As pid 1 of its namespace it takes the whole room with it when it ends, and it ends when the
// supervisor does (end-of-file on its control socket), and with bwrap's monitor.

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agentbox/wire/init_message.hpp"

namespace {

namespace wire = agentbox::wire;
using wire::Step;

constexpr int failed = 125;

void tell(const wire::FromInit& message) {
  std::vector<std::byte> bytes = wire::encode(message);
  // A supervisor that is gone needs no report, and the main loop sees its end-of-file.
  (void)::send(wire::init_control_fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

[[noreturn]] void give_up(Step step, int error) {
  tell(wire::Failed{step, error});
  ::_exit(failed);
}

wire::Start read_start() {
  struct stat info{};
  if (::fstat(wire::init_start_fd, &info) != 0) give_up(Step::read_start, errno);
  if (info.st_size < 0 || static_cast<std::size_t>(info.st_size) > wire::start_limit) give_up(Step::read_start, E2BIG);
  std::vector<std::byte> bytes(static_cast<std::size_t>(info.st_size));
  for (std::size_t done = 0; done < bytes.size();) {
    ssize_t count = ::pread(wire::init_start_fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (count <= 0) give_up(Step::read_start, count == 0 ? EIO : errno);
    done += static_cast<std::size_t>(count);
  }
  ::close(wire::init_start_fd);
  auto start = wire::decode_start(bytes);
  if (!start) give_up(Step::read_start, EPROTO);
  return *std::move(start);
}

// Puts the agent's three standard streams in place. The room's terminal becomes the controlling one by being
// opened: we lead a session that has none (tty_ioctl(4), TIOCSCTTY is not needed and the filter may deny it).
void place_streams(std::uint8_t terminal) {
  int tty = -1;
  if (terminal != 0) {
    tty = ::open("/dev/pts/0", O_RDWR | O_CLOEXEC);
    if (tty < 0) give_up(Step::open_terminal, errno);
  }
  for (int stream = 0; stream < 3; ++stream) {
    bool is_terminal = (terminal >> stream & 1) != 0;
    int from = is_terminal ? tty : wire::init_stream_fd + stream;
    if (::dup2(from, stream) < 0) give_up(Step::open_terminal, errno);
  }
  ::close_range(wire::init_stream_fd, ~0U, 0);
}

// 0: as it is.
bool set_limit(int resource, std::uint64_t value) {
  if (value == 0) return true;
  rlimit limit{};
  if (::getrlimit(static_cast<__rlimit_resource>(resource), &limit) != 0) return false;
  // Only ever lower than what the owner has.
  limit.rlim_max = limit.rlim_max < value ? limit.rlim_max : value;
  limit.rlim_cur = limit.rlim_max;
  return ::setrlimit(static_cast<__rlimit_resource>(resource), &limit) == 0;
}

// Of 0 the kernel minds only files: a crash still starts the machine's handler with all that the program held
// (core(5)). Of 1 it starts none, and a file would have no room for a single header.
constexpr std::uint64_t no_core = 1;

struct Failure {
  Step step;
  int error;
};

// In the child that becomes the agent. Returns only if it can't; the reason goes through `report`, which
// execve closes.
[[noreturn]] void become_agent(const wire::Start& start, char* const* argv, char** environment, int report) {
  auto fail = [report](Step step) {
    Failure failure{step, errno};
    (void)!::write(report, &failure, sizeof failure);
    ::_exit(failed);
  };
  ::setpgid(0, 0);
  if (start.terminal != 0) {
    int tty = (start.terminal & 1) != 0 ? 0 : (start.terminal & 2) != 0 ? 1 : 2;
    ::tcsetpgrp(tty, ::getpid());  // SIGTTOU is still blocked
  }
  if (!set_limit(RLIMIT_NOFILE, start.open_files) || !set_limit(RLIMIT_FSIZE, start.file_size) ||
      !set_limit(RLIMIT_CPU, start.cpu_seconds) || !set_limit(RLIMIT_NPROC, start.processes) ||
      !set_limit(RLIMIT_CORE, no_core)) {
    fail(Step::set_limits);
  }
  if (::chdir(start.directory.c_str()) != 0) fail(Step::change_directory);
  // init's own signal state must not be the agent's: all default, none blocked.
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  environ = environment;
  ::execvp(argv[0], argv);
  fail(Step::execute);
  ::_exit(failed);
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> out;
  for (std::string& text : strings) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

pid_t start_agent(wire::Start& start) {
  int report[2];
  if (::pipe2(report, O_CLOEXEC) != 0) give_up(Step::fork, errno);
  std::vector<char*> argv = pointers(start.argv), environment = pointers(start.environment);
  pid_t agent = ::fork();
  if (agent < 0) give_up(Step::fork, errno);
  if (agent == 0) {
    ::close_range(wire::init_control_fd, wire::init_control_fd, 0);
    become_agent(start, argv.data(), environment.data(), report[1]);
  }
  ::close(report[1]);
  Failure failure{};
  ssize_t count = 0;
  do {
    count = ::read(report[0], &failure, sizeof failure);
  } while (count < 0 && errno == EINTR);
  ::close(report[0]);
  if (count == sizeof failure) give_up(failure.step, failure.error);
  tell(wire::Started{});
  return agent;
}

// Reaps everyone; reports what happened to the agent. True when the agent is gone.
bool reap(pid_t agent) {
  for (;;) {
    int status = 0;
    pid_t pid = ::waitpid(-1, &status, WNOHANG | WUNTRACED);
    if (pid <= 0) return false;
    if (pid != agent) continue;
    if (WIFSTOPPED(status)) {
      tell(wire::Stopped{WSTOPSIG(status)});
    } else {
      tell(wire::Exited{status});
      return true;
    }
  }
}

// False when the supervisor is gone.
bool obey(pid_t agent, int tty) {
  std::byte packet[wire::packet_limit];
  ssize_t count = ::recv(wire::init_control_fd, packet, sizeof packet, 0);
  if (count <= 0) return false;
  auto message = wire::decode_to_init({packet, static_cast<std::size_t>(count)});
  if (!message) return false;
  pid_t foreground = tty >= 0 ? ::tcgetpgrp(tty) : agent;
  if (foreground <= 1) foreground = agent;
  if (const auto* signal = std::get_if<wire::Signal>(&*message)) {
    ::kill(-foreground, signal->number);
  } else {
    ::kill(-agent, SIGCONT);
  }
  return true;
}

}  // namespace

int main() {
  // The agent runs with our uid: without this it could read our memory and descriptors through /proc/1.
  ::prctl(PR_SET_DUMPABLE, 0);
  // bwrap's monitor, outside the namespace, is our parent.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::signal(SIGPIPE, SIG_IGN);
  wire::Start start = read_start();
  // A session of its own even without a terminal: kill(0, ...) reaches members of the group outside the
  // namespace.
  if (::setsid() < 0) give_up(Step::set_session, errno);
  sigset_t watched;
  sigfillset(&watched);
  ::sigprocmask(SIG_BLOCK, &watched, nullptr);
  place_streams(start.terminal);
  ::fcntl(wire::init_control_fd, F_SETFD, FD_CLOEXEC);
  // Is the supervisor already gone? A signal to be passed on may lie there already: that is no end.
  pollfd supervisor{wire::init_control_fd, 0, 0};
  if (::poll(&supervisor, 1, 0) > 0 && (supervisor.revents & POLLHUP) != 0) ::_exit(failed);

  pid_t agent = start_agent(start);
  int tty = start.terminal == 0 ? -1
                                : ::fcntl((start.terminal & 1) != 0   ? 0
                                          : (start.terminal & 2) != 0 ? 1
                                                                      : 2,
                                          F_DUPFD_CLOEXEC, 10);
  // A pipe that the agent closes must be closed: its reader waits for that.
  for (int stream = 0; stream < 3; ++stream) ::close(stream);

  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  int signals = ::signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0) ::_exit(failed);
  for (;;) {
    if (reap(agent)) return 0;
    pollfd waits[] = {{signals, POLLIN, 0}, {wire::init_control_fd, POLLIN, 0}};
    if (::poll(waits, 2, -1) < 0 && errno != EINTR) ::_exit(failed);
    signalfd_siginfo info[16];
    (void)!::read(signals, info, sizeof info);
    if (waits[1].revents != 0 && !obey(agent, tty)) ::_exit(failed);
  }
}
