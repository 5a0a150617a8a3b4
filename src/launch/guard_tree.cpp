#include "guard_tree.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <string>

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fmt/format.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/gates/open_beneath.hpp"

#include "files.hpp"
#include "walk_open.hpp"

namespace agentbox::launch {

namespace {

using base::SystemError;
using base::UniqueFd;
using policy::FileKind;

constexpr std::uint64_t resolve_strictly = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;

[[noreturn]] void refuse(int error, std::string_view doing, std::string_view name) {
  throw SystemError(error, fmt::format("cannot {} {}", doing, base::escape(name)));
}

thread_local int owners_locks = 0;

UniqueFd open_strictly(int root, const char* relative, std::uint64_t flags) {
  return gates::open_beneath(root, relative, flags, resolve_strictly);
}

Entry entry_of(const struct statx& found) {
  return {.kind = kind_of_mode(found.stx_mode),
          .device = static_cast<std::uint64_t>(found.stx_dev_major) << 32 | found.stx_dev_minor,
          .inode = found.stx_ino,
          .born_ns = (found.stx_mask & STATX_BTIME) != 0 ? nanoseconds(found.stx_btime) : 0,
          .changed_ns = nanoseconds(found.stx_ctime),
          .modified_ns = nanoseconds(found.stx_mtime),
          .size = found.stx_size,
          .mode = static_cast<std::uint32_t>(found.stx_mode & 07777),
          .uid = found.stx_uid,
          .links = found.stx_nlink};
}

constexpr unsigned wanted = STATX_BASIC_STATS | STATX_BTIME;

// A directory that the agent locked must not stop the guard: once more, after unlocking.
template <class Operation>
int with_unlocked(int directory, Operation operation) {
  if (operation() == 0) return 0;
  int error = errno;
  if (error != EACCES || !unlock(directory)) return error;
  return operation() == 0 ? 0 : errno;
}

std::string own_path(int descriptor) {
  return "/proc/self/fd/" + std::to_string(descriptor);
}

void set_time(int descriptor, std::int64_t modified_ns) {
  std::int64_t seconds = modified_ns / 1'000'000'000, rest = modified_ns % 1'000'000'000;
  if (rest < 0) rest += 1'000'000'000, --seconds;
  struct timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT}, {.tv_sec = seconds, .tv_nsec = rest}};
  ::futimens(descriptor, times);  // a convenience: a failure changes nothing that is relied on
}

void fill(int descriptor, const NewFile& file, const std::string& name) {
  copy_bytes(file.from, file.offset, descriptor, 0, file.size);
  if (::fchmod(descriptor, file.mode & 0777) != 0) refuse(errno, "set the mode of", name);
  set_time(descriptor, file.modified_ns);
}

}  // namespace

std::optional<base::AbsPath> below(const base::AbsPath& directory, std::string_view relative) {
  return base::AbsPath::parse((directory.is_root() ? "" : directory.str()) + "/" + std::string(relative));
}

bool same_object(const Entry& left, const Entry& right) noexcept {
  if (left.kind != right.kind || left.device != right.device || left.inode != right.inode) return false;
  if (left.born_ns != 0 && right.born_ns != 0) return left.born_ns == right.born_ns;
  return left.changed_ns == right.changed_ns;
}

std::optional<Entry> look_at(int directory, const std::string& name) {
  struct statx found = {};
  int error = with_unlocked(directory, [&] {
    return ::statx(directory, name.c_str(), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, wanted, &found);
  });
  if (error == ENOENT || error == ENAMETOOLONG) return std::nullopt;
  if (error != 0) refuse(error, "look at", name);
  return entry_of(found);
}

Entry look_at(int descriptor) {
  struct statx found = {};
  if (::statx(descriptor, "", AT_EMPTY_PATH, wanted, &found) != 0) refuse(errno, "look at", "an open file");
  return entry_of(found);
}

Tree::Tree(base::AbsPath workspace) : workspace_(std::move(workspace)) {
  slash_ = UniqueFd(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!slash_) refuse(errno, "open", "/");
  if (workspace_.is_root()) {
    root_ = UniqueFd(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  } else {
    root_ = open_strictly(slash_.get(), workspace_.c_str() + 1, O_PATH | O_DIRECTORY);
  }
  if (!root_) refuse(errno, "open the workspace", workspace_.str());
}

std::expected<UniqueFd, int> Tree::directory(const base::AbsPath& path) const {
  bool inside = path.is_within(workspace_);
  std::string relative(inside ? path.relative_to(workspace_) : path.relative_to(base::AbsPath()));
  if (relative.empty()) relative = ".";
  int start = inside ? root_.get() : slash_.get();
  UniqueFd found = open_strictly(start, relative.c_str(), O_PATH | O_DIRECTORY);
  if (found) return found;
  if (errno != EACCES) return std::unexpected(errno);
  // By steps, to unlock what is locked.
  UniqueFd here = open_strictly(start, ".", O_PATH | O_DIRECTORY);
  for (std::size_t begin = 0; begin < relative.size();) {
    std::size_t end = std::min(relative.find('/', begin), relative.size());
    std::expected<UniqueFd, int> next = open_directory(here.get(), relative.substr(begin, end - begin));
    if (!next) return next;
    here = std::move(*next);
    begin = end + 1;
  }
  return here;
}

std::optional<base::AbsPath> Tree::first_link(const base::AbsPath& path) const {
  bool inside = path.is_within(workspace_);
  base::AbsPath at = inside ? workspace_ : base::AbsPath();
  base::AbsPath rest = path;
  std::string relative(path.relative_to(at));
  for (std::size_t begin = 0; begin < relative.size();) {
    std::size_t end = std::min(relative.find('/', begin), relative.size());
    std::expected<UniqueFd, int> here = directory(at);
    if (!here) return std::nullopt;
    std::string name = relative.substr(begin, end - begin);
    at = at / name;
    std::optional<Entry> entry = look_at(here->get(), name);
    if (!entry) return std::nullopt;
    if (entry->kind == FileKind::symlink) return at;
    begin = end + 1;
  }
  return std::nullopt;
}

std::optional<Entry> Tree::look(const base::AbsPath& path) const {
  std::expected<UniqueFd, int> parent = directory(path.parent());
  if (!parent) {
    if (parent.error() == ENOENT || parent.error() == ENOTDIR) return std::nullopt;
    refuse(parent.error(), "open", path.parent().str());
  }
  return look_at(parent->get(), std::string(path.name()));
}

OwnersLocks::OwnersLocks() noexcept {
  ++owners_locks;
}
OwnersLocks::~OwnersLocks() {
  --owners_locks;
}

bool unlock(int directory) {
  if (owners_locks > 0) return false;
  Entry entry = look_at(directory);
  if (entry.kind != FileKind::directory || entry.uid != ::geteuid() || (entry.mode & 0700) == 0700) return false;
  return ::chmod(own_path(directory).c_str(), entry.mode | 0700) == 0;
}

std::expected<UniqueFd, int> open_directory(int directory, const std::string& name) {
  UniqueFd found;
  int error = with_unlocked(directory, [&] {
    found = open_strictly(directory, name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW);
    return found ? 0 : -1;
  });
  if (error != 0) return std::unexpected(error);
  return found;
}

std::expected<UniqueFd, int> open_regular(int directory, const std::string& name) {
  constexpr std::uint64_t flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
  std::optional<Entry> entry = look_at(directory, name);
  if (!entry) return std::unexpected(ENOENT);
  if (entry->kind != FileKind::regular) return std::unexpected(EINVAL);  // before the open: a device may act upon it
  UniqueFd file = open_strictly(directory, name.c_str(), flags);
  if (!file && errno == EACCES && owners_locks == 0 && entry->uid == ::geteuid()) {
    UniqueFd locked = open_strictly(directory, name.c_str(), O_PATH | O_NOFOLLOW);
    if (locked && look_at(locked.get()).kind == FileKind::regular) {
      ::chmod(own_path(locked.get()).c_str(), entry->mode | 0400);
      file = open_strictly(directory, name.c_str(), flags);
    }
  }
  if (!file) return std::unexpected(errno);
  if (look_at(file.get()).kind != FileKind::regular) return std::unexpected(EINVAL);
  return file;
}

// A lease for reading is given to nobody while there is a writer, by whatever descriptor or mapping.
bool is_still_written(int directory, const std::string& name) {
  const std::expected<UniqueFd, int> file = open_regular(directory, name);
  // For the moment of the lease: its own signal would end us.
  if (!file || ::fcntl(file->get(), F_SETSIG, SIGURG) != 0) return false;
  constexpr int tries = 50;
  constexpr timespec pause{.tv_sec = 0, .tv_nsec = 2'000'000};
  for (int i = 0; i < tries; ++i) {
    if (::fcntl(file->get(), F_SETLEASE, F_RDLCK) == 0) {
      ::fcntl(file->get(), F_SETLEASE, F_UNLCK);
      return false;
    }
    if (errno != EAGAIN) return false;
    ::nanosleep(&pause, nullptr);
  }
  return true;
}

std::expected<std::string, int> read_start(int directory, const std::string& name, std::size_t limit) {
  std::expected<UniqueFd, int> file = open_regular(directory, name);
  if (!file) return std::unexpected(file.error());
  std::string text;
  while (text.size() < limit) {
    std::array<char, 16384> buffer;
    ssize_t got = ::read(file->get(), buffer.data(), std::min(buffer.size(), limit - text.size()));
    if (got < 0) {
      if (errno == EINTR) continue;
      return std::unexpected(errno);
    }
    if (got == 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return text;
}

std::string read_link(int directory, const std::string& name) {
  std::array<char, 4097> target;
  ssize_t length = ::readlinkat(directory, name.c_str(), target.data(), target.size());
  if (length < 0) refuse(errno, "read the link", name);
  return std::string(target.data(), static_cast<std::size_t>(length));
}

int place_file(int directory, const std::string& name, const NewFile& file, const std::string& temporary) {
  unlock(directory);
  UniqueFd unnamed(::openat(directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (unnamed) {
    fill(unnamed.get(), file, name);
    if (::linkat(AT_FDCWD, own_path(unnamed.get()).c_str(), directory, name.c_str(), AT_SYMLINK_FOLLOW) == 0) return 0;
    if (errno == EEXIST) return EEXIST;
    refuse(errno, "put in place", name);
  }
  if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL) refuse(errno, "make a file for", name);
  constexpr int fresh = O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR | O_CLOEXEC;
  UniqueFd named(::openat(directory, temporary.c_str(), fresh, 0600));
  if (!named && errno == EEXIST && ::unlinkat(directory, temporary.c_str(), 0) == 0) {  // left by one that was killed
    named = UniqueFd(::openat(directory, temporary.c_str(), fresh, 0600));
  }
  if (!named) refuse(errno, "make a file for", name);
  try {
    fill(named.get(), file, name);
    if (::linkat(directory, temporary.c_str(), directory, name.c_str(), 0) != 0) {
      int error = errno;
      if (error != EEXIST) refuse(error, "put in place", name);
      ::unlinkat(directory, temporary.c_str(), 0);
      return EEXIST;
    }
  } catch (...) {
    ::unlinkat(directory, temporary.c_str(), 0);
    throw;
  }
  ::unlinkat(directory, temporary.c_str(), 0);
  return 0;
}

int remove_entry(int directory, const std::string& name, FileKind kind) {
  int flags = kind == FileKind::directory ? AT_REMOVEDIR : 0;
  return with_unlocked(directory, [&] { return ::unlinkat(directory, name.c_str(), flags); });
}

int rename_entry(int from, const std::string& name, int to, const std::string& new_name) {
  auto rename = [&] { return ::renameat2(from, name.c_str(), to, new_name.c_str(), RENAME_NOREPLACE); };
  int error = with_unlocked(from, rename);
  if (error != EACCES) return error;
  // A directory that moves to another parent must itself be writable, for its ".." changes.
  std::expected<UniqueFd, int> moved = open_directory(from, name);
  if (!moved || !unlock(moved->get())) return error;
  return rename() == 0 ? 0 : errno;
}

int make_directory(int directory, const std::string& name, std::uint32_t mode) {
  return with_unlocked(directory, [&] { return ::mkdirat(directory, name.c_str(), mode); });
}

bool is_empty(int listing) {
  if (::lseek(listing, 0, SEEK_SET) != 0) throw SystemError(errno, "cannot list a directory");
  alignas(dirent64) char buffer[1024];
  while (true) {
    long got = ::syscall(SYS_getdents64, listing, buffer, sizeof buffer);
    if (got < 0) throw SystemError(errno, "cannot list a directory");
    if (got == 0) return true;
    for (long at = 0; at < got;) {
      const auto* entry = reinterpret_cast<const dirent64*>(buffer + at);
      at += entry->d_reclen;
      std::string_view name = entry->d_name;
      if (name != "." && name != "..") return false;
    }
  }
}

std::optional<std::vector<std::string>> names_in(int directory, std::size_t limit) {
  UniqueFd readable;
  int error = with_unlocked(directory, [&] {
    readable = UniqueFd(::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return readable ? 0 : -1;
  });
  if (error != 0) throw SystemError(error, "cannot list a directory");
  std::vector<ListedEntry> entries;
  error = list_entries(readable.get(), entries, limit);
  if (error == E2BIG) return std::nullopt;
  if (error != 0) throw SystemError(error, "cannot list a directory");
  std::vector<std::string> names;
  for (ListedEntry& entry : entries) names.push_back(std::move(entry.name));
  std::ranges::sort(names);
  return names;
}

bool copy_tree(int from, const std::string& name, int to, const std::string& new_name, Bound& bound) {
  std::optional<Entry> entry = look_at(from, name);
  if (!entry) return true;
  if (bound.entries == 0 || bound.depth == 0) return false;
  --bound.entries;
  switch (entry->kind) {
    case FileKind::regular: {
      if (entry->size > bound.bytes) return false;
      std::expected<UniqueFd, int> file = open_regular(from, name);
      if (!file) refuse(file.error(), "open", name);
      bound.bytes -= entry->size;
      int error = place_file(to, new_name, {file->get(), 0, entry->size, entry->mode, entry->modified_ns},
                             ".agentbox-" + std::to_string(::getpid()));
      if (error != 0) refuse(error, "copy", name);
      return true;
    }
    case FileKind::symlink:
      if (::symlinkat(read_link(from, name).c_str(), to, new_name.c_str()) != 0) refuse(errno, "copy the link", name);
      return true;
    case FileKind::fifo:
      if (::mkfifoat(to, new_name.c_str(), entry->mode & 0777) != 0) refuse(errno, "copy the fifo", name);
      return true;
    case FileKind::directory: break;
    default: return true;
  }
  if (int error = make_directory(to, new_name, 0700); error != 0) refuse(error, "make the directory", name);
  std::expected<UniqueFd, int> source = open_directory(from, name), copy = open_directory(to, new_name);
  if (!source || !copy) refuse(source ? copy.error() : source.error(), "open", name);
  std::optional<std::vector<std::string>> names = names_in(source->get(), bound.entries);
  if (!names) return false;
  --bound.depth;
  for (const std::string& child : *names) {
    if (!copy_tree(source->get(), child, copy->get(), child, bound)) return false;
  }
  ++bound.depth;
  (void)!::fchmodat(to, new_name.c_str(), entry->mode & 0777, 0);  // without it: 0700, which is ours alone
  return true;
}

bool remove_tree(int directory, const std::string& name, Bound& bound) {
  std::optional<Entry> entry = look_at(directory, name);
  if (!entry) return true;
  if (bound.entries == 0 || bound.depth == 0) return false;
  --bound.entries;
  if (entry->kind == FileKind::directory) {
    std::expected<UniqueFd, int> inside = open_directory(directory, name);
    if (!inside) refuse(inside.error(), "open", name);
    std::optional<std::vector<std::string>> names = names_in(inside->get(), bound.entries);
    if (!names) return false;
    --bound.depth;
    for (const std::string& child : *names) {
      if (!remove_tree(inside->get(), child, bound)) return false;
    }
    ++bound.depth;
  }
  int error = remove_entry(directory, name, entry->kind);
  if (error != 0 && error != ENOENT) refuse(error, "remove", name);
  return true;
}

}  // namespace agentbox::launch
