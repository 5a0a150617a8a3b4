#include "doctor_try.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/unique_fd.hpp"

#include "capture.hpp"

namespace agentbox::launch {

using base::SystemError;
using base::UniqueFd;

namespace {

void need(long result, const char* what) {
  if (result < 0) throw SystemError(errno, what);
}
UniqueFd need_fd(long result, const char* what) {
  need(result, what);
  return UniqueFd(static_cast<int>(result));
}

void write_kernel_file(const char* path, const std::string& text) {
  UniqueFd file = need_fd(::open(path, O_WRONLY | O_CLOEXEC), path);
  if (::write(file.get(), text.data(), text.size()) < 0) throw SystemError(errno, fmt::format("cannot write {}", path));
}

// What the child sends when it fails: fixed size, one write.
struct Report {
  int code;
  std::array<char, 400> what, hint;
};

[[noreturn]] void be_child(const std::function<void()>& work, int report_fd) {
  ::setsid();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  for (int stream : {0, 1, 2}) ::dup2(null.get(), stream);
  Report report{};
  try {
    work();
    ::_exit(0);
  } catch (const SystemError& error) {
    report.code = error.code();
    std::strncpy(report.what.data(), error.what(), report.what.size() - 1);
    std::strncpy(report.hint.data(), error.hint().c_str(), report.hint.size() - 1);
  } catch (const std::exception& error) {
    std::strncpy(report.what.data(), error.what(), report.what.size() - 1);
  }
  (void)!::write(report_fd, &report, sizeof report);
  ::_exit(1);
}

}  // namespace

std::optional<Trouble> try_in_child(const std::function<void()>& work) {
  int ends[2];
  need(::pipe2(ends, O_CLOEXEC), "cannot make a pipe");
  UniqueFd reading(ends[0]), writing(ends[1]);
  pid_t child = ::fork();
  need(child, "cannot start a process");
  if (child == 0) be_child(work, writing.get());
  writing.reset();
  UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  pollfd wait{.fd = pidfd ? pidfd.get() : reading.get(), .events = POLLIN, .revents = 0};
  bool is_late = ::poll(&wait, 1, 5000) == 0;
  if (is_late) ::kill(child, SIGKILL);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (is_late) return Trouble{ETIMEDOUT, "it did not end within five seconds", ""};
  if (status == 0) return std::nullopt;
  Report report{};
  if (::read(reading.get(), &report, sizeof report) == static_cast<ssize_t>(sizeof report)) {
    return Trouble{report.code, report.what.data(), report.hint.data()};
  }
  if (WIFSIGNALED(status)) return Trouble{0, fmt::format("it was killed by signal {}", WTERMSIG(status)), ""};
  return Trouble{0, "it failed without saying why", ""};
}

void enter_own_namespaces(int flags) {
  uid_t uid = ::geteuid();
  gid_t gid = ::getegid();
  need(::unshare(CLONE_NEWUSER), "cannot make a user namespace");
  write_kernel_file("/proc/self/setgroups", "deny");
  write_kernel_file("/proc/self/uid_map", fmt::format("0 {} 1", uid));
  write_kernel_file("/proc/self/gid_map", fmt::format("0 {} 1", gid));
  need(::unshare(flags), "cannot make namespaces inside a user namespace");
  if ((flags & CLONE_NEWNS) != 0) {
    need(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "cannot mount inside a user namespace");
  }
}

void try_mount_calls() {
  enter_own_namespaces(CLONE_NEWNS);
  need(::mount("none", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "size=1m"), "cannot mount a tmpfs");
  need(::mkdir("/tmp/target", 0700), "cannot make a folder");
  UniqueFd tree = need_fd(
      ::syscall(SYS_open_tree, AT_FDCWD, "/usr", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE), "open_tree");
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  need(::syscall(SYS_mount_setattr, tree.get(), "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof attributes),
       "mount_setattr");
  need(::syscall(SYS_move_mount, tree.get(), "", AT_FDCWD, "/tmp/target", MOVE_MOUNT_F_EMPTY_PATH), "move_mount");
  // It did what it says: the tree is there, and nobody can write to it.
  if (::access("/tmp/target/bin", F_OK) != 0) throw SystemError(errno, "a mount by descriptor is not where it was put");
  if (::mkdir("/tmp/target/agentbox-doctor", 0700) == 0 || errno != EROFS) {
    throw SystemError(0, "a mount that was made read-only is not");
  }
  UniqueFd context = need_fd(::syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC), "fsopen");
  need(::umount2("/tmp/target", MNT_DETACH), "umount2");
}

void try_paths_and_processes() {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  UniqueFd usr = need_fd(::open("/usr", O_PATH | O_DIRECTORY | O_CLOEXEC), "cannot open /usr");
  (void)need_fd(::syscall(SYS_openat2, usr.get(), "bin", &how, sizeof how), "openat2");
  if (::syscall(SYS_openat2, usr.get(), "../usr", &how, sizeof how) >= 0 || errno != EXDEV) {
    throw SystemError(0, "openat2 does not hold paths beneath a folder");
  }
  UniqueFd self = need_fd(::syscall(SYS_pidfd_open, ::getpid(), 0), "pidfd_open");
  need(::syscall(SYS_pidfd_send_signal, self.get(), 0, nullptr, 0), "pidfd_send_signal");
  UniqueFd memory = need_fd(::memfd_create("agentbox-doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING), "memfd_create");
  need(::fcntl(memory.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SEAL), "sealing a memory file");
  if (::write(memory.get(), "x", 1) >= 0) throw SystemError(0, "a sealed memory file can be written");
  int copy = ::fcntl(memory.get(), F_DUPFD_CLOEXEC, 900);
  need(::syscall(SYS_close_range, 900, ~0u, 0), "close_range");
  if (copy >= 0 && ::fcntl(copy, F_GETFD) >= 0) throw SystemError(0, "close_range leaves descriptors open");
}

void try_seccomp() {
  need(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS");
  // getppid answers ENOSYS from here on, all else goes through.
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog filter{.len = 4, .filter = program};
  need(::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter), "seccomp");
  if (::syscall(SYS_getppid) != -1 || errno != ENOSYS) throw SystemError(0, "a filter was taken but does nothing");
}

void try_keyring() {
  need(::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr), "keyctl");
}

void try_terminal() {
  UniqueFd master = need_fd(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), "cannot open /dev/ptmx");
  need(::grantpt(master.get()), "grantpt");
  need(::unlockpt(master.get()), "unlockpt");
  std::array<char, 64> name{};
  if (int error = ::ptsname_r(master.get(), name.data(), name.size()); error != 0) throw SystemError(error, "ptsname");
  (void)need_fd(::open(name.data(), O_RDWR | O_NOCTTY | O_CLOEXEC), "cannot open the pseudo-terminal's other end");
}

void try_inotify() {
  UniqueFd queue = need_fd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK), "inotify_init1");
  need(::inotify_add_watch(queue.get(), "/usr", IN_CREATE | IN_ONLYDIR), "inotify_add_watch");
}

void try_tracing() {
  int ends[2];
  need(::pipe2(ends, O_CLOEXEC), "cannot make a pipe");
  UniqueFd reading(ends[0]), writing(ends[1]);
  const pid_t parent = ::getpid(), child = ::fork();
  need(child, "cannot start a process");
  if (child == 0) {
    try {
      enter_own_namespaces(CLONE_NEWNS);
    } catch (const SystemError&) {  // NOLINT(bugprone-empty-catch): then there are no rooms, which is told elsewhere
    }
    // Here, for the namespace takes both away; after an execve, as in a room, one can be traced again.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(0);  // it died before that
    ::prctl(PR_SET_DUMPABLE, 1);
    (void)!::write(writing.get(), "x", 1);
    while (true) ::pause();
  }
  writing.reset();
  char ready = 0;
  (void)!::read(reading.get(), &ready, 1);
  const int error = ::ptrace(PTRACE_SEIZE, child, nullptr, nullptr) == 0 ? 0 : errno;
  ::kill(child, SIGKILL);
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (error != 0) throw SystemError(error, "ptrace");
}

void try_capture() {
  enter_own_namespaces(CLONE_NEWNET);
  UniqueFd any = need_fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "cannot make a socket");
  ifreq loopback{};
  std::strncpy(loopback.ifr_name, "lo", sizeof loopback.ifr_name - 1);
  loopback.ifr_flags = IFF_UP;
  need(::ioctl(any.get(), SIOCSIFFLAGS, &loopback), "cannot bring the loopback device up");
  const std::vector<Listener> listeners = Capture().install(policy::Proxy::none);
  // It did what it says: what goes to a foreign address arrives at a listener, and a datagram nowhere.
  sockaddr_in foreign{};
  foreign.sin_family = AF_INET;
  foreign.sin_port = htons(443);
  foreign.sin_addr.s_addr = htonl(0xC0000201);  // 192.0.2.1, which nobody has (RFC 5737)
  UniqueFd client = need_fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "cannot make a socket");
  need(::connect(client.get(), reinterpret_cast<const sockaddr*>(&foreign), sizeof foreign), "nothing is captured");
  const auto is_ours = [](const Listener& one) {
    return one.use == Listener::Use::connections && one.family == AF_INET;
  };
  const auto listener = std::ranges::find_if(listeners, is_ours);
  (void)need_fd(::accept4(listener->fd.get(), nullptr, nullptr, SOCK_CLOEXEC), "a connection was captured and is lost");
  if (::sendto(any.get(), "x", 1, MSG_DONTWAIT, reinterpret_cast<const sockaddr*>(&foreign), sizeof foreign) >= 0) {
    throw SystemError(0, "a datagram to a foreign address is not refused");
  }
}

void try_fuse() {
  enter_own_namespaces(CLONE_NEWNS);
  UniqueFd device = need_fd(::open("/dev/fuse", O_RDWR | O_CLOEXEC), "cannot open /dev/fuse");
  std::string options = fmt::format("fd={},rootmode=40000,user_id=0,group_id=0", device.get());
  need(::mount("agentbox-doctor", "/tmp", "fuse", MS_NOSUID | MS_NODEV, options.c_str()), "cannot mount a FUSE folder");
}

void try_overlay(const std::string& folder) {
  enter_own_namespaces(CLONE_NEWNS);
  for (const char* name : {"/lower", "/upper", "/work", "/merged"})
    need(::mkdir((folder + name).c_str(), 0700), "mkdir");
  std::string options = fmt::format("lowerdir={0}/lower,upperdir={0}/upper,workdir={0}/work,userxattr", folder);
  need(::mount("agentbox-doctor", (folder + "/merged").c_str(), "overlay", MS_NOSUID | MS_NODEV, options.c_str()),
       "cannot mount a copy-on-write folder");
}

}  // namespace agentbox::launch
