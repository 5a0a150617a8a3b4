// Why what is held stays held. A process that SIGSTOP has stopped goes on at the next SIGCONT, and the kernel sends
// that for it: at the end of a timer, at a message, when its parent ends. A ptrace stop takes no signal but SIGKILL. So
// every thread is seized, and the freeze has come about when an exact census (census.hpp) names nobody who was not
// held, or dead, before it began. Held is a process whose threads are each in a ptrace stop and are as many as the
// kernel counts: no thread is left that could make another. Who gets away from PTRACE_O_TRACECLONE (CLONE_UNTRACED) is
// on the next census.
//
// Rights: the owner of a user namespace has every capability in it, so processes that can't be dumped are held too, and
// Yama allows it up to ptrace_scope 2. At 3, and where another process of the room traces one (it may be killed by a
// timer of its own, and its tracee is loose), there is no freeze.

#include "tracer.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/unique_fd.hpp"
#include "agentbox/broker/thread.hpp"

#include "process.hpp"

namespace agentbox::launch {

namespace {

using base::SystemError;
using base::UniqueFd;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::chrono::seconds patience{2};
// Rounds without a signal, which programs and shells may notice. After them whoever forks faster than he is seized is
// stopped first.
constexpr int gentle_rounds = 3;
// How long those who were seized get to stop before others are looked for.
constexpr milliseconds round_time{20};
// While anybody is traced: the room's end needs his body taken away.
constexpr milliseconds look_again{20};

constexpr milliseconds dying_time{200};

constexpr long options = PTRACE_O_EXITKILL | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE;

std::string read_small(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 4096> text{};
  ssize_t count = fd ? ::read(fd.get(), text.data(), text.size()) : -1;
  return count <= 0 ? std::string() : std::string(text.data(), static_cast<std::size_t>(count));
}

// -1: the process is gone, or can't be read.
long status_number(pid_t pid, std::string_view key) {
  const std::string text = read_small(fmt::format("/proc/{}/status", pid));
  const std::size_t at = text.find(fmt::format("\n{}:\t", key));
  return at == std::string::npos ? -1 : std::strtol(text.c_str() + at + key.size() + 3, nullptr, 10);
}

std::string folder_of(pid_t process, pid_t thread) {
  return fmt::format("/proc/{}/task/{}", process, thread);
}

bool is_dead(pid_t process, pid_t thread) {
  const char state = read_stat(folder_of(process, thread) + "/stat").state;
  return state == 'Z' || state == 'X';
}

// Any request but a few fails with ESRCH while the thread is in no ptrace stop.
bool is_in_stop(pid_t thread) {
  unsigned long message = 0;
  return ::ptrace(PTRACE_GETEVENTMSG, thread, nullptr, &message) == 0;
}

// The parent of vfork(2) waits in the kernel for a child that is held, and stops before it gets back to its program.
bool waits_for_vfork(pid_t process, pid_t thread) {
  const std::string folder = folder_of(process, thread);
  if (read_stat(folder + "/stat").state != 'D') return false;
  const std::string call = read_small(folder + "/syscall");
  const long number = call.empty() || call[0] < '0' || call[0] > '9' ? -1 : std::strtol(call.c_str(), nullptr, 10);
  bool makes_process = number == SYS_clone || number == SYS_clone3;
#ifdef SYS_vfork
  makes_process = makes_process || number == SYS_vfork;
#endif
  if (!makes_process) return false;
  // Not one that waits for memory while its child isn't there yet. "0": this kernel doesn't tell.
  const std::string where = read_small(folder + "/wchan");
  constexpr std::array<std::string_view, 5> places = {"0", "kernel_clone", "_do_fork", "do_fork",
                                                      "wait_for_vfork_done"};
  return std::ranges::find(places, where) != places.end();
}

bool is_stop_signal(int number) {
  return number == SIGSTOP || number == SIGTSTP || number == SIGTTIN || number == SIGTTOU;
}

}  // namespace

Tracer::~Tracer() {
  if (!thread_.joinable()) return;
  {
    const std::scoped_lock lock(mutex_);
    wish_ = Wish::end;
  }
  changed_.notify_all();
  thread_.join();
}

void Tracer::hold() {
  ask(Wish::hold);
}

void Tracer::release() {
  ask(Wish::release);
}

// The thread starts with the first freeze: what is forked before it, the helper above all, must be forked by one
// thread.
void Tracer::ask(Wish wish) {
  if (!thread_.joinable()) {
    auto started = broker::start_without_signals([this] { work(); });
    if (!started) throw SystemError(EAGAIN, "cannot start the thread that holds the room");
    thread_ = *std::move(started);
  }
  std::unique_lock lock(mutex_);
  error_ = nullptr;
  wish_ = wish;
  changed_.notify_all();
  changed_.wait(lock, [this] { return wish_ == Wish::none; });
  if (error_) std::rethrow_exception(error_);
}

void Tracer::work() {
  ::prctl(PR_SET_TIMERSLACK, 1UL);
  std::unique_lock lock(mutex_);
  for (;;) {
    const auto is_wanted = [this] { return wish_ != Wish::none; };
    if (tasks_.empty()) {
      changed_.wait(lock, is_wanted);
    } else if (!changed_.wait_for(lock, look_again, is_wanted)) {
      collect();
      if (!is_holding_) detach_stopped();
      continue;
    }
    if (wish_ == Wish::end) return;
    try {
      if (wish_ == Wish::hold) hold_all();
      if (wish_ == Wish::release) let_go();
    } catch (...) {
      error_ = std::current_exception();
    }
    wish_ = Wish::none;
    changed_.notify_all();
  }
}

void Tracer::hold_all() {
  is_holding_ = true;
  has_signalled_ = false;
  held_.clear();
  dead_.clear();
  stopped_before_.clear();
  obstacle_.reset();
  const auto deadline = Clock::now() + patience;
  try {
    for (int round = 0;; ++round) {
      const bool signals = round >= gentle_rounds;
      has_signalled_ = has_signalled_ || signals;
      const Census census = census_(signals ? Stop::everybody : Stop::nobody);
      std::set<pid_t> loose;
      for (pid_t process : census.processes) {
        if (!held_.contains(process) && !was_dead(process)) loose.insert(process);
      }
      if (census.is_exact && loose.empty()) return;
      if (obstacle_) throw SystemError(*obstacle_);
      if (Clock::now() > deadline) throw SystemError(ETIMEDOUT, "cannot stop the processes of the room");
      settle(loose);
    }
  } catch (...) {
    let_go();
    // In a dying room nobody can be counted.
    if (!is_room_dead()) throw;
  }
}

// Or dies: the kernel waits with init's death until we have heard of those whom we traced.
bool Tracer::is_room_dead() {
  for (const auto end = Clock::now() + dying_time; Clock::now() < end;) {
    collect();
    detach_stopped();
    pollfd wait{death_, POLLIN, 0};
    if (::poll(&wait, 1, 1) > 0) return (wait.revents & POLLIN) != 0;
  }
  return false;
}

// Seizes these and waits a while until they are held.
void Tracer::settle(const std::set<pid_t>& processes) {
  for (pid_t process : processes) seize(process);
  std::set<pid_t> waiting = processes;
  timespec pause{.tv_sec = 0, .tv_nsec = 10'000};
  for (const auto end = Clock::now() + round_time; !obstacle_ && Clock::now() < end;) {
    collect();
    std::erase_if(waiting, [this](pid_t process) {
      if (note_death(process)) return true;
      if (!is_held(process)) return false;
      held_.insert(process);
      return true;
    });
    if (waiting.empty()) return;
    ::nanosleep(&pause, nullptr);
    pause.tv_nsec = std::min(pause.tv_nsec * 2, 1'000'000L);
    for (pid_t process : waiting) seize(process);
  }
}

// Every thread of it that isn't yet.
void Tracer::seize(pid_t process) {
  for (pid_t thread : numbers_in(fmt::format("/proc/{}/task", process))) {
    if (tasks_.contains(thread)) continue;
    if (::ptrace(PTRACE_SEIZE, thread, nullptr, options) == 0) {
      tasks_[thread] = Task{.process = process};
      ::ptrace(PTRACE_INTERRUPT, thread, nullptr, nullptr);
      continue;
    }
    if (errno != EPERM || is_dead(process, thread)) continue;
    const int error = errno;
    collect();  // a new one that came to us by its parent
    if (tasks_.contains(thread)) continue;
    const long tracer = status_number(thread, "TracerPid");
    if (tracer == ::getpid() || tracer == ::gettid() || tracer < 0) continue;
    obstacle_ = tracer > 0
                    ? SystemError(0, "cannot stop the room: one of its processes traces another", "end the debugger")
                    : SystemError(error, "cannot stop the room: its processes can't be held",
                                  "with kernel.yama.ptrace_scope at 3 a room needs a cgroup: set `memory` in [limits]");
    return;
  }
}

// All of it: a first thread that has ended while others go on looks dead too.
bool Tracer::note_death(pid_t process) {
  const ProcessStat stat = stat_of(process);
  if (stat.state != 'Z' || status_number(process, "Threads") != 1) return false;
  dead_[process] = stat.start_time;
  return true;
}

// Before the census. Who died since may have left a child; and a number may belong to another by now.
bool Tracer::was_dead(pid_t process) const {
  const auto at = dead_.find(process);
  if (at == dead_.end()) return false;
  const ProcessStat stat = stat_of(process);
  return stat.state == 'Z' && stat.start_time == at->second;
}

bool Tracer::is_held(pid_t process) {
  long stopped = 0;
  std::vector<pid_t> gone;
  for (auto& [thread, task] : tasks_) {
    if (task.process != process) continue;
    if (is_in_stop(thread) ? task.is_stopped : waits_for_vfork(process, thread)) {
      ++stopped;
    } else if (::access(folder_of(process, thread).c_str(), F_OK) != 0) {
      gone.push_back(thread);  // by the execve of another of its threads
    } else {
      return false;
    }
  }
  for (pid_t thread : gone) tasks_.erase(thread);
  // The first thread counts after its end, for as long as others live.
  if (!tasks_.contains(process) && is_dead(process, process)) ++stopped;
  return stopped > 0 && stopped == status_number(process, "Threads");
}

// Takes what the kernel has to tell of those who are traced.
void Tracer::collect() {
  int status = 0;
  while (const pid_t thread = ::waitpid(-1, &status, __WALL | __WNOTHREAD | WNOHANG)) {
    if (thread < 0) {
      if (errno == EINTR) continue;
      if (errno == ECHILD) tasks_.clear();
      return;
    }
    if (!WIFSTOPPED(status)) {
      if (const auto at = tasks_.find(thread); at != tasks_.end()) {
        held_.erase(at->second.process);  // its number may be given to another
        tasks_.erase(at);
      }
      continue;
    }
    auto [at, is_new] = tasks_.try_emplace(thread);
    Task& task = at->second;
    if (is_new) task.process = static_cast<pid_t>(status_number(thread, "Tgid"));
    task.is_stopped = true;
    const int event = status >> 16;
    task.signal = event == 0 ? WSTOPSIG(status) : 0;
    if (event == PTRACE_EVENT_STOP && is_stop_signal(WSTOPSIG(status)) && !has_signalled_) {
      stopped_before_.insert(task.process);
    }
  }
}

// init last: then it finds nobody stopped that it would have to report.
void Tracer::let_go() {
  is_holding_ = false;
  held_.clear();
  collect();
  if (has_signalled_) {
    std::set<pid_t> processes;
    for (const auto& [thread, task] : tasks_) processes.insert(task.process);
    for (pid_t process : processes) {
      if (process > 0 && !stopped_before_.contains(process)) ::kill(process, SIGCONT);
    }
  }
  detach_stopped();
}

// Who hasn't stopped yet can't be let go: it will stop, and the thread looks again.
void Tracer::detach_stopped() {
  std::vector<pid_t> done;
  const auto detach = [&](pid_t thread, const Task& task) {
    if (!task.is_stopped) return;
    const int signal = has_signalled_ && task.signal == SIGSTOP ? 0 : task.signal;
    // ESRCH: killed meanwhile, which `collect` hears of.
    if (::ptrace(PTRACE_DETACH, thread, nullptr, static_cast<long>(signal)) == 0) done.push_back(thread);
  };
  for (const auto& [thread, task] : tasks_) {
    if (task.process != init_) detach(thread, task);
  }
  for (const auto& [thread, task] : tasks_) {
    if (task.process == init_) detach(thread, task);
  }
  for (pid_t thread : done) tasks_.erase(thread);
}

}  // namespace agentbox::launch
