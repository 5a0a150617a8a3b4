/* The same calls by other doors of the kernel, and the terminal's ioctls. */
#include <linux/sched.h>
#include <pty.h>
#include <sys/ioctl.h>

#include "probe.h"

/* Reached the kernel's own code: any answer but the filter's. */
static long reached(long result, int filtered) {
  if (result >= 0 || errno == filtered) return result;
  allowed(strerrorname_np(errno));
}

#ifdef __x86_64__
static long i386_call(char** argument) {
  (void)argument;
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory", "r8", "r9", "r10", "r11"); /* getpid of i386 */
  return result;
}

/* A kernel without x32 says ENOSYS; the filter must not even let it come so far. */
static long x32_call(char** argument) {
  return reached(syscall(0x40000000 | number(argument[0]), 0, 0, 0), 0);
}
#endif

/* A pty of its own, as the controlling terminal of its own session. */
static int terminal(void) {
  int leader = -1, follower = -1;
  if (setsid() < 0 || openpty(&leader, &follower, NULL, NULL, NULL) != 0) broken("openpty");
  if (ioctl(follower, TIOCSCTTY, 0) != 0) broken("TIOCSCTTY");
  return follower;
}

static long terminal_ioctl(char** argument) {
  static int value[16] = {'#'};
  const unsigned long high = (unsigned long)number(argument[1]) << 32;
  return reached(syscall(SYS_ioctl, terminal(), high | (unsigned long)number(argument[0]), value), EPERM);
}

static long clone3_namespace(char** argument) {
  (void)argument;
  struct clone_args arguments = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
  const long child = syscall(SYS_clone3, &arguments, sizeof arguments);
  if (child == 0) _exit(0);
  return child;
}

const struct probe abi_probes[] = {
#ifdef __x86_64__
    {"i386", "", 0, i386_call},
    {"x32", "NUMBER", 1, x32_call},
#endif
    {"terminal-ioctl", "REQUEST HIGH-BITS", 2, terminal_ioctl},
    {"clone3", "", 0, clone3_namespace},
    {0}};
