// Why the list is exact. Linux hands out process numbers by a counter for each namespace, and the last one handed out
// is to be read in /proc/loadavg. The room's /proc is walked twice, and the counter must stand where it stood before.
// Whatever lives at the end then got its number before the first walk began. Either it was there when the second walk
// began: then that one found it. Or the program that makes it was in clone(2) all through the first walk: then that one
// found its maker, who is not a stopped process. So a caller who has stopped everyone on the list has stopped the room.
//
// Trust: the counter is a child of the helper, inside the room's pid namespace for less than a millisecond. The agent
// may see it, stop it or kill it, and then there is no exact list. It has more rights in the user namespace than the
// agent, so the agent can't trace it or read its descriptors.

#include "census.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agentbox/base/error.hpp"

namespace agentbox::launch {

namespace {

using base::SystemError;
using base::UniqueFd;

constexpr char process_word = 'p', exact_word = 'e', inexact_word = 'i';
constexpr int patience_ms = 1000;

bool send_word(int socket, char word, pid_t pid) {
  ucred about{.pid = pid, .uid = ::getuid(), .gid = ::getgid()};
  iovec part{&word, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof about)> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_CREDENTIALS;
  rights->cmsg_len = CMSG_LEN(sizeof about);
  std::memcpy(CMSG_DATA(rights), &about, sizeof about);
  return ::sendmsg(socket, &message, MSG_NOSIGNAL) == 1;
}

}  // namespace

CensusTaker::CensusTaker(UniqueFd pid_namespace)
    : pid_namespace_(std::move(pid_namespace)), proc_(::open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  struct statfs system{};
  struct stat room{};
  if (!proc_ || ::fstatfs(proc_.get(), &system) != 0 || system.f_type != PROC_SUPER_MAGIC ||
      ::fstat(pid_namespace_.get(), &room) != 0) {
    throw SystemError(errno, "cannot open the room's /proc");
  }
  inode_ = room.st_ino;
}

// SIGSTOP to everybody, sent in the wrong namespace, would stop all that the owner runs.
bool CensusTaker::is_inside() const noexcept {
  struct stat own{};
  return ::fstatat(proc_.get(), "self/ns/pid", &own, 0) == 0 && own.st_ino == inode_;
}

long CensusTaker::last_pid() const noexcept {
  UniqueFd fd(::openat(proc_.get(), "loadavg", O_RDONLY | O_CLOEXEC));
  std::array<char, 128> text{};
  ssize_t count = fd ? ::read(fd.get(), text.data(), text.size() - 1) : -1;
  std::size_t at = count <= 0 ? std::string_view::npos : std::string_view(text.data()).rfind(' ');
  return at == std::string_view::npos ? -1 : std::strtol(text.data() + at, nullptr, 10);
}

bool CensusTaker::list(std::vector<pid_t>& found) const {
  UniqueFd folder(::openat(proc_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  alignas(dirent64) std::array<char, 32 * 1024> buffer{};
  for (;;) {
    long count = folder ? ::syscall(SYS_getdents64, folder.get(), buffer.data(), buffer.size()) : -1;
    if (count <= 0) return count == 0;
    for (long at = 0; at < count;) {
      const auto* entry = reinterpret_cast<const dirent64*>(buffer.data() + at);
      if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9') {
        found.push_back(static_cast<pid_t>(std::strtol(entry->d_name, nullptr, 10)));
      }
      at += entry->d_reclen;
    }
  }
}

void CensusTaker::count(Stop stop, int answers) const noexcept {
  using Clock = std::chrono::steady_clock;
  // The counter must not have come round: a machine makes its 32768 processes in no less time than this.
  constexpr std::chrono::milliseconds limit{50};
  if (!is_inside()) ::_exit(1);
  // One walk of the kernel's under its lock: who forks in this moment has it delivered to both. ESRCH: nobody is there.
  if (stop == Stop::everybody && ::kill(-1, SIGSTOP) != 0 && errno != ESRCH) ::_exit(1);
  std::vector<pid_t> found;
  const auto begin = Clock::now();
  const long before = last_pid();
  bool exact = list(found) && list(found) && before > 0 && last_pid() == before && Clock::now() - begin < limit;
  std::ranges::sort(found);
  const auto [first, last] = std::ranges::unique(found);
  found.erase(first, last);
  const pid_t self = ::getpid();
  for (pid_t pid : found) {
    if (pid == self || send_word(answers, process_word, pid)) continue;
    if (errno != ESRCH) ::_exit(1);
    exact = false;  // it ended, and may have left a child
  }
  ::_exit(send_word(answers, exact ? exact_word : inexact_word, self) ? 0 : 1);
}

void CensusTaker::take(Stop stop, int answers) const {
  if (::setns(pid_namespace_.get(), CLONE_NEWPID) != 0) throw SystemError(errno, "cannot enter the room's processes");
  const pid_t child = ::fork();
  if (child < 0) throw SystemError(errno, "cannot count the room's processes");
  if (child == 0) count(stop, answers);
  UniqueFd death(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  pollfd wait{death.get(), POLLIN, 0};
  // The agent may have stopped it.
  if (!death || ::poll(&wait, 1, patience_ms) <= 0) ::kill(child, SIGKILL);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (status != 0) throw SystemError(0, "cannot count the room's processes");
}

Census receive_census(int socket) {
  Census census;
  for (;;) {
    char word = 0;
    iovec part{&word, 1};
    ucred about{};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof about)> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    pollfd wait{socket, POLLIN, 0};
    if (::poll(&wait, 1, 2 * patience_ms) <= 0) throw SystemError(ETIMEDOUT, "cannot count the room's processes");
    const ssize_t count = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return census;
    const cmsghdr* rights = CMSG_FIRSTHDR(&message);
    if (rights == nullptr || rights->cmsg_type != SCM_CREDENTIALS) throw SystemError(EPROTO, "cannot count");
    std::memcpy(&about, CMSG_DATA(rights), sizeof about);
    if (word == process_word && about.pid > 0) census.processes.push_back(about.pid);
    if (word == exact_word) census.is_exact = true;
  }
}

}  // namespace agentbox::launch
