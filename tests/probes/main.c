/* probe NAME [ARGUMENT...] does one misdeed and says whether it worked; `probe` alone lists them. */
#include "probe.h"

static const struct probe* const topics[] = {file_probes,      protected_probes, socket_probes, abi_probes,
                                             namespace_probes, process_probes,   kernel_probes, limit_probes};

static _Noreturn void answer(const char* verdict, const char* detail) {
  dprintf(STDOUT_FILENO, "%s%s%s\n", verdict, *detail ? " " : "", detail);
  _exit(0);
}

void blocked(const char* reason) {
  answer("BLOCKED", reason);
}
void allowed(const char* how) {
  answer("ALLOWED", how);
}
void broken(const char* what) {
  dprintf(STDOUT_FILENO, "BROKEN %s: %s\n", what, strerror(errno));
  _exit(2);
}

long number(const char* text) {
  char* end = NULL;
  errno = 0;
  const long value = strtol(text, &end, 0);
  if (errno != 0 || end == text || *end != '\0') broken("not a number");
  return value;
}

static const struct probe* find(const char* name) {
  for (size_t topic = 0; topic < sizeof topics / sizeof *topics; topic++)
    for (const struct probe* probe = topics[topic]; probe->name; probe++)
      if (strcmp(probe->name, name) == 0) return probe;
  return NULL;
}

static int list(void) {
  for (size_t topic = 0; topic < sizeof topics / sizeof *topics; topic++)
    for (const struct probe* probe = topics[topic]; probe->name; probe++)
      printf("%s %s\n", probe->name, probe->arguments);
  return 0;
}

int main(int argc, char** argv) {
  if (argc < 2) return list();
  const struct probe* probe = find(argv[1]);
  if (!probe || argc - 2 != probe->count) {
    fprintf(stderr, "usage: probe %s %s\n", probe ? probe->name : "NAME", probe ? probe->arguments : "[ARGUMENT...]");
    return 2;
  }
  signal(SIGTERM, SIG_IGN); /* for the probe that kills everybody */
  const pid_t child = fork();
  if (child < 0) broken("fork");
  if (child == 0) {
    errno = 0;
    const long result = probe->run(argv + 2);
    if (result < 0) blocked(strerrorname_np(errno) ? strerrorname_np(errno) : "?");
    allowed("");
  }
  int status = 0;
  for (pid_t ended; (ended = wait(&status)) != child;) /* others may have become ours by exec */
    if (ended < 0 && errno != EINTR) broken("wait");
  if (!WIFSIGNALED(status)) return WEXITSTATUS(status);
  char name[32];
  snprintf(name, sizeof name, "SIG%s", sigabbrev_np(WTERMSIG(status)) ? sigabbrev_np(WTERMSIG(status)) : "?");
  blocked(name);
}
