/* Other processes: seeing, signalling, debugging and robbing them. */
#include <linux/kcmp.h>
#include <mqueue.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/uio.h>

#include "probe.h"

static long probe_kill(char** argument) {
  return kill((pid_t)number(argument[0]), 0);
}

/* Everybody that can be reached; then looks whether that one is gone. */
static long kill_all(char** argument) {
  const pid_t victim = (pid_t)number(argument[0]);
  if (kill(victim, 0) != 0) {
    const int error = errno;
    kill(-1, SIGTERM);
    errno = error;
    return -1;
  }
  if (kill(-1, SIGTERM) != 0) return -1;
  for (int i = 0; i < 500; i++) {
    if (kill(victim, 0) != 0) return 0;
    usleep(10000);
  }
  blocked("alive");
}

static long kill_group(char** argument) {
  const pid_t victim = (pid_t)number(argument[0]);
  const long group = getpgid(victim);
  if (group < 0 || group != getpgrp()) {
    kill(0, SIGTERM);
    if (group >= 0) errno = EPERM; /* seen, but not in the group */
    return -1;
  }
  return kill(0, SIGTERM);
}

static long see(char** argument) {
  char path[64];
  struct stat info;
  snprintf(path, sizeof path, "/proc/%s/stat", argument[0]);
  return stat(path, &info);
}

/* A child that waits, with something to steal: 0x600d at `loot`. */
static int loot = 0xbad;
static pid_t make_child(void) {
  int ready[2];
  char byte;
  if (pipe(ready) != 0) broken("pipe");
  const pid_t child = fork();
  if (child < 0) broken("fork");
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    loot = 0x600d;
    if (write(ready[1], "x", 1) != 1) _exit(1);
    for (;;) pause();
  }
  if (read(ready[0], &byte, 1) != 1) broken("child");
  return child;
}
/* "child": a child of its own, which nothing but the filter protects. */
static pid_t target(char** argument) {
  return strcmp(argument[0], "child") == 0 ? make_child() : (pid_t)number(argument[0]);
}

static long attach(char** argument) {
  return ptrace(PTRACE_SEIZE, target(argument), NULL, NULL);
}

static long read_memory(char** argument) {
  int copy = 0;
  const struct iovec here = {&copy, sizeof copy}, there = {&loot, sizeof loot};
  const ssize_t got = process_vm_readv(target(argument), &here, 1, &there, 1, 0);
  if (got < 0) return -1;
  if (copy != 0x600d) broken("read something else");
  return 0;
}

static long write_memory(char** argument) {
  int copy = 1;
  const struct iovec here = {&copy, sizeof copy}, there = {&loot, sizeof loot};
  return process_vm_writev(target(argument), &here, 1, &there, 1, 0);
}

static long open_memory(char** argument) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/mem", target(argument));
  return open(path, O_RDWR | O_CLOEXEC);
}

static long take_fd(char** argument) {
  const long process = syscall(SYS_pidfd_open, target(argument), 0);
  if (process < 0) broken("pidfd_open");
  return syscall(SYS_pidfd_getfd, process, 1, 0);
}

static long compare(char** argument) {
  return syscall(SYS_kcmp, getpid(), target(argument), KCMP_VM, 0, 0);
}

static long shared_memory(char** argument) {
  return shmget((key_t)number(argument[0]), 0, 0);
}
static long message_queue(char** argument) {
  return mq_open(argument[0], O_RDONLY | O_CLOEXEC);
}

/* For the one who sets the scene. */
static long make_shared_memory(char** argument) {
  return shmget((key_t)number(argument[0]), 4096, IPC_CREAT | 0600);
}
static long remove_shared_memory(char** argument) {
  return shmctl(shmget((key_t)number(argument[0]), 0, 0), IPC_RMID, NULL);
}
static long make_message_queue(char** argument) {
  return mq_open(argument[0], O_RDONLY | O_CREAT, 0600, NULL);
}
static long remove_message_queue(char** argument) {
  return mq_unlink(argument[0]);
}

const struct probe process_probes[] = {{"kill", "PID", 1, probe_kill},
                                       {"kill-all", "PID", 1, kill_all},
                                       {"kill-group", "PID", 1, kill_group},
                                       {"see", "PID", 1, see},
                                       {"ptrace", "PID|child", 1, attach},
                                       {"process-vm-readv", "PID|child", 1, read_memory},
                                       {"process-vm-writev", "PID|child", 1, write_memory},
                                       {"proc-mem", "PID|child", 1, open_memory},
                                       {"pidfd-getfd", "PID|child", 1, take_fd},
                                       {"kcmp", "PID|child", 1, compare},
                                       {"shared-memory", "KEY", 1, shared_memory},
                                       {"message-queue", "NAME", 1, message_queue},
                                       {"make-shared-memory", "KEY", 1, make_shared_memory},
                                       {"remove-shared-memory", "KEY", 1, remove_shared_memory},
                                       {"make-message-queue", "NAME", 1, make_message_queue},
                                       {"remove-message-queue", "NAME", 1, remove_message_queue},
                                       {0}};
