#include "look_disk.hpp"

#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>

#include "files.hpp"

namespace agentbox::launch {

using policy::FileFact;
using policy::FileKind;

namespace {

FileFact look_now(const base::AbsPath& path) {
  struct statx seen{};
  // DONT_SYNC: a server that is away must not hold the launch. NO_AUTOMOUNT: looking must not mount.
  constexpr int how = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC;
  if (::statx(AT_FDCWD, path.c_str(), how, STATX_TYPE | STATX_MODE | STATX_UID, &seen) != 0) {
    // ENAMETOOLONG: no such entry can be made either. All other errors mean that something is there or may be
    // there.
    bool absent = errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG;
    return {.kind = absent ? FileKind::missing : FileKind::unreadable};
  }
  FileFact fact{.kind = kind_of_mode(seen.stx_mode), .uid = seen.stx_uid, .mode = seen.stx_mode & 07777u};
  if (fact.kind != FileKind::symlink) return fact;
  char target[PATH_MAX];
  ssize_t length = ::readlink(path.c_str(), target, sizeof target);
  if (length < 0 || length == sizeof target) return {.kind = FileKind::unreadable};  // it changed under us
  fact.target.assign(target, static_cast<std::size_t>(length));
  return fact;
}

}  // namespace

FileFact HostDisk::look(const base::AbsPath& path) {
  auto [entry, is_new] = seen_.try_emplace(path);
  if (is_new) entry->second = look_now(path);
  return entry->second;
}

policy::Snapshot HostDisk::snapshot() const {
  policy::Snapshot snapshot;
  for (const auto& [path, fact] : seen_) {
    if (fact.kind != FileKind::missing) snapshot.emplace(path, fact);
  }
  return snapshot;
}

}  // namespace agentbox::launch
