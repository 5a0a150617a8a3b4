#include "demo_play.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <iterator>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agentbox/base/error.hpp"
#include "agentbox/launch/reap.hpp"

namespace agentbox::cli::stage {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto deadline = 60s;
constexpr auto grace = 5s;  // a room that is told to end clears up after itself
constexpr int moment = 50;  // ms

constexpr std::array noted = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
volatile std::sig_atomic_t caught_signal = 0;
std::array<struct sigaction, noted.size()> before;

void note(int number) {
  caught_signal = number;
}

class Pipe {
 public:
  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw base::SystemError(errno, "cannot make a pipe");
    from.reset(ends[0]);
    to.reset(ends[1]);
  }
  void drain(std::string& into, short events) {
    if (events == 0) return;
    std::array<char, 4096> buffer{};
    const ssize_t size = ::read(from.get(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) return;
    if (size <= 0) return from.reset();
    into.append(buffer.data(), static_cast<std::size_t>(size));
  }
  base::UniqueFd from, to;
};

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> out;
  out.reserve(words.size() + 1);
  for (std::string& word : words) out.push_back(word.data());
  out.push_back(nullptr);
  return out;
}

// `out`, `err`: -1 for ours.
pid_t spawn(std::vector<std::string> argv, const World& world, Streams streams, int out, int err) {
  std::vector<std::string> environment = world.environment();
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (streams == Streams::collected) {
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
  }
  posix_spawn_file_actions_addchdir_np(&actions, world.project().c_str());
  pid_t child = -1;
  const int problem =
      ::posix_spawn(&child, argv[0].c_str(), &actions, nullptr, pointers(argv).data(), pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  if (problem != 0) throw base::SystemError(problem, "cannot start " + argv[0]);
  return child;
}

// Waits for one process, and ends it when it takes too long or we are to end.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid), pidfd_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))) {}
  ~Child() {
    if (ended_) return;
    ::kill(pid_, SIGKILL);
    launch::reap(pid_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  [[nodiscard]] int fd() const noexcept { return ended_ ? -1 : pidfd_.get(); }
  [[nodiscard]] bool ended() const noexcept { return ended_; }
  [[nodiscard]] int status() const noexcept { return status_; }

  void look() {
    if (ended_ || ::waitpid(pid_, &status_, WNOHANG | WUNTRACED) != pid_) return;
    if (!WIFSTOPPED(status_)) {
      ended_ = true;
      return;
    }
    // Ctrl-Z in the room stops agentbox there. So do we, or our shell would wait for us; it continues both.
    ::raise(SIGSTOP);
    ::kill(pid_, SIGCONT);
  }
  void end() {
    const auto now = Clock::now();
    if (ended_ || now < next_) return;
    ::kill(pid_, next_ == Clock::time_point{} ? SIGTERM : SIGKILL);
    next_ = now + grace;
  }

 private:
  pid_t pid_;
  base::UniqueFd pidfd_;
  bool ended_ = false;
  int status_ = 0;
  Clock::time_point next_;  // when to be harsher
};

}  // namespace

Signals::Signals() {
  for (std::size_t i = 0; i < noted.size(); ++i) {
    struct sigaction action{};
    action.sa_handler = note;  // without SA_RESTART: whoever waits looks up
    ::sigaction(noted[i], nullptr, &before[i]);
    if (before[i].sa_handler != SIG_IGN) ::sigaction(noted[i], &action, nullptr);
  }
}

Signals::~Signals() {
  for (std::size_t i = 0; i < noted.size(); ++i) ::sigaction(noted[i], &before[i], nullptr);
}

int Signals::caught() noexcept {
  return caught_signal;
}

Played play(std::vector<std::string> argv, const World& world, Streams streams,
            const std::function<void()>& each_moment) {
  Played played;
  Pipe out, err;
  Child child(spawn(std::move(argv), world, streams, out.to.get(), err.to.get()));
  out.to.reset();
  err.to.reset();
  const auto late = Clock::now() + deadline;
  while (!child.ended() || out.from || err.from) {
    std::array<pollfd, 3> ready{{{out.from.get(), POLLIN, 0}, {err.from.get(), POLLIN, 0}, {child.fd(), POLLIN, 0}}};
    if (::poll(ready.data(), ready.size(), moment) < 0) ready = {};
    out.drain(played.output, ready[0].revents);
    err.drain(played.errors, ready[1].revents);
    child.look();
    if (each_moment && !child.ended()) each_moment();
    const bool hangs = streams == Streams::collected && Clock::now() > late;
    if (Signals::caught() != 0 || hangs) child.end();
  }
  if (streams == Streams::collected && Clock::now() > late) played.errors += "it did not end within a minute\n";
  played.status = child.status();
  return played;
}

std::string own_path() {
  return std::filesystem::read_symlink("/proc/self/exe").string();
}

}  // namespace agentbox::cli::stage
