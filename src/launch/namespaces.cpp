#include "namespaces.hpp"

#include <cerrno>
#include <ctime>

#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agentbox/base/error.hpp"

#include "process.hpp"

namespace agentbox::launch {

namespace {

using base::SystemError;
using base::UniqueFd;

UniqueFd open_namespace(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) throw SystemError(errno, "cannot open " + path);
  return fd;
}

void enter(const UniqueFd& fd, int kind, const char* what) {
  if (::setns(fd.get(), kind) != 0) throw SystemError(errno, std::string("cannot enter the room's ") + what);
}

double seconds_now() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

}  // namespace

Namespaces::Namespaces(pid_t bwrap, pid_t child) : mount_namespace_path_("/proc/" + std::to_string(child) + "/ns/mnt") {
  room_ = open_namespace(mount_namespace_path_);
  UniqueFd network = open_namespace("/proc/" + std::to_string(child) + "/ns/net");
  processes_ = open_namespace("/proc/" + std::to_string(child) + "/ns/pid");
  // The descriptors are of bwrap's child, not of a stranger who got its number after it died.
  if (parent_of(child) != bwrap) throw SystemError(0, "the sandbox ended before it was furnished");
  UniqueFd owner(::ioctl(room_.get(), NS_GET_USERNS));
  if (!owner) throw SystemError(errno, "cannot find out who owns the room's mounts");
  enter(owner, CLONE_NEWUSER, "user namespace");
  if (::unshare(CLONE_NEWNS) != 0) throw SystemError(errno, "cannot make a mount namespace");
  host_ = open_namespace("/proc/thread-self/ns/mnt");
  enter(network, CLONE_NEWNET, "network namespace");
}

void Namespaces::enter_room() {
  enter(room_, CLONE_NEWNS, "mount namespace");
}
void Namespaces::enter_host() {
  enter(host_, CLONE_NEWNS, "mount namespace");
}

// bwrap builds the floor in /newroot beside /oldroot, then makes /newroot the root. `setns` lands on whatever
// the root is at that moment.
bool Namespaces::is_finished(const std::string& marker) {
  struct stat info{};
  enter_room();
  return ::lstat(marker.c_str(), &info) == 0 && S_ISDIR(info.st_mode) && ::lstat("/newroot", &info) != 0 &&
         errno == ENOENT;
}

void Namespaces::enter_finished_room(const std::string& marker) {
  // bwrap has no signal for "floor laid": it goes on to wait on its block fd. It takes about two
  // milliseconds.
  ::prctl(PR_SET_TIMERSLACK, 1UL);
  constexpr timespec pause{.tv_sec = 0, .tv_nsec = 50'000};
  double deadline = seconds_now() + 10;
  while (!is_finished(marker)) {
    if (seconds_now() > deadline) throw SystemError(0, "the sandbox did not get ready within ten seconds");
    ::nanosleep(&pause, nullptr);
  }
  ::rmdir(marker.c_str());
}

}  // namespace agentbox::launch
