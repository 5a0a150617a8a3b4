#!/usr/bin/env python3
"""The pure rooms call nothing that reads or changes the machine.

Values in, values out: a decision about a room must be a function of what was looked at, so that a test can repeat it.
This reads the undefined symbols of the rooms' static libraries. Usage: purity.py LIBRARY...; prints TAP.
"""

import re
import subprocess
import sys

# Files, sockets, processes, clocks, randomness, the environment, users, locale, threads, and output. By whole name;
# a leading underscore or a version of glibc's own (__open64_2, __printf_chk) counts as the name.
FORBIDDEN = """
open openat openat2 creat close read pread readv write pwrite writev lseek stat lstat fstat fstatat statx access
faccessat readlink readlinkat symlink symlinkat link linkat unlink unlinkat rename renameat renameat2 mkdir mkdirat
rmdir truncate ftruncate chmod fchmod fchmodat chown fchown lchown opendir fdopendir readdir closedir scandir nftw ftw
glob realpath getcwd chdir fchdir chroot mount umount umount2 mmap munmap dup dup2 dup3 pipe pipe2 poll ppoll select
epoll_create1 epoll_ctl epoll_wait inotify_init1 ioctl fcntl flock lockf sendfile splice memfd_create mkstemp mkdtemp
socket socketpair connect bind listen accept accept4 send sendto sendmsg recv recvfrom recvmsg getaddrinfo
gethostbyname getnameinfo
fork vfork clone clone3 execve execvp execv posix_spawn system popen wait waitpid waitid kill tgkill raise ptrace prctl
syscall signal sigaction setrlimit getrlimit getpid getppid gettid getuid geteuid getgid getegid setuid setns unshare
getpwnam getpwuid getpwuid_r getpwnam_r getgrgid getgrgid_r getlogin getenv secure_getenv setenv putenv unsetenv
clearenv environ
time clock clock_gettime clock_nanosleep gettimeofday nanosleep sleep usleep localtime localtime_r gmtime gmtime_r
mktime timer_create timerfd_create
rand random srand srandom getrandom getentropy arc4random
setlocale newlocale uselocale
fopen fopen64 fdopen freopen fclose fread fwrite fputs fputc putc putchar puts printf fprintf vfprintf vprintf dprintf
perror syslog openlog stdout stderr stdin isatty ttyname
pthread_create thrd_create dlopen dlsym
""".split()

# The same through the C++ library.
FORBIDDEN_CXX = [
    r"std::(basic_)?(o|i|io)?f(stream|ilebuf)",
    r"std::(cout|cerr|clog|cin|wcout|wcerr)\b",
    r"std::ios_base::Init",
    r"std::filesystem::",
    r"std::chrono::.*(system_clock|steady_clock|high_resolution_clock)::now",
    r"std::random_device",
    r"std::thread::_M_start_thread",
    r"fmt::.*::v(print|fprint)\b|fmt::.*::(print|println)\(",
]

ALIAS = re.compile(r"^_*(?:isoc\d+_|libc_)?(\w+?)(?:64)?(?:_chk|_2|64_2)?$")


def undefined(library):
    plain = subprocess.run(["nm", "-u", "-A", library], capture_output=True, text=True, check=True).stdout
    for line in plain.splitlines():
        match = re.match(r".*:([^:]+\.o):\s+[UwW]\s+(\S+)$", line)
        if match:
            yield match.group(1).rsplit("/", 1)[-1], match.group(2)  # a thin archive names whole paths


def demangle(names):
    result = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True, check=True)
    return dict(zip(names, result.stdout.splitlines()))


def is_forbidden(symbol, readable):
    name = symbol.split("@")[0]
    if not name.startswith("_Z"):
        match = ALIAS.match(name)
        return name in FORBIDDEN or (match is not None and match.group(1) in FORBIDDEN)
    return any(re.search(pattern, readable) for pattern in FORBIDDEN_CXX)


def check(library, allowed):
    pairs = list(undefined(library))
    readable = demangle(sorted({symbol for _, symbol in pairs}))
    found = [(where, symbol) for where, symbol in pairs if is_forbidden(symbol, readable[symbol])]
    return pairs, sorted({(where, readable[symbol]) for where, symbol in found if (where, symbol) not in allowed})


def main():
    # A file descriptor that an owner drops must be closed somewhere: UniqueFd is what base is allowed (DESIGN, table).
    allowed = {("unique_fd.cpp.o", "close")}
    libraries = sys.argv[1:]
    print(f"1..{len(libraries) + 1}")
    for number, library in enumerate(libraries, 1):
        pairs, found = check(library, allowed)
        name = library.rsplit("/", 1)[-1]
        if not pairs:
            print(f"not ok {number} - {name} has no object files, or nm can't read them")
            continue
        print(f"{'not ok' if found else 'ok'} {number} - {name} calls nothing of the machine")
        for where, symbol in found:
            print(f"# {where} calls {symbol}")
    # The check itself: it knows a call when it sees one.
    known = ["open", "__open64_2", "__printf_chk", "getenv", "__fprintf_chk", "fopen64", "_ZSt4cout", "clock_gettime"]
    pure = ["memcpy", "malloc", "_Znwm", "__stack_chk_fail", "strlen", "_ZNSt6vectorIiSaIiEEC1Ev", "opendoor"]
    names = demangle(known + pure)
    missed = [name for name in known if not is_forbidden(name, names[name])]
    wrong = [name for name in pure if is_forbidden(name, names[name])]
    print(f"{'not ok' if missed or wrong else 'ok'} {len(libraries) + 1} - the check knows a call when it sees one")
    for name in missed + wrong:
        print(f"# judged wrongly: {name}")


if __name__ == "__main__":
    main()
