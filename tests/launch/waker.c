// An agent that wants to run while its room is frozen: it writes to the file `count` for as long as it runs.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int count;

static void nothing(int number) {
  (void)number;
}

static void work(void) {
  if (write(count, "x", 1) != 1) _exit(1);
}

static void work_for_ever(void) {
  for (;;) {
    work();
    usleep(100);
  }
}

static timer_t start_timer(int number, long ms) {
  struct sigevent event;
  memset(&event, 0, sizeof event);
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = number;
  timer_t timer;
  if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0) _exit(1);
  const struct itimerspec times = {{0, 0}, {ms / 1000, ms % 1000 * 1000000}};
  timer_settime(timer, 0, &times, NULL);
  return timer;
}

// A timer that repeats itself ends with the first SIGCONT that a SIGSTOP takes out of the queue; this one doesn't.
static void work_for_ever_woken(void) {
  timer_t timer = start_timer(SIGCONT, 3);
  const struct itimerspec times = {{0, 0}, {0, 3000000}};
  for (;;) {
    work();
    timer_settime(timer, 0, &times, NULL);
    usleep(100);
  }
}

// Each forks the next and ends. A timer isn't inherited, so each arms its own.
static void chain(unsigned long flags, int with_timer) {
  if (fork() != 0) {
    for (;;) pause();
  }
  for (;;) {
    if (with_timer) start_timer(SIGCONT, 1);
    const long child = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
    if (child > 0) _exit(0);
    if (child == 0) work();
  }
}

static void* thread_chain(void* nobody) {
  work();
  pthread_attr_t detached;
  pthread_attr_init(&detached);
  pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
  pthread_t next;
  while (pthread_create(&next, &detached, thread_chain, nobody) != 0) usleep(100);
  return NULL;
}

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const char* mode = argv[1];
  count = open("count", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (count < 0) return 1;
  signal(SIGCONT, nothing);
  if (strcmp(mode, "timer") == 0) work_for_ever_woken();
  if (strcmp(mode, "chain") == 0) chain(0, 0);
  if (strcmp(mode, "woken chain") == 0) chain(0, 1);
  if (strcmp(mode, "untraced chain") == 0) chain(CLONE_UNTRACED, 1);
  if (strcmp(mode, "death of the parent") == 0) {
    if (fork() == 0) {
      if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGCONT);
        work_for_ever();
      }
      start_timer(SIGKILL, 700);
    }
    for (;;) pause();
  }
  if (strcmp(mode, "thread chain") == 0) {
    thread_chain(NULL);
    pause();
  }
  if (strcmp(mode, "many threads") == 0) {
    for (int i = argc > 2 ? atoi(argv[2]) : 100; i > 1; --i) {
      pthread_t thread;
      pthread_create(&thread, NULL, (void* (*)(void*))(void*)pause, NULL);
    }
    work_for_ever();
  }
  if (strcmp(mode, "vfork") == 0) {
    if (syscall(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0, 0, 0) == 0) work_for_ever();
  }
  if (strcmp(mode, "execve") == 0) {
    work();
    usleep(100);
    execl("/proc/self/exe", argv[0], mode, (char*)NULL);
  }
  if (strcmp(mode, "undumpable") == 0) {
    prctl(PR_SET_DUMPABLE, 0);
    work_for_ever_woken();
  }
  return 2;
}
