#include "files.hpp"

#include <cerrno>
#include <string_view>

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agentbox/gates/open_beneath.hpp"

namespace agentbox::launch {

policy::FileKind kind_of_mode(unsigned mode) {
  using policy::FileKind;
  switch (mode & S_IFMT) {
    case S_IFREG: return FileKind::regular;
    case S_IFDIR: return FileKind::directory;
    case S_IFLNK: return FileKind::symlink;
    case S_IFSOCK: return FileKind::socket;
    case S_IFIFO: return FileKind::fifo;
    case S_IFCHR: return FileKind::character_device;
    case S_IFBLK: return FileKind::block_device;
    default: return FileKind::unreadable;
  }
}

std::optional<std::string> read_all(int fd, std::size_t limit) {
  std::string bytes;
  char part[16384];
  while (true) {
    ssize_t count = ::read(fd, part, sizeof part);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return std::nullopt;
    if (count == 0) return bytes;
    if (bytes.size() + static_cast<std::size_t>(count) > limit) return std::nullopt;
    bytes.append(part, static_cast<std::size_t>(count));
  }
}

std::optional<std::string> read_regular(const base::AbsPath& path, std::size_t limit) {
  base::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
  struct stat seen{};
  if (!file || ::fstat(file.get(), &seen) != 0 || !S_ISREG(seen.st_mode)) return std::nullopt;
  if (static_cast<std::size_t>(seen.st_size) > limit) return std::nullopt;
  return read_all(file.get(), limit);
}

std::optional<std::string> read_kernel_file(const char* path, std::size_t limit) {
  base::UniqueFd file(::open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!file) return std::nullopt;
  return read_all(file.get(), limit);
}

int list_entries(int directory, std::vector<ListedEntry>& entries, std::size_t& left) {
  alignas(dirent64) char buffer[32768];
  while (true) {
    long got = ::syscall(SYS_getdents64, directory, buffer, sizeof buffer);
    if (got <= 0) return got < 0 ? errno : 0;
    for (long at = 0; at < got;) {
      const auto* entry = reinterpret_cast<const dirent64*>(buffer + at);
      at += entry->d_reclen;
      std::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      if (left == 0) return E2BIG;
      --left;
      struct stat seen{};
      auto mode = static_cast<unsigned>(DTTOIF(entry->d_type));
      if (entry->d_type == DT_UNKNOWN) {
        if (::fstatat(directory, entry->d_name, &seen, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) != 0) continue;
        mode = seen.st_mode;
      }
      entries.push_back({std::string(name), kind_of_mode(mode)});
    }
  }
}

std::optional<std::vector<ListedEntry>> list_directory(const base::AbsPath& path, std::size_t& limit) {
  base::UniqueFd directory = gates::open_beneath(AT_FDCWD, path.c_str(),
                                                 O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK, RESOLVE_NO_SYMLINKS);
  std::vector<ListedEntry> entries;
  int error = directory ? list_entries(directory.get(), entries, limit) : errno;
  if (error != 0 && error != E2BIG) return std::nullopt;
  return entries;
}

}  // namespace agentbox::launch
