#include "place.hpp"

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/base/unique_fd.hpp"

#include "database.hpp"

namespace agentbox::store {

using base::AbsPath;
using Kind = StoreError::Kind;

namespace {

[[noreturn]] void refuse_errno(const std::string& what, int code) {
  Kind kind = code == ENOSPC || code == EDQUOT                   ? Kind::full
              : code == EACCES || code == EROFS || code == EPERM ? Kind::read_only
              : code == ENOENT                                   ? Kind::missing
                                                                 : Kind::failed;
  throw StoreError(kind, what + ": " + base::errno_text(code));
}

// mkdir -p; what is made gets mode 0700 whatever the umask.
void make_folder(const AbsPath& folder) {
  struct stat info{};
  if (::stat(folder.c_str(), &info) == 0) return;
  if (!folder.is_root()) make_folder(folder.parent());
  if (::mkdir(folder.c_str(), 0700) == 0) {
    if (::chmod(folder.c_str(), 0700) == 0) return;
  } else if (errno == EEXIST) {
    return;
  }
  refuse_errno("cannot make the folder " + base::escape(folder.str()), errno);
}

// The user may have linked a folder on the way to another disk; from here on it is one path.
AbsPath resolve(const AbsPath& folder) {
  std::unique_ptr<char, decltype(&std::free)> real(::realpath(folder.c_str(), nullptr), &std::free);
  auto path = real ? AbsPath::parse(real.get()) : std::nullopt;
  if (!path) refuse_errno("cannot open the folder " + base::escape(folder.str()), errno);
  return *path;
}

void check_folder(const AbsPath& folder) {
  struct stat info{};
  if (::lstat(folder.c_str(), &info) != 0) refuse_errno("cannot open the folder " + base::escape(folder.str()), errno);
  if (!S_ISDIR(info.st_mode) || info.st_uid != ::geteuid() || (info.st_mode & 0077) != 0) {
    throw StoreError(Kind::unsafe, base::escape(folder.str()) + " is not a folder that only you can open",
                     "`chmod 700` it if it is yours; agentbox keeps its records there");
  }
}

enum class Found { yes, no };

Found check_file(const AbsPath& file) {
  struct stat info{};
  if (::lstat(file.c_str(), &info) != 0) {
    if (errno == ENOENT) return Found::no;
    refuse_errno("cannot look at " + record_at(file), errno);
  }
  const char* why = S_ISLNK(info.st_mode)        ? "it is a symbolic link"
                    : !S_ISREG(info.st_mode)     ? "it is not a regular file"
                    : info.st_uid != ::geteuid() ? "it belongs to another user"
                    : (info.st_mode & 0022) != 0 ? "others may write it"
                                                 : nullptr;
  if (why == nullptr) return Found::yes;
  throw StoreError(Kind::unsafe, "cannot trust " + record_at(file) + ": " + why,
                   "look what it is; agentbox begins a new one when it is moved away");
}

// SQLite opens for reading what it may not write, and then gives its files beside it the same mode: with those left
// behind nobody could write when the record itself was mended.
void check_writable(const AbsPath& file) {
  for (const AbsPath& needed : {file.parent(), file}) {
    if (::faccessat(AT_FDCWD, needed.c_str(), W_OK, AT_EACCESS) == 0) continue;
    const int error = errno;
    if (error == EACCES || error == EPERM || error == EROFS) {
      throw StoreError(Kind::read_only, "cannot use " + record_at(file) + ": it may only be read");
    }
    refuse_errno("cannot look at " + base::escape(needed.str()), error);
  }
}

// What a reader, or an earlier version, has left so.
void make_writable(const AbsPath& beside) {
  struct stat info{};
  if (::lstat(beside.c_str(), &info) != 0 || (info.st_mode & 0600) == 0600) return;
  if (::chmod(beside.c_str(), 0600) != 0) refuse_errno("cannot write " + base::escape(beside.str()), errno);
}

// SQLite would give it the umask's mode, and would follow a link.
void make_file(const AbsPath& file) {
  base::UniqueFd made(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!made && errno == EEXIST) return;
  if (!made || ::fchmod(made.get(), 0600) != 0) refuse_errno("cannot make " + record_at(file), errno);
}

}  // namespace

AbsPath settle_place(const AbsPath& file, Store::Access access) {
  const bool may_make = access == Store::Access::write;
  if (may_make) make_folder(file.parent());
  AbsPath folder = resolve(file.parent());
  check_folder(folder);
  AbsPath settled = folder / file.name();
  if (check_file(settled) == Found::no) {
    if (!may_make) {
      throw StoreError(Kind::missing, "there is no record yet at " + base::escape(file.str()),
                       "it begins with the first room that asks for something");
    }
    make_file(settled);
    check_file(settled);
  }
  // SQLite takes them for its own wherever it finds them.
  if (may_make) check_writable(settled);
  for (const char* name : {"-wal", "-shm"}) {
    const AbsPath beside = folder / (std::string(file.name()) + name);
    check_file(beside);
    if (may_make) make_writable(beside);
  }
  return settled;
}

}  // namespace agentbox::store
