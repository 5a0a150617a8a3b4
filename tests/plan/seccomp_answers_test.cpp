// What the filter answers to the calls that matter, written by hand with the kernel's own constants.

#include <cerrno>

#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "seccomp_support.hpp"

using namespace agentbox;
using namespace agentbox::test;

TEST_CASE("everyday calls pass") {
  constexpr std::string_view everyday[] = {"read",
                                           "write",
                                           "openat",
                                           "openat2",
                                           "close",
                                           "close_range",
                                           "statx",
                                           "newfstatat",
                                           "fstat",
                                           "lseek",
                                           "mmap",
                                           "mprotect",
                                           "munmap",
                                           "brk",
                                           "mremap",
                                           "madvise",
                                           "rt_sigaction",
                                           "rt_sigprocmask",
                                           "rt_sigreturn",
                                           "pread64",
                                           "pwrite64",
                                           "readv",
                                           "writev",
                                           "sendfile",
                                           "splice",
                                           "copy_file_range",
                                           "getdents64",
                                           "getcwd",
                                           "chdir",
                                           "fchdir",
                                           "renameat2",
                                           "mkdirat",
                                           "unlinkat",
                                           "linkat",
                                           "symlinkat",
                                           "readlinkat",
                                           "fchmodat",
                                           "fchmodat2",
                                           "fchownat",
                                           "faccessat",
                                           "faccessat2",
                                           "utimensat",
                                           "umask",
                                           "truncate",
                                           "ftruncate",
                                           "fallocate",
                                           "fsync",
                                           "fdatasync",
                                           "flock",
                                           "fcntl",
                                           "dup",
                                           "dup3",
                                           "pipe2",
                                           "ppoll",
                                           "pselect6",
                                           "epoll_create1",
                                           "epoll_ctl",
                                           "epoll_pwait",
                                           "eventfd2",
                                           "timerfd_create",
                                           "signalfd4",
                                           "inotify_init1",
                                           "inotify_add_watch",
                                           "memfd_create",
                                           "execve",
                                           "execveat",
                                           "exit",
                                           "exit_group",
                                           "wait4",
                                           "waitid",
                                           "kill",
                                           "tgkill",
                                           "getpid",
                                           "gettid",
                                           "getppid",
                                           "getuid",
                                           "setsid",
                                           "setpgid",
                                           "getrandom",
                                           "getrusage",
                                           "prlimit64",
                                           "sched_yield",
                                           "sched_getaffinity",
                                           "sched_setaffinity",
                                           "nanosleep",
                                           "clock_nanosleep",
                                           "clock_gettime",
                                           "clock_getres",
                                           "times",
                                           "sysinfo",
                                           "uname",
                                           "futex",
                                           "futex_waitv",
                                           "set_robust_list",
                                           "set_tid_address",
                                           "rseq",
                                           "membarrier",
                                           "prctl",
                                           "seccomp",
                                           "landlock_create_ruleset",
                                           "landlock_add_rule",
                                           "landlock_restrict_self",
                                           "bind",
                                           "listen",
                                           "accept4",
                                           "connect",
                                           "sendto",
                                           "recvfrom",
                                           "sendmsg",
                                           "recvmsg",
                                           "sendmmsg",
                                           "getsockopt",
                                           "setsockopt",
                                           "getsockname",
                                           "getpeername",
                                           "shutdown",
                                           "pidfd_open",
                                           "pidfd_send_signal",
                                           "shmget",
                                           "shmat",
                                           "semget",
                                           "msgget",
                                           "mq_open",
                                           "getxattr",
                                           "setxattr",
                                           "listxattr",
                                           "mlock",
                                           "mincore",
                                           "mbind",
                                           "get_mempolicy",
                                           "statfs",
                                           "fstatfs",
                                           "sync",
                                           "process_madvise",
                                           "pkey_alloc",
                                           "mseal",
                                           "cachestat",
                                           "memfd_secret",
                                           "io_setup",
                                           "io_submit"};
  for (const Architecture architecture : both) {
    const Filter filter(architecture);
    for (const std::string_view name : everyday) {
      INFO(name);
      CHECK(filter(name) == allow);
    }
  }
  const Filter filter(Architecture::x86_64);
  for (const std::string_view old : {"open", "stat",    "lstat",    "access", "fork",       "vfork",      "pipe",
                                     "dup2", "poll",    "select",   "rename", "mkdir",      "rmdir",      "unlink",
                                     "link", "symlink", "readlink", "chmod",  "arch_prctl", "epoll_wait", "getdents"}) {
    INFO(old);
    CHECK(filter(old) == allow);
  }
}

TEST_CASE("threads, processes, sockets and terminals are made as usual") {
  constexpr std::uint64_t pthread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                                    CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
  for (const Architecture architecture : both) {
    const Filter filter(architecture);
    CHECK(filter("clone", {pthread}) == allow);
    CHECK(filter("clone", {SIGCHLD | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID}) == allow);
    CHECK(filter("clone", {SIGCHLD | CLONE_VFORK | CLONE_VM}) == allow);
    CHECK(filter("clone", {SIGCHLD | CLONE_PIDFD}) == allow);
    CHECK(filter("clone", {CLONE_NEWTIME}) == allow);  // in clone it is a signal number
    CHECK(filter("unshare", {CLONE_FS | CLONE_FILES}) == allow);
    for (const int family : {AF_UNIX, AF_INET, AF_INET6}) {
      CHECK(filter("socket", {static_cast<unsigned>(family), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0}) == allow);
      CHECK(filter("socket", {static_cast<unsigned>(family), SOCK_DGRAM | SOCK_CLOEXEC, 0}) == allow);
    }
    CHECK(filter("socket", {AF_UNIX, SOCK_SEQPACKET, 0}) == allow);
    CHECK(filter("socket", {AF_INET, SOCK_STREAM, IPPROTO_TCP}) == allow);
    CHECK(filter("socket", {AF_INET6, SOCK_DGRAM, IPPROTO_UDP}) == allow);
    CHECK(filter("socket", {AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0}) == allow);  // getifaddrs(3)
    CHECK(filter("socketpair", {AF_UNIX, SOCK_STREAM, 0}) == allow);
    for (const unsigned long request :
         std::initializer_list<unsigned long>{TCGETS, TCSETS, TIOCGWINSZ, TIOCSWINSZ, TIOCSCTTY, TIOCNOTTY, TIOCGPGRP,
                                              TIOCSPGRP, TIOCGPTN, TIOCSPTLCK, FIONREAD, FIONBIO, FIOCLEX})
      CHECK(filter("ioctl", {0, request}) == allow);
    CHECK(filter("personality", {0xffffffff}) == allow);
    CHECK(filter("mknodat", {0, 0, S_IFIFO | 0600}) == allow);
    CHECK(filter("mknodat", {0, 0, S_IFSOCK | 0600}) == allow);
  }
}

TEST_CASE("bits that the kernel throws away hide nothing") {
  constexpr std::uint64_t junk = 0xdeadbeef00000000;
  for (const Architecture architecture : both) {
    const Filter filter(architecture);
    for (const std::uint64_t high : {std::uint64_t{0}, junk, std::uint64_t{1} << 32U, std::uint64_t{1} << 63U}) {
      for (const unsigned long request : std::initializer_list<unsigned long>{
               TIOCSTI, TIOCLINUX, TIOCCONS, TIOCSETD, BTRFS_IOC_SNAP_CREATE, BTRFS_IOC_SNAP_CREATE_V2,
               BTRFS_IOC_SNAP_DESTROY, BTRFS_IOC_SNAP_DESTROY_V2})
        CHECK(filter("ioctl", {0, request | high}) == error(EPERM));
      for (const int kind :
           {CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET}) {
        const auto flag = static_cast<std::uint64_t>(kind);
        CHECK(filter("clone", {(flag & 0xffffffff) | SIGCHLD | high}) == error(EPERM));
        CHECK(filter("unshare", {(flag & 0xffffffff) | CLONE_FS | high}) == error(EPERM));
      }
      CHECK(filter("unshare", {CLONE_NEWTIME | high}) == error(EPERM));
      CHECK(filter("socket", {AF_VSOCK | high, SOCK_STREAM, 0}) == error(EAFNOSUPPORT));
      CHECK(filter("socket", {AF_INET | high, SOCK_RAW | high, 0}) != allow);
      CHECK(filter("socket", {AF_INET6, SOCK_RAW | SOCK_CLOEXEC | high, 0}) == error(EPERM));
      CHECK(filter("socket", {AF_INET, SOCK_PACKET | high, 0}) == error(EPERM));
      CHECK(filter("socket", {AF_NETLINK, SOCK_RAW, 9 | high}) == error(EPROTONOSUPPORT));
      CHECK(filter("mknodat", {0, 0, S_IFCHR | 0666 | high}) == error(EPERM));
      CHECK(filter("mknodat", {0, 0, S_IFBLK | 0666 | high}) == error(EPERM));
      for (const std::uint64_t value : {0x0040000U, 0x0400000U, 0x0100000U, 8U, 0xfffffffeU, 0x7fffffffU})
        CHECK(filter("personality", {value | high}) == error(EPERM));
    }
  }
}

TEST_CASE("only four socket families and two internet protocols exist") {
  const Filter filter(Architecture::x86_64);
  for (std::uint64_t family = 0; family < 300; ++family) {
    const bool known = family == AF_UNIX || family == AF_INET || family == AF_INET6 || family == AF_NETLINK;
    CHECK(filter("socket", {family, SOCK_DGRAM, 0}) == (known ? allow : error(EAFNOSUPPORT)));
    CHECK(filter("socketpair", {family, SOCK_DGRAM, 0}) == (family == AF_UNIX ? allow : error(EAFNOSUPPORT)));
  }
  for (std::uint64_t protocol = 0; protocol < 600; ++protocol) {
    const bool known = protocol == 0 || protocol == IPPROTO_TCP || protocol == IPPROTO_UDP;
    CHECK(filter("socket", {AF_INET, SOCK_STREAM, protocol}) == (known ? allow : error(EPROTONOSUPPORT)));
    CHECK(filter("socket", {AF_NETLINK, SOCK_RAW, protocol}) == (protocol == 0 ? allow : error(EPROTONOSUPPORT)));
  }
  for (std::uint64_t type = 1; type < 16; ++type)
    CHECK((filter("socket", {AF_INET6, type, 0}) == allow) == (type == SOCK_STREAM || type == SOCK_DGRAM));
}

TEST_CASE("nothing makes those wait who open or close what the room has made") {
  for (const Architecture architecture : both) {
    const Filter filter(architecture);
    for (const std::uint64_t high : {std::uint64_t{0}, std::uint64_t{1} << 32U}) {
      CHECK(filter("setsockopt", {0, SOL_SOCKET | high, SO_LINGER | high}) == error(ENOPROTOOPT));
      CHECK(filter("fcntl", {0, F_SETLEASE | high, F_WRLCK}) == error(EINVAL));
    }
    CHECK(filter("setsockopt", {0, SOL_SOCKET, SO_KEEPALIVE}) == allow);
    CHECK(filter("setsockopt", {0, IPPROTO_TCP, SO_LINGER}) == allow);
    CHECK(filter("getsockopt", {0, SOL_SOCKET, SO_LINGER}) == allow);
    CHECK(filter("fcntl", {0, F_GETLEASE}) == allow);
    CHECK(filter("fcntl", {0, F_SETFL}) == allow);
  }
}

TEST_CASE("calls of another ABI end the process") {
  const Filter native(Architecture::x86_64);
  for (const long nr : {0L, 1L, 11L, 16L, 26L, 101L, 120L, 400L, 600L}) {
    CHECK(native(nr, {}, AUDIT_ARCH_I386) == killed);
    CHECK(native(nr, {}, AUDIT_ARCH_AARCH64) == killed);
    CHECK(native(nr | 0x40000000) == killed);
  }
  CHECK(native(0x40000000 | 521) == killed);  // x32's ptrace
  CHECK(native(0x7fffffff) == killed);
  const Filter arm(Architecture::aarch64);
  for (const long nr : {0L, 26L, 120L, 600L}) {
    CHECK(arm(nr, {}, AUDIT_ARCH_ARM) == killed);
    CHECK(arm(nr, {}, AUDIT_ARCH_X86_64) == killed);
  }
}

TEST_CASE("a call that a younger kernel may bring does not exist") {
  for (const Architecture architecture : both) {
    const Filter filter(architecture);
    for (const long nr : {470L, 471L, 500L, 512L, 521L, 547L, 548L, 1000L, 0x3fffffffL})
      CHECK(filter(nr) == error(ENOSYS));
  }
  CHECK(Filter(Architecture::x86_64)(337) == error(ENOSYS));
  CHECK(Filter(Architecture::x86_64)(423) == error(ENOSYS));
  CHECK(Filter(Architecture::aarch64)(244) == error(ENOSYS));
  CHECK(Filter(Architecture::aarch64)(403) == error(ENOSYS));
  CHECK(Filter(Architecture::aarch64)(0x40000000L) == error(ENOSYS));
  // -1 is how a tracer cancels a call; the kernel itself answers it with ENOSYS.
  CHECK(Filter(Architecture::x86_64)(-1) == allow);
}

TEST_CASE("a lifted group is allowed, a denied call is not") {
  const Filter lifted(Architecture::x86_64, plan::seccomp_program({"userns", "keyring", "netlink"}, {}));
  CHECK(lifted("clone", {CLONE_NEWUSER | SIGCHLD}) == allow);
  CHECK(lifted("clone3") == allow);
  CHECK(lifted("statmount") == allow);
  CHECK(lifted("keyctl") == allow);
  CHECK(lifted("socket", {AF_NETLINK, SOCK_RAW, 16}) == allow);
  CHECK(lifted("socket", {AF_PACKET, SOCK_RAW, 0}) == error(EAFNOSUPPORT));
  CHECK(lifted("ptrace") == error(EPERM));
  CHECK(lifted(470) == error(ENOSYS));

  const Filter denied(Architecture::x86_64,
                      plan::seccomp_program({"ptrace"}, {"ptrace", "socket", "mseal", "inotify_init1"}));
  CHECK(denied("ptrace") == error(EPERM));
  CHECK(denied("process_vm_readv") == allow);
  CHECK(denied("socket", {AF_UNIX, SOCK_STREAM, 0}) == error(EPERM));
  CHECK(denied("socket", {AF_PACKET, SOCK_RAW, 0}) == error(EPERM));
  CHECK(denied("mseal") == error(EPERM));
  CHECK(denied("inotify_init1") == error(EPERM));
}

TEST_CASE("the kernel takes the filter and does what it says") {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const base::UniqueFd fd(ends[0]);
  launch::compile(plan::seccomp_program({}, {}), base::UniqueFd(ends[1]));
  std::vector<sock_filter> code(BPF_MAXINSNS);
  const ssize_t size = ::read(fd.get(), code.data(), code.size() * sizeof(sock_filter));
  REQUIRE(size > 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {  // each failing step has its own exit status
    sock_fprog program{static_cast<unsigned short>(static_cast<std::size_t>(size) / sizeof(sock_filter)), code.data()};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) ::_exit(1);
    if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) ::_exit(2);
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != -1 || errno != EPERM) ::_exit(3);
    if (::syscall(SYS_clone3, nullptr, 0) != -1 || errno != ENOSYS) ::_exit(4);
    if (::syscall(SYS_ioctl, 0, 0x100000000UL | TIOCSTI, "x") != -1 || errno != EPERM) ::_exit(5);
    if (::socket(AF_VSOCK, SOCK_STREAM, 0) != -1 || errno != EAFNOSUPPORT) ::_exit(6);
    if (::syscall(600) != -1 || errno != ENOSYS) ::_exit(7);
    if (::socket(AF_UNIX, SOCK_STREAM, 0) < 0) ::_exit(8);
    ::_exit(0);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}
