/* Taking more than the room was given. */
#include <sys/prctl.h>
#include <sys/resource.h>

#include "probe.h"

static long many_processes(char** argument) {
  const long wanted = number(argument[0]);
  const pid_t parent = getpid();
  for (long i = 0; i < wanted; i++) {
    const pid_t child = fork();
    if (child < 0) return -1; /* the children go with their parent */
    if (child == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() != parent) _exit(0); /* it was faster */
      for (;;) pause();
    }
  }
  return 0;
}

static long many_files(char** argument) {
  const long wanted = number(argument[0]);
  for (long i = 0; i < wanted; i++)
    if (open("/dev/null", O_RDONLY | O_CLOEXEC) < 0) return -1;
  return 0;
}

static long big_file(char** argument) {
  static char block[1 << 16];
  long left = number(argument[1]), result = 0;
  memset(block, 'x', sizeof block);
  signal(SIGXFSZ, SIG_IGN);
  const int fd = open(argument[0], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) broken(argument[0]);
  while (left > 0 && result >= 0) {
    result = write(fd, block, sizeof block);
    left -= result;
  }
  const int error = errno;
  unlink(argument[0]);
  errno = error;
  return result;
}

/* A core file, or the machine's handler for one, with all that a crashed program held. */
static long core_limit(char** argument) {
  struct rlimit limit;
  (void)argument;
  if (getrlimit(RLIMIT_CORE, &limit) != 0) broken("getrlimit");
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_CORE, &limit) != 0) broken("setrlimit");
  errno = EPERM;
  return limit.rlim_cur > 1 ? 0 : -1;
}

/* Whoever opens the file then waits until it is given up. */
static long lease(char** argument) {
  const int fd = open(argument[0], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) broken(argument[0]);
  const long result = fcntl(fd, F_SETLEASE, F_WRLCK);
  const int error = errno;
  unlink(argument[0]);
  errno = error;
  return result;
}

const struct probe limit_probes[] = {{"processes", "COUNT", 1, many_processes}, {"files", "COUNT", 1, many_files},
                                     {"core-limit", "", 0, core_limit},         {"lease", "PATH", 1, lease},
                                     {"big-file", "PATH BYTES", 2, big_file},   {0}};
