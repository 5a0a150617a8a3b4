/* A probe is one misdeed. It prints one line and ends:
 *
 *   ALLOWED [how]       it worked
 *   BLOCKED ENOENT      it did not, and this is why: an errno, a signal, or a word
 *   BROKEN what         it could not even be tried
 *
 * Whoever runs it compares the reason: a probe that fails for another reason than the expected one shows
 * nothing. Each is run twice, inside a room and where nothing protects; the second must say ALLOWED.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

struct probe {
  const char* name;
  const char* arguments; /* for the usage */
  int count;             /* how many of them */
  /* A negative result with errno set is BLOCKED, any other ALLOWED, unless it says so itself. */
  long (*run)(char** arguments);
};

/* Each topic's table ends with an empty entry. */
extern const struct probe file_probes[], protected_probes[], socket_probes[], abi_probes[], namespace_probes[],
    process_probes[], kernel_probes[], limit_probes[];

_Noreturn void blocked(const char* reason);
_Noreturn void allowed(const char* how);
_Noreturn void broken(const char* what);
long number(const char* text);
