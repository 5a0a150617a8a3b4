/* Parts of the kernel that a room has no use for, and what would make the agent more than its owner. */
#include <linux/fanotify.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>
#include <sys/fanotify.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/sysmacros.h>
#include <sys/timex.h>

#include "probe.h"

static long ring(char** argument) {
  (void)argument;
  struct io_uring_params parameters = {0};
  return syscall(SYS_io_uring_setup, 4, &parameters);
}

/* A key that the owner has in his user keyring. */
static long read_key(char** argument) {
  char text[64];
  const long key = syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_USER_KEYRING, "user", argument[0], 0);
  return key < 0 ? -1 : syscall(SYS_keyctl, KEYCTL_READ, key, text, sizeof text);
}
static long request_key(char** argument) {
  return syscall(SYS_request_key, "user", argument[0], NULL, 0);
}
static long add_key(char** argument) {
  return syscall(SYS_add_key, "user", argument[0], "x", 1, KEY_SPEC_USER_KEYRING);
}
/* For the one who sets the scene. The user keyring counts as possessed only when it is linked to the
 * session's. */
static long remove_key(char** argument) {
  const long key = syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_USER_KEYRING, "user", argument[0], 0);
  return syscall(SYS_keyctl, KEYCTL_UNLINK, key, KEY_SPEC_USER_KEYRING);
}

static long perf(char** argument) {
  (void)argument;
  struct perf_event_attr event = {.type = PERF_TYPE_SOFTWARE,
                                  .size = sizeof event,
                                  .config = PERF_COUNT_SW_TASK_CLOCK,
                                  .exclude_kernel = 1,
                                  .exclude_hv = 1};
  return syscall(SYS_perf_event_open, &event, 0, -1, -1, 0);
}

static long user_faults(char** argument) {
  (void)argument;
  return syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
}

static long watch_all(char** argument) {
  (void)argument;
  return fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_FID | FAN_CLOEXEC, O_RDONLY);
}

static long no_randomisation(char** argument) {
  (void)argument;
  return personality(ADDR_NO_RANDOMIZE);
}

#ifdef __x86_64__
static long read_ldt(char** argument) {
  static char table[64];
  (void)argument;
  return syscall(SYS_modify_ldt, 0, table, sizeof table);
}
#endif

static long file_handle(char** argument) {
  struct {
    struct file_handle head;
    unsigned char bytes[MAX_HANDLE_SZ];
  } handle = {.head.handle_bytes = MAX_HANDLE_SZ};
  int mount = 0;
  return name_to_handle_at(AT_FDCWD, argument[0], &handle.head, &mount, 0);
}

/* 0:0 is the one device that anybody may make: overlayfs' mark of a deleted file. */
static long make_device(char** argument) {
  const long result = mknod(argument[0], S_IFCHR | 0600, makedev(0, 0));
  if (result == 0) unlink(argument[0]);
  return result;
}

static long host_name(char** argument) {
  (void)argument;
  return sethostname("evil", 4);
}

static long clock_state(char** argument) {
  (void)argument;
  struct timex state = {0};
  return adjtimex(&state);
}

static long new_privileges(char** argument) {
  (void)argument;
  if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) blocked("no_new_privs");
  return 0;
}

static long no_filter(char** argument) {
  (void)argument;
  if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 2) blocked("filtered");
  return 0;
}

/* Any capability in any set. */
static long capabilities(char** argument) {
  (void)argument;
  static const char* const sets[] = {"CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"};
  char line[256];
  FILE* status = fopen("/proc/self/status", "re");
  if (!status) broken("/proc/self/status");
  while (fgets(line, sizeof line, status))
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
      if (strncmp(line, sets[i], strlen(sets[i])) == 0 && strtoull(line + strlen(sets[i]), NULL, 16) != 0)
        allowed(sets[i]);
  blocked("none");
}

static long open_for_writing(char** argument) {
  return open(argument[0], O_WRONLY | O_CLOEXEC);
}

const struct probe kernel_probes[] = {{"io-uring", "", 0, ring},
                                      {"read-key", "NAME", 1, read_key},
                                      {"request-key", "NAME", 1, request_key},
                                      {"add-key", "NAME", 1, add_key},
                                      {"remove-key", "NAME", 1, remove_key},
                                      {"perf", "", 0, perf},
                                      {"userfaultfd", "", 0, user_faults},
                                      {"fanotify", "", 0, watch_all},
                                      {"personality", "", 0, no_randomisation},
#ifdef __x86_64__
                                      {"modify-ldt", "", 0, read_ldt},
#endif
                                      {"file-handle", "PATH", 1, file_handle},
                                      {"mknod", "PATH", 1, make_device},
                                      {"sethostname", "", 0, host_name},
                                      {"adjtimex", "", 0, clock_state},
                                      {"new-privileges", "", 0, new_privileges},
                                      {"no-filter", "", 0, no_filter},
                                      {"capabilities", "", 0, capabilities},
                                      {"open-for-writing", "PATH", 1, open_for_writing},
                                      {0}};
