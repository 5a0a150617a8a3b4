#include "host_program.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"

namespace agentbox::launch {

using base::AbsPath;
using base::SystemError;
using base::UniqueFd;

namespace {

// posix_spawn's two lists, freed whatever happens.
struct SpawnSetup {
  posix_spawn_file_actions_t actions{};
  posix_spawnattr_t attributes{};
  SpawnSetup() {
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
  }
  ~SpawnSetup() {
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
  }
  SpawnSetup(const SpawnSetup&) = delete;
  SpawnSetup& operator=(const SpawnSetup&) = delete;
};

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> list;
  for (const std::string& word : words) list.push_back(const_cast<char*>(word.c_str()));  // posix_spawn only reads
  list.push_back(nullptr);
  return list;
}

}  // namespace

std::optional<AbsPath> find_program(std::string_view name) {
  for (const char* folder :
       {"/usr/bin", "/usr/sbin", "/run/current-system/sw/bin", "/bin", "/sbin", "/usr/local/bin"}) {
    AbsPath path = *AbsPath::parse(folder) / name;
    struct stat seen{};
    if (::stat(path.c_str(), &seen) == 0 && S_ISREG(seen.st_mode) && ::access(path.c_str(), X_OK) == 0) return path;
  }
  return std::nullopt;
}

HostProgram::HostProgram(const std::vector<std::string>& argv, const std::vector<std::string>& environment,
                         Errors errors) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw SystemError(errno, "cannot make a pipe");
  UniqueFd reading(ends[0]), writing(ends[1]);
  SpawnSetup setup;
  ::posix_spawn_file_actions_addopen(&setup.actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&setup.actions, writing.get(), STDOUT_FILENO);
  if (errors == Errors::in_output) {
    ::posix_spawn_file_actions_adddup2(&setup.actions, writing.get(), STDERR_FILENO);
  } else {
    ::posix_spawn_file_actions_addopen(&setup.actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  }
  ::posix_spawn_file_actions_addchdir_np(&setup.actions, "/");
  sigset_t none, all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&setup.attributes, &none);
  ::posix_spawnattr_setsigdefault(&setup.attributes, &all);
  ::posix_spawnattr_setflags(&setup.attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::vector<char*> words = pointers(argv), variables = pointers(environment);
  int error =
      ::posix_spawn(&pid_, argv.front().c_str(), &setup.actions, &setup.attributes, words.data(), variables.data());
  if (error != 0) {
    pid_ = -1;
    throw SystemError(error, fmt::format("cannot run {}", base::escape(argv.front())));
  }
  output_ = std::move(reading);
}

HostProgram::~HostProgram() {
  kill_and_reap(nullptr);
}

void HostProgram::kill_and_reap(int* status) noexcept {
  if (pid_ < 0) return;
  ::kill(-pid_, SIGKILL);  // its process group
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

HostProgram::Answer HostProgram::finish(std::chrono::milliseconds timeout, std::size_t limit) {
  auto end = std::chrono::steady_clock::now() + timeout;
  Answer answer;
  while (true) {
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    pollfd wait{.fd = output_.get(), .events = POLLIN, .revents = 0};
    int ready = left.count() <= 0 ? 0 : ::poll(&wait, 1, static_cast<int>(left.count()));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) {
      answer.end = Answer::End::timed_out;
      break;
    }
    char part[16384];
    ssize_t count = ::read(output_.get(), part, sizeof part);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    answer.output.append(part, static_cast<std::size_t>(count));
    if (answer.output.size() > limit) {
      answer.end = Answer::End::said_too_much;
      break;
    }
  }
  if (answer.end != Answer::End::exited) {
    kill_and_reap(&answer.status);
    return answer;
  }
  // It has closed its output; one that stays on after that is late as well.
  UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
  pollfd over{.fd = pidfd.get(), .events = POLLIN, .revents = 0};
  if (pidfd && ::poll(&over, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0))) == 1) {
    while (::waitpid(pid_, &answer.status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
  } else {
    answer.end = Answer::End::timed_out;
    kill_and_reap(&answer.status);
  }
  return answer;
}

}  // namespace agentbox::launch
