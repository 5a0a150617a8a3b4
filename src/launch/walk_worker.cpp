#include "walk_worker.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"

namespace agentbox::launch {

using base::AbsPath;
using base::UniqueFd;
using policy::FileKind;

namespace {

std::string below(const std::string& relative, std::string_view name) {
  std::string joined;
  joined.reserve(relative.size() + 1 + name.size());
  joined = relative;
  if (!joined.empty()) joined += '/';
  return joined += name;
}

}  // namespace

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
  child.memory = parent.memory.folder(name);
  if (child.memory && !child.memory.has_folders()) {
    // Nothing in it to be entered: it need not even be opened.
    std::optional<Seen> seen = see(parent.fd.get(), name.data());
    if (seen && remembering_.is_unchanged(*seen, child.memory)) return recall(child);
  }
  child.fd = open_child(parent, name.data(), child.relative);
  if (!child.fd) return;
  read(child);
  if (!child.is_done()) stack_.push_back(std::move(child));
}

UniqueFd Worker::open_child(const Directory& parent, const char* name, const std::string& relative) {
  UniqueFd fd = open_listing(parent.fd.get(), name, RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS);
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
  if (at && is_local(at.get())) {
    UniqueFd fd = open_listing(parent.fd.get(), name, RESOLVE_NO_SYMLINKS);
    if (fd) return fd;
  }
  board_.stop(fmt::format("{} is another file system, of a kind that is not searched", base::quote(relative)),
              fmt::format("hide {}, or start in it", base::quote(relative)));
  return {};
}

void Worker::read(Directory& directory) {
  Signs signs;
  if (!remembering_.is_on) {
    list(directory, signs);
    return judge(directory, std::move(signs));
  }
  // Before it is listed: what changes from now on gets a later stamp.
  std::optional<Seen> seen = see(directory.fd.get(), "");
  if (seen && directory.memory && remembering_.is_unchanged(*seen, directory.memory)) return recall(directory);
  DirectoryNote note;
  note.relative = directory.relative;
  if (seen && remembering_.allows(*seen)) note.stamp = seen->stamp;
  if (is_noting_) signs.note = &note;
  list(directory, signs);
  if (is_noting_) keep(std::move(note));
  signs.note = nullptr;
  judge(directory, std::move(signs));
}

// As if it had been listed: all that is decided is decided anew, of the same entries.
void Worker::recall(Directory& directory) {
  Signs signs;
  for (std::uint32_t i = 0; i < directory.memory.size(); ++i) {
    WalkMemory::Entry entry = directory.memory[i];
    consider(directory, signs, entry.name, entry.kind);
  }
  board_.count(directory.memory.all_entries(), 0);
  judge(directory, std::move(signs));
}

void Worker::list(Directory& directory, Signs& signs) {
  while (!board_.is_stopped()) {
    long count = listing_.fill(directory.fd.get());
    if (count < 0 && errno == ENOENT) break;  // removed while it was open
    if (count < 0) {
      board_.stop(fmt::format("{} cannot be read ({})",
                              directory.relative.empty() ? "its top" : base::quote(directory.relative),
                              base::errno_text(errno)));
      break;
    }
    if (count == 0) break;
    std::uint64_t entries = 0;
    FileKind kind{};
    while (const char* name = listing_.next(directory.fd.get(), kind)) {
      ++entries;
      if (kind != FileKind::missing) {
        consider(directory, signs, name, kind);
      } else if (signs.note != nullptr) {
        signs.note->stamp.reset();
      }
    }
    if (signs.note != nullptr) signs.note->all_entries += entries;
    board_.count(entries, entries);
  }
}

void Worker::keep(DirectoryNote note) {
  noted_bytes_ += sizeof note + note.relative.size() + note.packed().size();
  if (noted_bytes_ > WalkMemory::size_limit) {
    is_noting_ = false;
    notes.clear();
    return;
  }
  notes.push_back(std::move(note));
}

void Worker::consider(Directory& directory, Signs& signs, std::string_view name, FileKind kind) {
  const NameTable::Meaning* meaning = names_.find(name);
  bool is_directory = kind == FileKind::directory;
  if (meaning != nullptr) {
    signs.git |= meaning->git;
    signs.marker |= meaning->marker && !is_directory;
    signs.head |= meaning->head && !is_directory;
    signs.refs |= meaning->refs && (is_directory || kind == FileKind::symlink);  // git follows it
    signs.objects |= meaning->objects && kind == FileKind::symlink;
    if (meaning->kind != NameTable::Meaning::no_kind) {
      signs.kinds.push_back(meaning->kind);
      if (request_.everywhere && roots_count_in(directory)) {
        if (auto path = absolute(below(directory.relative, name))) kinds.push_back({*std::move(path), meaning->kind});
      }
    }
  }
  bool may_match = (meaning != nullptr && meaning->pattern) || filter_.may_match(name);
  // Whether it matters is not asked here: that depends on the directories above, which may change by themselves.
  if (signs.note != nullptr && (is_directory || may_match || meaning != nullptr)) signs.note->add(name, kind);
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

std::optional<AbsPath> Worker::absolute(const std::string& relative) {
  auto path = relative.empty() ? request_.top
                               : AbsPath::parse((request_.top.is_root() ? "" : request_.top.str()) + "/" + relative);
  if (!path) board_.stop("a path in it has more than 4095 bytes", "remove that folder");
  return path;
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

}  // namespace agentbox::launch
