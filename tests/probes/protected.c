/* Changing what only the owner may change, and moving what it lies in out of the way. */
#include <linux/fs.h>
#include <sys/xattr.h>

#include "probe.h"

static long fill(int fd) {
  if (fd < 0) return -1;
  return write(fd, "evil\n", 5) == 5 ? close(fd) : -1;
}

static long append(char** argument) {
  return fill(open(argument[0], O_WRONLY | O_APPEND | O_CLOEXEC));
}
static long truncate_it(char** argument) {
  return truncate(argument[0], 0);
}
static long create(char** argument) {
  return fill(open(argument[0], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755));
}
static long make_folder(char** argument) {
  return mkdir(argument[0], 0755);
}
static long remove_file(char** argument) {
  return unlink(argument[0]);
}
static long remove_folder(char** argument) {
  return rmdir(argument[0]);
}
static long rename_it(char** argument) {
  return rename(argument[0], argument[1]);
}
static long change_mode(char** argument) {
  return chmod(argument[0], 0777);
}
static long set_attribute(char** argument) {
  return setxattr(argument[0], "user.evil", "x", 1, 0);
}

/* Writes through a second name. */
static long write_by_link(char** argument) {
  unlink("probe-alias");
  if (link(argument[0], "probe-alias") != 0) return -1;
  const long result = append((char*[]){"probe-alias"});
  unlink("probe-alias");
  return result;
}

static long rename_over(char** argument) {
  if (fill(open("probe-evil", O_WRONLY | O_CREAT | O_CLOEXEC, 0755)) != 0) broken("open");
  const long result = rename("probe-evil", argument[0]);
  const int error = errno;
  unlink("probe-evil");
  errno = error;
  return result;
}

static long exchange(char** argument) {
  if (fill(open("probe-evil", O_WRONLY | O_CREAT | O_CLOEXEC, 0755)) != 0) broken("open");
  const long result = renameat2(AT_FDCWD, "probe-evil", AT_FDCWD, argument[0], RENAME_EXCHANGE);
  const int error = errno;
  unlink("probe-evil");
  errno = error;
  return result;
}

/* A link to a folder of the agent's in the place of the protected one. */
static long replace_by_link(char** argument) {
  if (rename(argument[0], "probe-moved") != 0 && rmdir(argument[0]) != 0) return -1;
  return symlink("/tmp", argument[0]);
}

/* The file is protected by its mount, so every way to it must lead through the mount. */
static long through_proc(char** argument) {
  char path[PATH_MAX];
  snprintf(path, sizeof path, "/proc/self/cwd/%s", argument[0]);
  return append((char*[]){path});
}
static long reopen(char** argument) {
  char path[64];
  const int fd = open(argument[0], O_PATH | O_CLOEXEC);
  if (fd < 0) broken("open with O_PATH");
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  return append((char*[]){path});
}

/* Moves the folder that a hidden thing lies in, and reads it under its new name. */
static long move_and_read(char** argument) {
  char path[PATH_MAX], byte;
  if (rename(argument[0], "probe-moved") != 0) return -1;
  snprintf(path, sizeof path, "probe-moved/%s", argument[1]);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  const int error = errno;
  const ssize_t got = fd < 0 ? -1 : read(fd, &byte, 1);
  if (rename("probe-moved", argument[0]) != 0) broken("move it back");
  if (got == 0) blocked("empty");
  errno = error;
  return got;
}

const struct probe protected_probes[] = {{"append", "PATH", 1, append},
                                         {"truncate", "PATH", 1, truncate_it},
                                         {"create", "PATH", 1, create},
                                         {"mkdir", "PATH", 1, make_folder},
                                         {"unlink", "PATH", 1, remove_file},
                                         {"rmdir", "PATH", 1, remove_folder},
                                         {"rename", "FROM TO", 2, rename_it},
                                         {"chmod", "PATH", 1, change_mode},
                                         {"setxattr", "PATH", 1, set_attribute},
                                         {"write-by-link", "PATH", 1, write_by_link},
                                         {"rename-over", "PATH", 1, rename_over},
                                         {"exchange", "PATH", 1, exchange},
                                         {"replace-by-link", "FOLDER", 1, replace_by_link},
                                         {"through-proc", "PATH", 1, through_proc},
                                         {"reopen", "PATH", 1, reopen},
                                         {"move-and-read", "FOLDER PATH", 2, move_and_read},
                                         {0}};
