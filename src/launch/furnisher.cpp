#include "furnisher.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fmt/format.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/gates/open_beneath.hpp"

#include "files.hpp"

namespace agentbox::launch {

namespace {

using base::AbsPath;
using base::SystemError;
using base::UniqueFd;
using policy::FileKind;

// Where what lies over hidden things comes from: an empty directory, and an empty file that nobody may open.
constexpr const char* mask_directory = "/run/agentbox/mask-directory";
constexpr const char* mask_file = "/run/agentbox/mask-file";
// A process may have 1,024 descriptors open by default; this many trees are in flight at once.
constexpr std::size_t batch_size = 512;

std::string shown(const AbsPath& path) {
  return base::escape(path.str());
}

// No component may be a symbolic link, the last one neither followed nor refused: what is opened is what was
// named.
UniqueFd open_named(int from, const std::string& path) {
  return gates::open_beneath(from, path.c_str(), O_PATH | O_NOFOLLOW, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
}

UniqueFd open_exactly(const AbsPath& path) {
  return open_named(AT_FDCWD, path.str());
}

std::uint64_t mount_id(const UniqueFd& fd) {
  struct statx info{};
  if (::statx(fd.get(), "", AT_EMPTY_PATH, STATX_MNT_ID, &info) != 0 || (info.stx_mask & STATX_MNT_ID) == 0) {
    throw SystemError(errno, "cannot tell which mount a directory belongs to", "Linux 5.8 or newer is needed");
  }
  return info.stx_mnt_id;
}

UniqueFd clone_tree(const UniqueFd& source) {
  return UniqueFd(static_cast<int>(
      ::syscall(SYS_open_tree, source.get(), "", AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)));
}

// Private, so that what the host mounts below the source later does not appear in the room without these
// attributes.
int set_attributes(const UniqueFd& tree, std::uint64_t attributes) {
  mount_attr attr{};
  attr.attr_set = attributes;
  attr.propagation = MS_PRIVATE;
  return static_cast<int>(
      ::syscall(SYS_mount_setattr, tree.get(), "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof attr));
}

std::uint64_t attributes_of(plan::Bind::Mode mode) {
  constexpr std::uint64_t never = MOUNT_ATTR_NOSUID;
  switch (mode) {
    case plan::Bind::Mode::read: return never | MOUNT_ATTR_NODEV | MOUNT_ATTR_RDONLY;
    case plan::Bind::Mode::write: return never | MOUNT_ATTR_NODEV;
    case plan::Bind::Mode::device: return never;
  }
  return never | MOUNT_ATTR_NODEV | MOUNT_ATTR_RDONLY;
}

void configure(const UniqueFd& context, const char* key, const std::string& value) {
  if (::syscall(SYS_fsconfig, context.get(), FSCONFIG_SET_STRING, key, value.c_str(), 0) != 0) {
    throw SystemError(errno, std::string("cannot set a tmpfs's ") + key);
  }
}

UniqueFd make_tmpfs(std::uint64_t size, std::uint32_t mode) {
  UniqueFd context(static_cast<int>(::syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC)));
  if (!context) throw SystemError(errno, "cannot make a tmpfs");
  configure(context, "size", std::to_string(size));
  configure(context, "mode", fmt::format("{:o}", mode));
  if (::syscall(SYS_fsconfig, context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    throw SystemError(errno, "cannot make a tmpfs");
  }
  UniqueFd tree(
      static_cast<int>(::syscall(SYS_fsmount, context.get(), FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)));
  if (!tree) throw SystemError(errno, "cannot make a tmpfs");
  return tree;
}

// The umask is 0: see prepare_room.
void write_new_file(const UniqueFd& parent, const std::string& name, const std::string& content, mode_t mode) {
  UniqueFd file(::openat(parent.get(), name.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, mode));
  if (!file) throw SystemError(errno, "cannot make " + base::escape(name) + " in the room");
  for (std::size_t done = 0; done < content.size();) {
    ssize_t count = ::write(file.get(), content.data() + done, content.size() - done);
    if (count < 0) throw SystemError(errno, "cannot write " + base::escape(name) + " in the room");
    done += static_cast<std::size_t>(count);
  }
}

std::span<const plan::Furnishing> first_batch(std::span<const plan::Furnishing> furnishings) {
  return furnishings.first(std::min(batch_size, furnishings.size()));
}

}  // namespace

void Furnisher::prepare_room() {
  ::umask(0);
  own_.insert(mount_id(open_exactly(AbsPath())));
  if (UniqueFd devices = open_exactly(AbsPath() / "dev")) own_.insert(mount_id(devices));  // bwrap's own tmpfs
  UniqueFd own = open_exactly(AbsPath() / "run/agentbox");
  if (!own || !own_.contains(mount_id(own)) || ::mkdirat(own.get(), "mask-directory", 0555) != 0) {
    throw SystemError(errno, "cannot prepare the room");
  }
  write_new_file(own, "mask-file", "", 0);
  write_new_file(own, "init", "", 0);
}

void Furnisher::clone_ahead(std::span<const plan::Furnishing> furnishings, const AbsPath& init) {
  init_ = clone({.source = init, .target = {}, .kind = FileKind::regular, .mode = plan::Bind::Mode::read});
  ahead_ = clone_batch(first_batch(furnishings));
}

// All sources of a batch are cloned on the host's side, then everything is placed on the room's, in order.
void Furnisher::furnish(std::span<const plan::Furnishing> furnishings) {
  folder_ = {};  // a room that runs may have moved it
  while (!furnishings.empty()) {
    std::span<const plan::Furnishing> batch = first_batch(furnishings);
    if (ahead_.empty()) {
      namespaces_.enter_host();
      ahead_ = clone_batch(batch);
      namespaces_.enter_room();
    }
    for (std::size_t i = 0; i < batch.size(); ++i) carry_out(batch[i], ahead_[i]);
    ahead_.clear();
    furnishings = furnishings.subspan(batch.size());
  }
}

std::vector<UniqueFd> Furnisher::clone_batch(std::span<const plan::Furnishing> batch) {
  std::vector<UniqueFd> trees(batch.size());
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (const auto* bind = std::get_if<plan::Bind>(&batch[i])) trees[i] = clone(*bind);
  }
  return trees;
}

void Furnisher::carry_out(const plan::Furnishing& furnishing, UniqueFd& tree) {
  if (const auto* bind = std::get_if<plan::Bind>(&furnishing)) {
    place(tree, bind->target, bind->kind);
    tree.reset();
    return;
  }
  std::visit(
      [this](const auto& other) {
        if constexpr (!std::is_same_v<std::decay_t<decltype(other)>, plan::Bind>) (*this)(other);
      },
      furnishing);
}

UniqueFd Furnisher::clone(const plan::Bind& bind) {
  UniqueFd source = open_exactly(bind.source);
  struct stat info{};
  if (!source || ::fstat(source.get(), &info) != 0) throw SystemError(errno, "cannot open " + shown(bind.source));
  if (kind_of_mode(info.st_mode) != bind.kind) {
    throw SystemError(0, shown(bind.source) + " was replaced while the room was built", "try again");
  }
  UniqueFd tree = clone_tree(source);
  if (!tree || set_attributes(tree, attributes_of(bind.mode)) != 0) {
    throw SystemError(errno, "cannot make a mount of " + shown(bind.source),
                      "`agentbox doctor` tells what this kernel lacks");
  }
  return tree;
}

void Furnisher::place(const UniqueFd& tree, const AbsPath& target, FileKind kind) {
  UniqueFd at;
  bool is_beside = folder_.is_own && !target.is_root() && folder_.path == target.parent();
  if (!is_beside) at = open_exactly(target);
  if (!is_beside && !at && errno != ENOENT) throw SystemError(errno, "cannot open " + shown(target) + " in the room");
  std::string name;
  if (!at) {
    name = target.name();
    make_target(open_folder_of(target), target, kind);
  }
  int onto = at ? at.get() : folder_.fd.get();
  unsigned flags = MOVE_MOUNT_F_EMPTY_PATH | (at ? MOVE_MOUNT_T_EMPTY_PATH : 0U);
  if (::syscall(SYS_move_mount, tree.get(), "", onto, name.c_str(), flags) != 0) {
    throw SystemError(errno, "cannot place " + shown(target) + " in the room");
  }
  if (folder_.path.is_within(target)) folder_ = {};  // covered
}

const Furnisher::Folder& Furnisher::open_folder_of(const AbsPath& target) {
  AbsPath path = target.parent();
  if (folder_.is_own && folder_.path == path) return folder_;
  UniqueFd fd = open_exactly(path);
  if (!fd && (errno != ENOENT || path.is_root()))
    throw SystemError(errno, "cannot open " + shown(path) + " in the room");
  if (!fd) {
    const Folder& above = open_folder_of(path);
    if (!above.is_own) {
      throw SystemError(ENOENT, "cannot place " + shown(target) + ", since " + shown(path) + " is gone", "try again");
    }
    std::string name(path.name());
    if (::mkdirat(above.fd.get(), name.c_str(), 0755) != 0) {
      throw SystemError(errno, "cannot make " + shown(path) + " in the room");
    }
    fd = open_named(above.fd.get(), name);
  }
  bool is_own = own_.contains(mount_id(fd));
  folder_ = {.path = std::move(path), .fd = std::move(fd), .is_own = is_own};
  return folder_;
}

void Furnisher::make_target(const Folder& folder, const AbsPath& target, FileKind kind) {
  if (!folder.is_own) {
    throw SystemError(ENOENT, "cannot place " + shown(target), "it was removed while the room was built: try again");
  }
  std::string name(target.name());
  int result = kind == FileKind::directory ? ::mkdirat(folder.fd.get(), name.c_str(), 0755)
                                           : ::mknodat(folder.fd.get(), name.c_str(), S_IFREG, 0);
  if (result != 0 && errno != EEXIST) throw SystemError(errno, "cannot make " + shown(target) + " in the room");
}

void Furnisher::operator()(const plan::MakeTmpfs& furnishing) {
  UniqueFd tree = make_tmpfs(furnishing.size, furnishing.mode);
  place(tree, furnishing.target, FileKind::directory);
  own_.insert(mount_id(tree));
}

void Furnisher::operator()(const plan::MakeFile& furnishing) {
  const Folder& folder = open_folder_of(furnishing.target);
  if (!folder.is_own) throw SystemError(0, "cannot make " + shown(furnishing.target) + " on a folder of the host");
  write_new_file(folder.fd, std::string(furnishing.target.name()), furnishing.content, furnishing.mode);
}

void Furnisher::operator()(const plan::MakeLink& furnishing) {
  const Folder& folder = open_folder_of(furnishing.target);
  if (!folder.is_own) throw SystemError(0, "cannot make " + shown(furnishing.target) + " on a folder of the host");
  if (::symlinkat(furnishing.to.c_str(), folder.fd.get(), std::string(furnishing.target.name()).c_str()) != 0) {
    throw SystemError(errno, "cannot make the link " + shown(furnishing.target) + " in the room");
  }
}

void Furnisher::operator()(const plan::Mask& furnishing) {
  bool directory = furnishing.kind == FileKind::directory;
  UniqueFd source(::open(directory ? mask_directory : mask_file, O_PATH | O_NOFOLLOW | O_CLOEXEC));
  UniqueFd tree = clone_tree(source);
  if (!tree || set_attributes(tree, attributes_of(plan::Bind::Mode::read)) != 0) {
    throw SystemError(errno, "cannot make what hides " + shown(furnishing.target));
  }
  place(tree, furnishing.target, furnishing.kind);
}

void Furnisher::operator()(const plan::Ghost& furnishing) {
  UniqueFd parent = open_exactly(furnishing.target.parent());
  std::string name(furnishing.target.name());
  // EEXIST: another room in this workspace was faster; then it is that one's empty directory.
  if (!parent || (::mkdirat(parent.get(), name.c_str(), 0755) != 0 && errno != EEXIST)) {
    throw SystemError(errno, "cannot reserve " + shown(furnishing.target));
  }
  (*this)(plan::Mask{furnishing.target, FileKind::directory});
}

void Furnisher::operator()(const plan::Seal& furnishing) {
  UniqueFd at = open_exactly(furnishing.target);
  mount_attr attr{};
  attr.attr_set = MOUNT_ATTR_RDONLY;
  if (!at || ::syscall(SYS_mount_setattr, at.get(), "", AT_EMPTY_PATH, &attr, sizeof attr) != 0) {
    throw SystemError(errno, "cannot make " + shown(furnishing.target) + " read-only");
  }
}

void Furnisher::place_init() {
  place(init_, *AbsPath::parse(plan::init_path), FileKind::regular);
  init_.reset();
}

}  // namespace agentbox::launch
