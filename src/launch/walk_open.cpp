#include "walk_open.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <iterator>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "agentbox/gates/open_beneath.hpp"

namespace agentbox::launch {

using base::UniqueFd;
using policy::FileKind;

namespace {

// What getdents64(2) writes.
struct DirEntry {
  std::uint64_t inode;
  std::int64_t offset;
  unsigned short length;
  unsigned char type;
  char name[1];
};

// Since Linux 6.8: a mount's number that is never used again. Not in the headers of older systems.
constexpr unsigned mount_id_unique = 0x4000;

FileKind kind_of_entry(unsigned char type) {
  switch (type) {
    case DT_REG: return FileKind::regular;
    case DT_DIR: return FileKind::directory;
    case DT_LNK: return FileKind::symlink;
    case DT_SOCK: return FileKind::socket;
    case DT_FIFO: return FileKind::fifo;
    case DT_CHR: return FileKind::character_device;
    case DT_BLK: return FileKind::block_device;
    default: return FileKind::unreadable;
  }
}

// The magic number in statfs(2); 0 if it can't be asked.
unsigned long file_system(int fd) {
  struct statfs system{};
  return ::fstatfs(fd, &system) == 0 ? static_cast<unsigned long>(system.f_type) & 0xffffffffu : 0;
}

}  // namespace

std::int64_t nanoseconds(const statx_timestamp& time) noexcept {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec);
}

UniqueFd open_listing(int parent, const char* name, std::uint64_t resolve) {
  constexpr std::uint64_t flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK;
  UniqueFd fd = gates::open_beneath(parent, name, flags | O_NOATIME, resolve);
  if (!fd && errno == EPERM) fd = gates::open_beneath(parent, name, flags, resolve);  // it is the owner's privilege
  return fd;
}

bool is_local(int fd) {
  static constexpr unsigned long local[] = {
      0xef53,     0x58465342, 0x9123683e, 0x01021994, 0x794c7630,   // ext, xfs, btrfs, tmpfs, overlay
      0xf2f52010, 0x2fc12fc1, 0xca451a4e, 0x858458f6, 0xf15f,       // f2fs, zfs, bcachefs, ramfs, ecryptfs
      0x3434,     0x52654973, 0x3153464a, 0x4d44,     0x2011bab0,   // nilfs, reiserfs, jfs, fat, exfat
      0x7366746e, 0x73717368, 0x9660,     0xe0f5e1e2, 0x15013346};  // ntfs3, squashfs, iso9660, erofs, udf
  return std::ranges::find(local, file_system(fd)) != std::end(local);
}

bool has_telling_stamps(int fd) {
  static constexpr unsigned long telling[] = {0xef53,     0x58465342, 0x9123683e, 0x01021994,  // ext, xfs, btrfs, tmpfs
                                              0xf2f52010, 0x2fc12fc1, 0xca451a4e};             // f2fs, zfs, bcachefs
  return std::ranges::find(telling, file_system(fd)) != std::end(telling);
}

std::optional<Seen> see(int parent, const char* name) {
  struct statx seen{};
  constexpr unsigned wanted =
      STATX_TYPE | STATX_MODE | STATX_UID | STATX_INO | STATX_CTIME | STATX_MTIME | STATX_MNT_ID | mount_id_unique;
  constexpr unsigned needed = wanted & ~(STATX_MNT_ID | mount_id_unique);
  int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (*name == '\0' ? AT_EMPTY_PATH : 0);
  if (::statx(parent, name, flags, wanted, &seen) != 0) return std::nullopt;
  if ((seen.stx_mask & needed) != needed || (seen.stx_mask & (STATX_MNT_ID | mount_id_unique)) == 0)
    return std::nullopt;
  return Seen{.stamp = {seen.stx_ino, nanoseconds(seen.stx_ctime), nanoseconds(seen.stx_mtime)},
              .place = {makedev(seen.stx_dev_major, seen.stx_dev_minor), seen.stx_mnt_id},
              .uid = seen.stx_uid,
              .mode = seen.stx_mode};
}

long Listing::fill(int directory) {
  long size = ::syscall(SYS_getdents64, directory, buffer_.data(), buffer_.size());
  at_ = 0;
  end_ = size < 0 ? 0 : static_cast<std::size_t>(size);
  return size;
}

const char* Listing::next(int directory, FileKind& kind) {
  while (at_ < end_) {
    const char* from = buffer_.data() + at_;
    DirEntry entry;
    std::memcpy(&entry, from, offsetof(DirEntry, name));
    const char* name = from + offsetof(DirEntry, name);
    at_ += entry.length;
    if (name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'))) continue;
    kind = kind_of_entry(entry.type);
    struct stat seen{};
    if (entry.type == DT_UNKNOWN) {  // some file systems don't say
      bool is_there = ::fstatat(directory, name, &seen, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) == 0;
      kind = is_there ? kind_of_entry(static_cast<unsigned char>(IFTODT(seen.st_mode))) : FileKind::missing;
    }
    return name;
  }
  return nullptr;
}

}  // namespace agentbox::launch
