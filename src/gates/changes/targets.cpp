#include "targets.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <tuple>
#include <utility>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fmt/format.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/base/sha256.hpp"
#include "agentbox/gates/open_beneath.hpp"

#include "requests/sealed.hpp"

namespace agentbox::gates::changes {

using base::AbsPath;
using base::SystemError;
using base::UniqueFd;

namespace {

constexpr mode_t new_file_mode = 0644, new_directory_mode = 0755;

std::string shown(const AbsPath& path) {
  return base::escape(path.str());
}

UniqueFd open_beneath(int directory, const std::string& name, std::uint64_t flags) {
  return gates::open_beneath(directory, name.c_str(), flags,
                             RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_BENEATH);
}

// To its end, or one byte more than `most`.
std::optional<std::string> read_all(int file, std::uint64_t most) {
  std::string content;
  std::array<char, 65536> part;
  for (;;) {
    ssize_t count = ::pread(file, part.data(), part.size(), static_cast<off_t>(content.size()));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return {};
    if (count == 0) return content;
    content.append(part.data(), static_cast<std::size_t>(count));
    if (content.size() > most) return content;
  }
}

std::string too_big(const std::string& what, std::uint64_t most) {
  return fmt::format("{} is bigger than {} KiB: nobody could read the difference", what, most / 1024);
}

const char* name_of_kind(mode_t mode) {
  if (S_ISLNK(mode)) return "a symbolic link";
  if (S_ISDIR(mode)) return "a directory";
  return "no regular file";
}

// What stands at the name, read to its end.
std::expected<void, std::string> look(Target& target, std::uint64_t most) {
  struct stat there{};
  if (::fstatat(target.directory.get(), target.name.c_str(), &there, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return {};
    return std::unexpected(fmt::format("{} can't be looked at: {}", shown(target.path), base::errno_text(errno)));
  }
  if (!S_ISREG(there.st_mode)) {
    return std::unexpected(
        fmt::format("{} is {}: only files can be proposed", shown(target.path), name_of_kind(there.st_mode)));
  }
  // A FIFO in its place by now is not waited for.
  UniqueFd file = open_beneath(target.directory.get(), target.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  struct stat info{};
  if (!file || ::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return std::unexpected(fmt::format("{} can't be read: {}", shown(target.path), base::errno_text(errno)));
  }
  // A new file in its place would be ours.
  if (info.st_uid != ::geteuid()) return std::unexpected(shown(target.path) + " belongs to another user");
  std::optional<std::string> content = read_all(file.get(), most);
  if (!content)
    return std::unexpected(fmt::format("{} can't be read: {}", shown(target.path), base::errno_text(errno)));
  if (content->size() > most) return std::unexpected(too_big(shown(target.path), most));
  target.is = Target::Is::file;
  target.content = *std::move(content);
  target.sha256 = base::sha256(target.content);
  target.device = info.st_dev;
  target.inode = info.st_ino;
  target.names = info.st_nlink;
  target.mode = info.st_mode & 0777U;
  target.group = info.st_gid;
  return {};
}

}  // namespace

bool Target::is_as(const Target& other) const {
  auto tied = [](const Target& one) {
    return std::tie(one.path, one.missing, one.name, one.directory_device, one.directory_inode, one.is, one.sha256,
                    one.device, one.inode, one.mode);
  };
  return tied(*this) == tied(other);
}

Targets::Targets(const std::vector<AbsPath>& roots, std::uint64_t most_bytes) : most_bytes_(most_bytes) {
  for (const AbsPath& root : roots) {
    UniqueFd directory = gates::open_beneath(AT_FDCWD, root.c_str(), O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS);
    if (!directory) throw SystemError(errno, "cannot open " + shown(root));
    roots_.emplace(root, std::move(directory));
  }
}

std::expected<Target, std::string> Targets::open(const AbsPath& root, const AbsPath& path) const {
  auto found = roots_.find(root);
  if (found == roots_.end() || !path.is_below(root)) return std::unexpected(shown(path) + " lies in no grant");
  Target target{.path = path, .name = std::string(path.name())};
  AbsPath here = path.parent();
  for (;;) {
    std::string relative(here.relative_to(root));
    target.directory = open_beneath(found->second.get(), relative.empty() ? "." : relative, O_PATH | O_DIRECTORY);
    if (target.directory) break;
    if (errno == ELOOP) {
      return std::unexpected(
          fmt::format("a symbolic link lies on the way to {}: use the real path (`pwd -P`)", shown(path)));
    }
    if (errno != ENOENT || here == root) {
      return std::unexpected(fmt::format("{} can't be reached: {}", shown(path), base::errno_text(errno)));
    }
    target.missing.insert(target.missing.begin(), std::string(here.name()));
    here = here.parent();
  }
  struct stat info{};
  if (::fstat(target.directory.get(), &info) != 0) {
    return std::unexpected(fmt::format("{} can't be looked at: {}", shown(here), base::errno_text(errno)));
  }
  target.directory_device = info.st_dev;
  target.directory_inode = info.st_ino;
  if (!target.missing.empty()) return target;
  if (auto looked = look(target, most_bytes_); !looked) return std::unexpected(looked.error());
  return target;
}

// ---- carrying it out ------------------------------------------------------------------------------------------------

namespace {

[[noreturn]] void fail(const Target& target, int error = errno) {
  throw SystemError(error, "cannot write " + shown(target.path));
}

std::string random_name() {
  std::uint64_t number = 0;
  if (::getrandom(&number, sizeof number, 0) != static_cast<ssize_t>(sizeof number)) {
    throw SystemError(errno, "getrandom");
  }
  return fmt::format(".agentbox-{:016x}", number);
}

// A new file with this content. Without a name where the file system can do that, so that nothing is left if we die.
struct Draft {
  UniqueFd file;
  std::string name;  // empty: it has none yet
};

Draft draft(const Target& target, int directory, std::string_view content) {
  Draft made{.file = UniqueFd(::openat(directory, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600)), .name = {}};
  if (!made.file) {
    made.name = random_name();
    made.file.reset(::openat(directory, made.name.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!made.file) fail(target);
  }
  bool done = true;
  for (std::size_t at = 0; done && at < content.size();) {
    ssize_t count = ::write(made.file.get(), content.data() + at, content.size() - at);
    if (count > 0) at += static_cast<std::size_t>(count);
    done = count > 0 || errno == EINTR;
  }
  const bool replaces = target.is == Target::Is::file;
  if (done && replaces) {
    struct stat info{};
    done = ::fstat(made.file.get(), &info) == 0 &&
           (info.st_gid == target.group || ::fchown(made.file.get(), static_cast<uid_t>(-1), target.group) == 0);
  }
  done =
      done && ::fchmod(made.file.get(), replaces ? target.mode : new_file_mode) == 0 && ::fsync(made.file.get()) == 0;
  if (done) return made;
  const int error = errno;
  if (!made.name.empty()) ::unlinkat(directory, made.name.c_str(), 0);
  fail(target, error);
}

// Gives an unnamed file a name. It never takes one that is there.
int link(const Draft& draft, int directory, const std::string& name) {
  if (!draft.name.empty()) {
    const long done =
        ::syscall(SYS_renameat2, directory, draft.name.c_str(), directory, name.c_str(), RENAME_NOREPLACE);
    return done == 0 ? 0 : errno;
  }
  const std::string own = fmt::format("/proc/self/fd/{}", draft.file.get());
  return ::linkat(AT_FDCWD, own.c_str(), directory, name.c_str(), AT_SYMLINK_FOLLOW) == 0 ? 0 : errno;
}

void place(const Target& target, int directory, Draft made) {
  int error = 0;
  if (target.is == Target::Is::missing) {
    error = link(made, directory, target.name);
  } else {
    if (made.name.empty()) {
      std::string name = random_name();
      error = link(made, directory, name);
      if (error == 0) made.name = std::move(name);
    }
    if (error == 0 && ::renameat(directory, made.name.c_str(), directory, target.name.c_str()) != 0) error = errno;
  }
  if (error == 0) return;
  if (!made.name.empty()) ::unlinkat(directory, made.name.c_str(), 0);
  fail(target, error);
}

// Directories that did not exist; they go again when nothing came to stand in them.
class Made {
 public:
  explicit Made(const Target& target) {
    int above = target.directory.get();
    for (const std::string& name : target.missing) {
      if (::mkdirat(above, name.c_str(), new_directory_mode) != 0) undo_and_fail(target);
      UniqueFd inside = open_beneath(above, name, O_PATH | O_DIRECTORY);
      if (!inside) undo_and_fail(target);
      made_.push_back({above, name, std::move(inside)});
      above = made_.back().inside.get();
    }
  }
  [[nodiscard]] int innermost(const Target& target) const {
    return made_.empty() ? target.directory.get() : made_.back().inside.get();
  }
  void undo() noexcept {
    for (auto one = made_.rbegin(); one != made_.rend(); ++one) {
      ::unlinkat(one->above, one->name.c_str(), AT_REMOVEDIR);
    }
  }

 private:
  struct One {
    int above;
    std::string name;
    UniqueFd inside;
  };
  [[noreturn]] void undo_and_fail(const Target& target) {
    const int error = errno;
    undo();
    fail(target, error);
  }
  std::vector<One> made_;
};

// A directory that is open for its path alone can't be synced.
void sync(int directory) {
  UniqueFd readable(::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (readable) (void)::fsync(readable.get());
}

}  // namespace

void write(const Target& target, std::string_view content) {
  Made made(target);
  const int directory = made.innermost(target);
  try {
    place(target, directory, draft(target, directory, content));
  } catch (const SystemError&) {
    made.undo();
    throw;
  }
  sync(directory);
  if (!target.missing.empty()) sync(target.directory.get());
}

void remove(const Target& target) {
  if (::unlinkat(target.directory.get(), target.name.c_str(), 0) != 0) fail(target);
  sync(target.directory.get());
}

// ---- what the room sends ------------------------------------------------------------------------------------------

std::expected<std::string, std::string> read_sealed(const UniqueFd& memory, std::uint64_t most_bytes) {
  auto size = requests::sealed_size(memory);
  if (!size) return std::unexpected(size.error());
  if (*size > most_bytes) return std::unexpected(too_big("the new content", most_bytes));
  std::optional<std::string> content = requests::read_part(memory, 0, *size);
  if (!content) return std::unexpected("the content can't be read");
  return *std::move(content);
}

}  // namespace agentbox::gates::changes
