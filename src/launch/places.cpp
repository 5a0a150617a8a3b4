#include "places.hpp"

#include <array>
#include <cerrno>

#include <sys/stat.h>
#include <unistd.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"

namespace agentbox::launch {

using base::AbsPath;
using base::SystemError;

void make_private_folders(const AbsPath& path, std::vector<AbsPath>* made) {
  struct stat info{};
  if (::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return;
  if (!path.is_root()) make_private_folders(path.parent(), made);
  if (::mkdir(path.c_str(), 0700) == 0) {
    if (made != nullptr) made->push_back(path);
  } else if (errno != EEXIST) {
    throw SystemError(errno, "cannot make " + base::escape(path.str()));
  }
}

void remove_empty_folders(const std::vector<AbsPath>& made) noexcept {
  for (auto path = made.rbegin(); path != made.rend(); ++path) ::rmdir(path->c_str());
}

AbsPath state_folder(const policy::HostFacts& facts) {
  AbsPath folder = facts.state_home / "agentbox";
  make_private_folders(folder);
  struct stat info{};
  if (::lstat(folder.c_str(), &info) != 0 || !S_ISDIR(info.st_mode) || info.st_uid != ::geteuid() ||
      (info.st_mode & 0077) != 0) {
    throw SystemError(0, base::escape(folder.str()) + " is not a folder that only you can open",
                      "`chmod 700` it if it is yours; agentbox keeps its records there");
  }
  return folder;
}

namespace {

// Meson gives the folder relative to the prefix, or absolute where a packager has it so.
AbsPath libexec(const AbsPath& prefix) {
  constexpr std::string_view text = AGENTBOX_LIBEXEC_FROM_PREFIX;
  return text.starts_with('/') ? *AbsPath::parse(text) : prefix / text;
}

AbsPath own_program(const std::string& name) {
  std::array<char, 4096> buffer{};
  ssize_t size = ::readlink("/proc/self/exe", buffer.data(), buffer.size());
  auto self = size > 0 ? AbsPath::parse({buffer.data(), static_cast<std::size_t>(size)}) : std::nullopt;
  if (!self) throw SystemError(errno, "cannot find out where agentbox itself is", "is /proc mounted?");
  AbsPath folder = self->parent().parent();
  for (const AbsPath& candidate : {libexec(folder) / name, folder / ("inside/" + name)}) {
    struct stat info{};
    if (::lstat(candidate.c_str(), &info) != 0) continue;
    // A group of one's own may write (umask 002 on systems with private groups).
    mode_t foreign = info.st_gid == ::getegid() ? 0002 : 0022;
    if (!S_ISREG(info.st_mode) || (info.st_uid != 0 && info.st_uid != ::geteuid()) || (info.st_mode & foreign) != 0) {
      throw SystemError(0, base::escape(candidate.str()) + " could have been changed by another user",
                        "it must belong to root or to you, and be writable by nobody else");
    }
    return candidate;
  }
  throw SystemError(ENOENT, "cannot find " + name + " near " + base::escape(self->str()),
                    "is the installation complete?");
}

}  // namespace

AbsPath init_program() {
  return own_program("agentbox-init");
}
AbsPath room_program() {
  return own_program("agentbox-room");
}

}  // namespace agentbox::launch
