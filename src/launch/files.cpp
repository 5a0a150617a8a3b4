#include "files.hpp"

#include <cerrno>
#include <cstring>
#include <memory>

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

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

std::optional<std::vector<ListedEntry>> list_directory(const base::AbsPath& path, std::size_t& limit) {
  open_how how{};
  how.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  how.resolve = RESOLVE_NO_SYMLINKS;
  base::UniqueFd fd(static_cast<int>(::syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof how)));
  if (!fd) return std::nullopt;
  std::unique_ptr<DIR, int (*)(DIR*)> directory(::fdopendir(fd.get()), &::closedir);
  if (!directory) return std::nullopt;
  int number = fd.release();  // closedir closes it
  std::vector<ListedEntry> entries;
  while (limit > 0) {
    errno = 0;
    const dirent* entry = ::readdir(directory.get());  // NOLINT(concurrency-mt-unsafe): this stream is ours alone
    if (entry == nullptr && errno != 0) return std::nullopt;
    if (entry == nullptr) break;
    if (std::strcmp(entry->d_name, ".") == 0 || std::strcmp(entry->d_name, "..") == 0) continue;
    --limit;
    struct stat seen{};
    auto mode = static_cast<unsigned>(DTTOIF(entry->d_type));
    if (entry->d_type == DT_UNKNOWN) {
      if (::fstatat(number, entry->d_name, &seen, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) != 0) continue;
      mode = seen.st_mode;
    }
    entries.push_back({entry->d_name, kind_of_mode(mode)});
  }
  return entries;
}

}  // namespace agentbox::launch
