/* Rooms within the room, and the mount calls that undo what mounts hide. */
#include <linux/mount.h>
#include <sched.h>
#include <sys/mount.h>

#include "probe.h"

static long unshare_flags(char** argument) {
  return syscall(SYS_unshare, (unsigned long)number(argument[1]) << 32 | (unsigned long)number(argument[0]));
}

static long clone_user(char** argument) {
  const unsigned long high = (unsigned long)number(argument[0]) << 32;
  const long child = syscall(SYS_clone, high | CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
  if (child == 0) _exit(0);
  return child;
}

static long enter(char** argument) {
  const int fd = open(argument[0], O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  return setns(fd, 0);
}

static long mount_tmpfs(char** argument) {
  return mount("tmpfs", argument[0], "tmpfs", 0, NULL);
}
static long bind_root(char** argument) {
  return mount("/", argument[0], NULL, MS_BIND | MS_REC, NULL);
}
static long remount_writable(char** argument) {
  return mount(NULL, argument[0], NULL, MS_REMOUNT | MS_BIND, NULL);
}
static long unmount(char** argument) {
  return umount2(argument[0], MNT_DETACH);
}
static long change_root(char** argument) {
  return chroot(argument[0]);
}
static long pivot(char** argument) {
  return syscall(SYS_pivot_root, argument[0], argument[0]);
}

static long clone_tree(char** argument) {
  return syscall(SYS_open_tree, AT_FDCWD, argument[0], OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
}
static long move_tree(char** argument) {
  return syscall(SYS_move_mount, AT_FDCWD, argument[0], AT_FDCWD, argument[1], 0);
}
static long new_filesystem(char** argument) {
  (void)argument;
  return syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
}
static long pick_filesystem(char** argument) {
  return syscall(SYS_fspick, AT_FDCWD, argument[0], FSPICK_CLOEXEC);
}
static long set_writable(char** argument) {
  struct mount_attr attributes = {.attr_clr = MOUNT_ATTR_RDONLY};
  return syscall(SYS_mount_setattr, AT_FDCWD, argument[0], 0, &attributes, sizeof attributes);
}
static long list_mounts(char** argument) {
  (void)argument;
  struct {
    uint32_t size, spare;
    uint64_t mount, param;
  } request = {24, 0, UINT64_MAX, 0}; /* LSMT_ROOT */
  uint64_t ids[4];
  return syscall(458, &request, ids, 4L, 0L);
}

const struct probe namespace_probes[] = {{"unshare", "FLAGS HIGH-BITS", 2, unshare_flags},
                                         {"clone-user", "HIGH-BITS", 1, clone_user},
                                         {"setns", "PATH", 1, enter},
                                         {"mount", "FOLDER", 1, mount_tmpfs},
                                         {"bind-root", "FOLDER", 1, bind_root},
                                         {"remount", "PATH", 1, remount_writable},
                                         {"umount", "PATH", 1, unmount},
                                         {"chroot", "FOLDER", 1, change_root},
                                         {"pivot-root", "FOLDER", 1, pivot},
                                         {"open-tree", "PATH", 1, clone_tree},
                                         {"move-mount", "FROM TO", 2, move_tree},
                                         {"fsopen", "", 0, new_filesystem},
                                         {"fspick", "PATH", 1, pick_filesystem},
                                         {"mount-setattr", "PATH", 1, set_writable},
                                         {"listmount", "", 0, list_mounts},
                                         {0}};
