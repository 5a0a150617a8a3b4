/* Reading what the room was not given: the owner's files by every name that a file can have. */
#include <dirent.h>
#include <sys/utsname.h>

#include "probe.h"

/* The content must come, not only a descriptor: a hidden file could be an empty one. */
static long read_some(int fd) {
  char byte;
  if (fd < 0) return -1;
  const ssize_t got = read(fd, &byte, 1);
  if (got < 0) return -1;
  if (got == 0) blocked("empty");
  return 0;
}

static long read_path(char** argument) {
  return read_some(open(argument[0], O_RDONLY | O_CLOEXEC));
}

static long stat_path(char** argument) {
  struct stat info;
  return stat(argument[0], &info);
}

static long size_of_path(char** argument) {
  struct stat info;
  if (stat(argument[0], &info) != 0) return -1;
  if (info.st_size == 0) blocked("empty");
  return 0;
}

static long open_device(char** argument) {
  return open(argument[0], O_RDWR | O_CLOEXEC);
}

static long through_symlink(char** argument) {
  unlink("probe-link");
  if (symlink(argument[0], "probe-link") != 0) broken("symlink");
  const long result = read_path((char*[]){"probe-link"});
  const int error = errno;
  unlink("probe-link");
  errno = error;
  return result;
}

static long through_hardlink(char** argument) {
  unlink("probe-link");
  if (link(argument[0], "probe-link") != 0) return -1;
  const long result = read_path((char*[]){"probe-link"});
  unlink("probe-link");
  return result;
}

static long list_for(char** argument) {
  DIR* folder = opendir(argument[0]);
  if (!folder) return -1;
  for (struct dirent* entry; (entry = readdir(folder));)
    if (strcmp(entry->d_name, argument[1]) == 0) return 0;
  blocked("absent");
}

/* Tries a file below /proc/PID for every PID that can be seen; the last error counts. */
static long each_process(const char* below, long (*try)(const char*, char**), char** argument) {
  DIR* folder = opendir("/proc");
  if (!folder) broken("/proc");
  int error = ENOENT;
  for (struct dirent* entry; (entry = readdir(folder));) {
    char path[PATH_MAX];
    if (entry->d_name[0] < '0' || entry->d_name[0] > '9') continue;
    snprintf(path, sizeof path, "/proc/%s/%s", entry->d_name, below);
    errno = 0;
    if (try(path, argument) == 0) return 0;
    if (errno != 0) error = errno;
  }
  errno = error;
  return -1;
}

static long read_below(const char* folder, char** argument) {
  char path[2 * PATH_MAX];
  snprintf(path, sizeof path, "%s/%s", folder, argument[0]);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  return fd < 0 ? -1 : close(fd);
}

static long search(const char* file, char** argument) {
  static char text[1 << 20];
  const int fd = open(file, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  size_t size = 0;
  for (ssize_t got; size < sizeof text && (got = read(fd, text + size, sizeof text - size)) > 0;) size += (size_t)got;
  close(fd);
  return memmem(text, size, argument[0], strlen(argument[0])) ? 0 : -1;
}

/* Names and numbers that are a person's, or that tell one machine from another. */
static long file_tells(char** argument) {
  errno = 0;
  if (search(argument[0], argument + 1) == 0) return 0;
  blocked(errno == 0 ? "absent" : strerrorname_np(errno));
}
static long uname_tells(char** argument) {
  struct utsname names;
  if (uname(&names) != 0) return -1;
  if (strcmp(names.nodename, argument[0]) != 0) blocked("absent");
  return 0;
}

static long proc_root(char** argument) {
  return each_process("root", read_below, argument);
}
static long proc_cwd(char** argument) {
  return each_process("cwd", read_below, argument);
}
static long proc_environ(char** argument) {
  if (each_process("environ", search, argument) == 0) return 0;
  blocked("absent");
}
static long environ_of(char** argument) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%s/environ", argument[0]);
  return read_path((char*[]){path});
}

static long inherited_fd(char** argument) {
  (void)argument;
  for (int fd = 3; fd < 1024; fd++)
    if (fcntl(fd, F_GETFD) != -1) return 0;
  return -1;
}
static long inherited_folder(char** argument) {
  return read_some(openat((int)number(argument[0]), argument[1], O_RDONLY | O_CLOEXEC));
}
static long dev_fd(char** argument) {
  char path[64];
  snprintf(path, sizeof path, "/dev/fd/%s", argument[0]);
  return read_path((char*[]){path});
}

const struct probe file_probes[] = {{"read", "PATH", 1, read_path},
                                    {"stat", "PATH", 1, stat_path},
                                    {"size", "PATH", 1, size_of_path},
                                    {"open-device", "PATH", 1, open_device},
                                    {"symlink", "PATH", 1, through_symlink},
                                    {"hardlink", "PATH", 1, through_hardlink},
                                    {"list", "FOLDER NAME", 2, list_for},
                                    {"file-tells", "PATH TEXT", 2, file_tells},
                                    {"uname-tells", "TEXT", 1, uname_tells},
                                    {"proc-root", "PATH", 1, proc_root},
                                    {"proc-cwd", "PATH", 1, proc_cwd},
                                    {"proc-environ", "TEXT", 1, proc_environ},
                                    {"environ-of", "PID", 1, environ_of},
                                    {"inherited-fd", "", 0, inherited_fd},
                                    {"inherited-folder", "FD PATH", 2, inherited_folder},
                                    {"dev-fd", "FD", 1, dev_fd},
                                    {0}};
