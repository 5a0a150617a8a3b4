#include "freezer.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <string>
#include <vector>

#include "agentbox/base/error.hpp"

#include "process.hpp"

namespace agentbox::launch {

namespace {

enum class Activity { stopped, waiting, running };  // waiting: uninterruptible, in the kernel

Activity activity_of(char state) {
  switch (state) {
    case 'T':
    case 't':
    case 'Z':
    case 'X':
    case '?': return Activity::stopped;
    case 'D': return Activity::waiting;
    default: return Activity::running;
  }
}

// Of all threads: the first one may have exited (then it is a zombie) while others go on.
Activity activity_of(pid_t pid) {
  std::string tasks = "/proc/" + std::to_string(pid) + "/task";
  Activity most = Activity::stopped;
  for (pid_t thread : numbers_in(tasks)) {
    most = std::max(most, activity_of(read_stat(tasks + "/" + std::to_string(thread) + "/stat").state));
  }
  return most;
}

// Sends SIGSTOP to whoever is not stopped yet.
Activity stop_all(pid_t init, std::set<pid_t>& stopped) {
  Activity most = Activity::stopped;
  for (pid_t pid : room_processes(init)) {
    Activity activity = activity_of(pid);
    if (activity != Activity::stopped && ::kill(pid, SIGSTOP) == 0) stopped.insert(pid);
    most = std::max(most, activity);
  }
  return most;
}

}  // namespace

void Freezer::freeze() {
  ++depth_;
  if (depth_ > 1) return;
  constexpr int tries = 2000;
  constexpr timespec pause{.tv_sec = 0, .tv_nsec = 1'000'000};
  // A process may fork between our look and our signal, so quiet is only what is quiet twice. A thread that
  // waits in the kernel stops before it gets back to its program; one that waits for a vfork child which we
  // have stopped would wait for ever, so after a while that counts as quiet too.
  constexpr int quiet_enough = 2, waiting_enough = 20;
  int quiet = 0, waiting = 0;
  for (int i = 0; i < tries; ++i) {
    Activity activity = stop_all(init_, stopped_);
    quiet = activity == Activity::stopped ? quiet + 1 : 0;
    waiting = activity == Activity::running ? 0 : waiting + 1;
    if (quiet == quiet_enough || waiting == waiting_enough) return;
    if (quiet == 0) ::nanosleep(&pause, nullptr);
  }
  thaw();
  throw base::SystemError(ETIMEDOUT, "cannot stop the processes of the room");
}

void Freezer::thaw() {
  if (depth_ == 0) return;
  --depth_;
  if (depth_ > 0) return;
  // init last: then it finds nobody stopped that it would have to report.
  for (pid_t pid : room_processes(init_)) {
    if (pid != init_ && stopped_.contains(pid)) ::kill(pid, SIGCONT);
  }
  if (stopped_.contains(init_)) ::kill(init_, SIGCONT);
  stopped_.clear();
}

}  // namespace agentbox::launch
