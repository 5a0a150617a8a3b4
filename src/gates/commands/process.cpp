#include "process.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include "agentbox/base/error.hpp"

#include "child.hpp"

namespace agentbox::gates::commands {

using base::SystemError;
using base::UniqueFd;

namespace {

// The command's own ends, and those of the room.
struct Ends {
  std::array<UniqueFd, 3> child;
  std::vector<UniqueFd> room;
  UniqueFd master;                 // ours, of a terminal
  std::array<UniqueFd, 2> memory;  // kept output and errors
};

// 0, 1 and 2 may be free in a supervisor that was started without them.
UniqueFd above_streams(int fd) {
  UniqueFd made(fd);
  if (made && made.get() > 2) return made;
  UniqueFd copy(::fcntl(made.get(), F_DUPFD_CLOEXEC, 3));
  if (!copy) throw SystemError(errno, "cannot duplicate a descriptor");
  return copy;
}
UniqueFd copy_of(const UniqueFd& fd) {
  UniqueFd copy(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
  if (!copy) throw SystemError(errno, "cannot duplicate a descriptor");
  return copy;
}

void make_pipes(Ends& ends) {
  for (std::size_t stream = 0; stream < 3; ++stream) {
    std::array<int, 2> pair{};
    if (::pipe2(pair.data(), O_CLOEXEC) != 0) throw SystemError(errno, "cannot make a pipe");
    UniqueFd reading = above_streams(pair[0]), writing = above_streams(pair[1]);
    ends.child.at(stream) = std::move(stream == 0 ? reading : writing);
    ends.room.push_back(std::move(stream == 0 ? writing : reading));
  }
}

winsize size_of(wire::WindowSize size) {
  return {.ws_row = size.rows, .ws_col = size.columns, .ws_xpixel = 0, .ws_ypixel = 0};
}

void make_terminal(Ends& ends, wire::WindowSize size) {
  ends.master = above_streams(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (::grantpt(ends.master.get()) != 0 || ::unlockpt(ends.master.get()) != 0) {
    throw SystemError(errno, "cannot make a terminal");
  }
  // By its master, not by a name: another devpts may be mounted where the name would lead.
  UniqueFd slave = above_streams(::ioctl(ends.master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  const winsize window = size_of(size);
  ::ioctl(ends.master.get(), TIOCSWINSZ, &window);
  ends.child[1] = copy_of(slave);
  ends.child[2] = copy_of(slave);
  ends.child[0] = std::move(slave);
  ends.room.push_back(copy_of(ends.master));
}

void make_kept(Ends& ends, int input) {
  const int from = input < 0 ? ::open("/dev/null", O_RDONLY | O_CLOEXEC) : ::fcntl(input, F_DUPFD_CLOEXEC, 3);
  if (from < 0) throw SystemError(errno, "cannot open what a command reads");
  ends.child[0] = above_streams(from);
  for (std::size_t stream = 1; stream < 3; ++stream) {
    UniqueFd memory = above_streams(::memfd_create("agentbox-output", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    // One place for all who write.
    if (::fcntl(memory.get(), F_SETFL, O_APPEND) != 0) throw SystemError(errno, "cannot keep output");
    ends.child.at(stream) = copy_of(memory);
    ends.memory.at(stream - 1) = std::move(memory);
  }
}

// A descriptor of its own, for reading from the beginning, of what nobody can change any more.
UniqueFd for_reading(const UniqueFd& memory) {
  // What the command has left running may hold it open for writing; not mapped, so this can't fail for that.
  ::fcntl(memory.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
  UniqueFd reading(::open(("/proc/self/fd/" + std::to_string(memory.get())).c_str(), O_RDONLY | O_CLOEXEC));
  if (!reading) throw SystemError(errno, "cannot read kept output");
  return reading;
}

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> list;
  for (const std::string& word : words) list.push_back(const_cast<char*>(word.c_str()));  // execve only reads
  list.push_back(nullptr);
  return list;
}

// Kills one process if it belongs to the session; false when it doesn't.
bool kill_member(pid_t pid, pid_t session) {
  if (::getsid(pid) != session) return false;
  UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  // Asked again with the descriptor in hand: the number may be another's by now.
  if (!process || ::getsid(pid) != session) return false;
  return ::syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0) == 0;
}

// The leader must not be reaped yet: then its number is nobody else's session. A member that keeps forking is caught in
// the next round; one that has made a session of its own was let go by the command itself.
void kill_session(pid_t session) {
  ::kill(-session, SIGKILL);
  for (int round = 0; round < 4; ++round) {
    bool found = false;
    DIR* processes = ::opendir("/proc");
    if (processes == nullptr) return;
    for (;;) {
      errno = 0;                                   // only it tells an error from the end
      const dirent* entry = ::readdir(processes);  // NOLINT(concurrency-mt-unsafe): a stream of our own
      if (entry == nullptr) {
        found = found || errno != 0;
        break;
      }
      pid_t pid = 0;
      const char* end = entry->d_name + std::strlen(entry->d_name);
      if (std::from_chars(entry->d_name, end, pid).ptr != end || pid <= 1) continue;
      if (kill_member(pid, session) && pid != session) found = true;
    }
    ::closedir(processes);
    if (!found) return;
  }
}

}  // namespace

class Process::Impl : public std::enable_shared_from_this<Process::Impl> {
 public:
  Impl(boost::asio::io_context& loop, Born born, Ends ends)
      : pid_(born.pid), ended_(loop, born.pidfd.release()), ends_(std::move(ends)) {}

  void wait(std::function<void(int)> done) {
    auto ready = [self = shared_from_this(), done = std::move(done)](boost::system::error_code error) {
      if (error || self->pid_ < 0) return;
      done(self->reap());
    };
    ended_.async_wait(boost::asio::posix::stream_descriptor::wait_read, std::move(ready));
  }
  int reap() {
    // It still has its number: what is left of a session that was to end goes with it.
    if (hung_up_) kill_session(pid_);
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    ends_.master.reset();
    return status;
  }
  void end() {
    if (pid_ > 0) {
      hung_up_ = true;
      kill();
      reap();
    }
    boost::system::error_code ignored;
    ended_.close(ignored);
  }
  void kill() {
    if (pid_ > 0) kill_session(pid_);
  }
  void hang_up() {
    hung_up_ = true;
    if (pid_ <= 0) return;
    ::kill(-pid_, SIGHUP);
    ::kill(-pid_, SIGCONT);  // a stopped one can't hear it
  }
  void signal(int number) {
    if (pid_ <= 0) return;
    pid_t group = 0;
    if (ends_.master && ::ioctl(ends_.master.get(), TIOCGPGRP, &group) == 0 && group > 1 && ::getsid(group) == pid_) {
      ::kill(-group, number);
    } else {
      ::kill(-pid_, number);
    }
  }

  pid_t pid_;
  boost::asio::posix::stream_descriptor ended_;
  Ends ends_;
  bool hung_up_ = false;
};

std::expected<std::unique_ptr<Process>, int> Process::start(boost::asio::io_context& loop, const ToRun& run) {
  Ends ends;
  switch (run.streams) {
    case Streams::pipes: make_pipes(ends); break;
    case Streams::terminal: make_terminal(ends, run.size); break;
    case Streams::kept: make_kept(ends, run.input); break;
  }
  std::vector<char*> argv = pointers(run.argv), environment = pointers(run.environment);
  Child child{.program = run.program,
              .script = run.script.empty() ? nullptr : run.script.c_str(),
              .argv = argv.data(),
              .environment = environment.data(),
              .directory = run.directory};
  for (std::size_t stream = 0; stream < 3; ++stream) child.streams.at(stream) = ends.child.at(stream).get();
  if (run.streams == Streams::terminal) child.terminal = Child::Terminal::controlling;
  Born born = give_birth(child);
  if (born.error != 0) return std::unexpected(born.error);
  // Only the command holds its ends: their end-of-file is its end.
  for (UniqueFd& end : ends.child) end.reset();
  return std::unique_ptr<Process>(new Process(std::make_shared<Impl>(loop, std::move(born), std::move(ends))));
}

Process::~Process() {
  impl_->end();
}
void Process::when_ended(std::function<void(int)> done) {
  impl_->wait(std::move(done));
}
std::optional<int> Process::wait_for(std::chrono::milliseconds time) {
  if (impl_->pid_ <= 0) return std::nullopt;
  const auto until = std::chrono::steady_clock::now() + time;
  for (auto left = time;;
       left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now())) {
    pollfd ended{impl_->ended_.native_handle(), POLLIN, 0};
    const int ready = ::poll(&ended, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
    if (ready > 0) return impl_->reap();
    if (ready == 0 || errno != EINTR) return std::nullopt;
  }
}
std::vector<UniqueFd> Process::take_streams() {
  Ends& ends = impl_->ends_;
  if (ends.memory[0]) {
    std::array<int, 2> pair{};
    if (::pipe2(pair.data(), O_CLOEXEC) != 0) throw SystemError(errno, "cannot make a pipe");
    UniqueFd nobody(pair[0]);  // what the room writes for the command's input goes nowhere
    ends.room.emplace_back(pair[1]);
    for (UniqueFd& memory : ends.memory) ends.room.push_back(for_reading(memory));
    for (UniqueFd& memory : ends.memory) memory.reset();
  }
  return std::exchange(ends.room, {});
}
std::uint64_t Process::kept() const {
  std::uint64_t sum = 0;
  for (const UniqueFd& memory : impl_->ends_.memory) {
    struct stat info{};
    if (memory && ::fstat(memory.get(), &info) == 0) sum += static_cast<std::uint64_t>(info.st_size);
  }
  return sum;
}
void Process::signal(int number) {
  impl_->signal(number);
}
void Process::resize(wire::WindowSize size) {
  const winsize window = size_of(size);
  if (impl_->ends_.master) ::ioctl(impl_->ends_.master.get(), TIOCSWINSZ, &window);
}
void Process::hang_up() {
  impl_->hang_up();
}
void Process::kill() {
  impl_->kill();
}

}  // namespace agentbox::gates::commands
