#include "walk.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <exception>
#include <iterator>
#include <optional>
#include <thread>
#include <utility>

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <fmt/format.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/base/unique_fd.hpp"

#include "walk_board.hpp"
#include "walk_filter.hpp"

namespace agentbox::launch {

using base::AbsPath;
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

// File systems that answer from this machine. The others (FUSE, network, automounts, the kernel's own) may
// hang, may be endless, and answer differently each time.
bool is_local(long type) {
  static constexpr unsigned long local[] = {
      0xef53,     0x58465342, 0x9123683e, 0x01021994, 0x794c7630,   // ext, xfs, btrfs, tmpfs, overlay
      0xf2f52010, 0x2fc12fc1, 0xca451a4e, 0x858458f6, 0xf15f,       // f2fs, zfs, bcachefs, ramfs, ecryptfs
      0x3434,     0x52654973, 0x3153464a, 0x4d44,     0x2011bab0,   // nilfs, reiserfs, jfs, fat, exfat
      0x7366746e, 0x73717368, 0x9660,     0xe0f5e1e2, 0x15013346};  // ntfs3, squashfs, iso9660, erofs, udf
  return std::ranges::find(local, static_cast<unsigned long>(type) & 0xffffffffu) != std::end(local);
}

int open_directory(int parent, const char* name, std::uint64_t resolve) {
  open_how how{};
  how.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOATIME;
  how.resolve = resolve;
  long fd = ::syscall(SYS_openat2, parent, name, &how, sizeof how);
  if (fd < 0 && errno == EPERM) {  // O_NOATIME is the owner's privilege
    how.flags &= ~static_cast<std::uint64_t>(O_NOATIME);
    fd = ::syscall(SYS_openat2, parent, name, &how, sizeof how);
  }
  return static_cast<int>(fd);
}

std::string below(const std::string& relative, std::string_view name) {
  std::string joined;
  joined.reserve(relative.size() + 1 + name.size());
  joined = relative;
  if (!joined.empty()) joined += '/';
  return joined += name;
}

class Worker {
 public:
  Worker(const WalkRequest& request, const NameTable& names, const PatternFilter& filter, Board& board)
      : request_(request), names_(names), filter_(filter), board_(board), buffer_(32768) {}

  void start_at(Directory top) {
    read(top);
    stack_.push_back(std::move(top));
  }
  // Returns when nobody has work left. `after_each` is called after each directory.
  template <class F>
  void run(F after_each) {
    while (!board_.is_stopped()) {
      while (!stack_.empty() && stack_.back().is_done()) stack_.pop_back();
      if (stack_.empty()) {
        std::optional<Directory> work = board_.take();
        if (!work) return;
        stack_.push_back(std::move(*work));
      }
      enter_next_child();
      if (board_.is_work_wanted()) share();
      after_each();
    }
  }
  std::vector<FoundRoot> roots;
  std::vector<AbsPath> bare;
  std::vector<FoundMatch> matches;

 private:
  // What the entries of one directory say about the directory itself.
  struct Signs {
    bool git = false, marker = false, head = false, refs = false, objects = false;
    std::vector<std::uint32_t> kinds;
  };

  void enter_next_child();
  [[nodiscard]] UniqueFd open_child(const Directory& parent, const char* name, const std::string& relative);
  [[nodiscard]] UniqueFd open_mount(const Directory& parent, const char* name, const std::string& relative);
  void read(Directory& directory);
  void consider(Directory& directory, Signs& signs, const char* name, FileKind kind);
  // Returns true if the entry is a directory that is hidden as a whole.
  bool compare(const std::string& relative, FileKind kind);
  void judge(Directory& directory, Signs signs);
  [[nodiscard]] bool is_worth_entering(const Directory& parent, std::string_view name,
                                       const NameTable::Meaning* meaning) const;
  [[nodiscard]] bool roots_count_in(const Directory& directory) const {
    return request_.roots && !directory.foreign && !directory.git;
  }
  void share();
  // Nothing if the path is longer than the kernel takes: a place that no program can name, but that can be
  // reached.
  [[nodiscard]] std::optional<AbsPath> absolute(const std::string& relative) {
    auto path = relative.empty() ? request_.top
                                 : AbsPath::parse((request_.top.is_root() ? "" : request_.top.str()) + "/" + relative);
    if (!path) board_.stop("a path in it has more than 4095 bytes", "remove that folder");
    return path;
  }

  const WalkRequest& request_;
  const NameTable& names_;
  const PatternFilter& filter_;
  Board& board_;
  std::vector<char> buffer_;
  std::vector<Directory> stack_;  // from the top down; only the last one is being entered
  std::vector<std::size_t> hits_;
};

void Worker::enter_next_child() {
  Directory& parent = stack_.back();
  std::string_view name = parent.take_child();
  const NameTable::Meaning* meaning = names_.find(name);
  Directory child{.relative = below(parent.relative, name),
                  .depth = parent.depth + 1,
                  .foreign = parent.foreign || (meaning != nullptr && meaning->foreign),
                  .git = parent.git || name == ".git"};
  if (child.depth > request_.bounds.depth) {
    board_.stop(fmt::format("its folders are more than {} deep", request_.bounds.depth),
                fmt::format("look at {}", base::quote(child.relative)));
    return;
  }
  child.fd = open_child(parent, name.data(), child.relative);
  if (!child.fd) return;
  read(child);
  if (!child.is_done()) stack_.push_back(std::move(child));
}

UniqueFd Worker::open_child(const Directory& parent, const char* name, const std::string& relative) {
  UniqueFd fd(open_directory(parent.fd.get(), name, RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS));
  if (fd) return fd;
  switch (int error = errno) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP: return {};  // gone, or replaced, since its parent was read
    case EXDEV: return open_mount(parent, name, relative);
    case EACCES: {
      // Another's directory that this user may not even pass through is closed to the room as well. In all
      // other cases the room, which runs as the same user, could open it up (chmod) or guess the names in it.
      struct stat seen{};
      if (::fstatat(parent.fd.get(), name, &seen, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) == 0 &&
          seen.st_uid != ::geteuid() && ::faccessat(parent.fd.get(), name, X_OK, AT_EACCESS) != 0) {
        return {};
      }
      board_.stop(fmt::format("{} cannot be read", base::quote(relative)),
                  fmt::format("chmod u+rx {}, or hide it", base::quote(relative)));
      return {};
    }
    default:
      board_.stop(fmt::format("{} cannot be opened ({})", base::quote(relative), base::errno_text(error)));
      return {};
  }
}

UniqueFd Worker::open_mount(const Directory& parent, const char* name, const std::string& relative) {
  // O_PATH asks nothing of the file system that is mounted there but its root's type.
  UniqueFd at(::openat(parent.fd.get(), name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct statfs system{};
  if (at && ::fstatfs(at.get(), &system) == 0 && is_local(system.f_type)) {
    UniqueFd fd(open_directory(parent.fd.get(), name, RESOLVE_NO_SYMLINKS));
    if (fd) return fd;
  }
  board_.stop(fmt::format("{} is another file system, of a kind that is not searched", base::quote(relative)),
              fmt::format("hide {}, or start in it", base::quote(relative)));
  return {};
}

void Worker::read(Directory& directory) {
  Signs signs;
  while (!board_.is_stopped()) {
    long count = ::syscall(SYS_getdents64, directory.fd.get(), buffer_.data(), buffer_.size());
    if (count < 0 && errno == ENOENT) break;  // removed while it was open
    if (count < 0) {
      board_.stop(fmt::format("{} cannot be read ({})",
                              directory.relative.empty() ? "its top" : base::quote(directory.relative),
                              base::errno_text(errno)));
      break;
    }
    if (count == 0) break;
    std::uint64_t entries = 0;
    for (const char* at = buffer_.data(); at < buffer_.data() + count;) {
      DirEntry entry;
      std::memcpy(&entry, at, offsetof(DirEntry, name));
      const char* name = at + offsetof(DirEntry, name);
      at += entry.length;
      if (name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'))) continue;
      ++entries;
      FileKind kind = kind_of_entry(entry.type);
      struct stat seen{};
      if (entry.type == DT_UNKNOWN) {  // some file systems don't say
        if (::fstatat(directory.fd.get(), name, &seen, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) != 0) continue;
        kind = kind_of_entry(static_cast<unsigned char>(IFTODT(seen.st_mode)));
      }
      consider(directory, signs, name, kind);
    }
    board_.count(entries);
  }
  judge(directory, std::move(signs));
}

void Worker::consider(Directory& directory, Signs& signs, const char* name_bytes, FileKind kind) {
  std::string_view name = name_bytes;
  const NameTable::Meaning* meaning = names_.find(name);
  bool is_directory = kind == FileKind::directory;
  if (meaning != nullptr) {
    signs.git |= meaning->git;
    signs.marker |= meaning->marker && !is_directory;
    signs.head |= meaning->head && !is_directory;
    signs.refs |= meaning->refs && is_directory;
    if (meaning->kind != NameTable::Meaning::no_kind) signs.kinds.push_back(meaning->kind);
  }
  bool may_match = (meaning != nullptr && meaning->pattern) || filter_.may_match(name);
  if (may_match && compare(below(directory.relative, name), kind)) return;
  if (!is_directory) return;
  if (meaning != nullptr && meaning->objects) {
    signs.objects = true;  // `judge` knows whether it is git's
    return;
  }
  if (is_worth_entering(directory, name, meaning)) directory.children.append(name).push_back('\0');
}

bool Worker::compare(const std::string& relative, FileKind kind) {
  hits_.clear();
  request_.match(relative, hits_);
  if (hits_.empty()) return false;
  std::optional<AbsPath> path = absolute(relative);
  bool is_hidden = false;
  for (std::size_t hit : hits_) {
    if (path) matches.push_back({hit, *path, kind});
    is_hidden |= request_.patterns[hit].hides;
  }
  return is_hidden && kind == FileKind::directory;
}

bool Worker::is_worth_entering(const Directory& parent, std::string_view name,
                               const NameTable::Meaning* meaning) const {
  bool is_special = meaning != nullptr && (meaning->foreign || meaning->git);
  if (roots_count_in(parent) && !is_special) return true;
  return !filter_.is_empty() && filter_.may_match_below(below(parent.relative, name));
}

void Worker::judge(Directory& directory, Signs signs) {
  // git's own objects have names that no one chose (and there may be a hundred thousand); the same below
  // lfs/.
  bool is_git_directory = signs.head && signs.refs && signs.objects;
  bool is_gits_objects = is_git_directory || (directory.git && directory.relative.ends_with("/lfs"));
  if (signs.objects && !is_gits_objects && is_worth_entering(directory, "objects", nullptr)) {
    directory.children.append("objects").push_back('\0');
  }
  bool is_top = directory.relative.empty();
  if (!is_top && !roots_count_in(directory)) return;
  if (is_git_directory && !directory.git) {
    if (std::optional<AbsPath> path = absolute(directory.relative)) bare.push_back(*path);
    directory.git = true;
    if (!is_top) return;
  }
  if (!is_top && !signs.git && !signs.marker) return;
  if (std::optional<AbsPath> path = absolute(directory.relative)) {
    std::ranges::sort(signs.kinds);
    roots.push_back({{*path, signs.git, signs.marker}, std::move(signs.kinds)});
  }
}

void Worker::share() {
  for (Directory& directory : stack_) {
    if (directory.is_done()) continue;
    bool is_last_child = directory.children.find('\0', directory.next) + 1 == directory.children.size();
    if (is_last_child && &directory == &stack_.back()) return;  // all that is left
    if (std::optional<Directory> half = split(directory)) board_.give(std::move(*half));
    return;
  }
}

// The helper thread, joined when it goes. What it throws comes out of `join`.
class Helper {
 public:
  template <class F>
  void start(F work) {
    // It must not be the one that a signal meant for the main thread finds.
    sigset_t all, before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
      thread_ = std::thread([this, work] {
        try {
          work();
        } catch (...) {
          thrown_ = std::current_exception();
        }
      });
    } catch (const std::system_error&) {
      // No thread to be had: one is enough.
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  [[nodiscard]] bool is_started() const { return thread_.joinable(); }
  void join() {
    if (thread_.joinable()) thread_.join();
    if (thrown_) std::rethrow_exception(thrown_);
  }
  ~Helper() {
    if (thread_.joinable()) thread_.join();
  }

 private:
  std::thread thread_;
  std::exception_ptr thrown_;
};

NameTable name_table(const WalkRequest& request) {
  NameTable names;
  names[".git"].git = true;
  names["HEAD"].head = true;
  names["objects"].objects = true;
  names["refs"].refs = true;
  for (std::string_view name : request.markers) names[name].marker = true;
  for (std::string_view name : request.foreign) names[name].foreign = true;
  for (std::uint32_t i = 0; i < request.kinds.size(); ++i) names[request.kinds[i]].kind = i;
  return names;
}

template <class T>
void append(std::vector<T>& to, std::vector<T>& from) {
  to.insert(to.end(), std::move_iterator(from.begin()), std::move_iterator(from.end()));
}

}  // namespace

Walked walk(const WalkRequest& request) {
  NameTable names = name_table(request);
  PatternFilter filter(request.patterns, names);
  Board board(request.bounds);
  Worker first(request, names, filter, board), second(request, names, filter, board);
  Directory top{.fd = UniqueFd(open_directory(AT_FDCWD, request.top.c_str(), RESOLVE_NO_SYMLINKS))};
  if (!top.fd) {
    throw base::SystemError(errno, fmt::format("cannot open the workspace {}", base::escape(request.top.str())));
  }

  Helper helper;
  bool may_help = std::thread::hardware_concurrency() > 1;
  auto call_a_helper = [&] {
    if (!may_help || board.entries() < request.helper_from) return;
    may_help = false;
    board.add_worker();
    helper.start([&] { board.stop_if_thrown([&] { second.run([] {}); }); });
    if (!helper.is_started()) board.remove_worker();
  };
  board.stop_if_thrown([&] {
    first.start_at(std::move(top));
    first.run(call_a_helper);
  });
  helper.join();

  Walked walked{.entries = board.entries(), .stopped = board.reason().why, .hint = board.reason().hint};
  for (Worker* worker : {&first, &second}) {
    append(walked.roots, worker->roots);
    append(walked.bare, worker->bare);
    append(walked.matches, worker->matches);
  }
  std::ranges::sort(walked.roots, {}, [](const FoundRoot& found) { return found.root.path; });
  std::ranges::sort(walked.bare);
  std::ranges::sort(walked.matches, {}, [](const FoundMatch& match) { return std::pair(match.path, match.pattern); });
  return walked;
}

}  // namespace agentbox::launch
