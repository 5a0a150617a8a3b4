#include "places.hpp"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"

namespace agentbox::gates::commands {

using base::AbsPath;
using base::UniqueFd;

namespace {

constexpr int most_tries = 100;

}  // namespace

Places::Places(const std::vector<Root>& roots, std::vector<AbsPath> hidden) : hidden_(std::move(hidden)) {
  for (const Root& root : roots) {
    open_how how{.flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .mode = 0, .resolve = RESOLVE_NO_SYMLINKS};
    UniqueFd directory(static_cast<int>(::syscall(SYS_openat2, AT_FDCWD, root.path.c_str(), &how, sizeof how)));
    // A grant can be a single file: no place to run anything in.
    if (!directory && errno == ENOTDIR) continue;
    if (!directory) throw base::SystemError(errno, "cannot open " + base::escape(root.path.str()));
    roots_.push_back({root, std::move(directory)});
  }
  // The longest root that holds a path is the one that counts.
  std::ranges::stable_sort(roots_, std::ranges::greater{}, [](const Opened& one) { return one.root.path.depth(); });
}

bool Places::is_writable(const AbsPath& path) const {
  auto root = std::ranges::find_if(roots_, [&](const Opened& one) { return path.is_within(one.root.path); });
  return root != roots_.end() && root->root.access == Root::Access::write;
}

std::expected<Place, std::string> Places::open(const AbsPath& directory) const {
  const std::string name = base::escape(directory.str());
  auto root = std::ranges::find_if(roots_, [&](const Opened& one) { return directory.is_within(one.root.path); });
  if (root == roots_.end() ||
      std::ranges::any_of(hidden_, [&](const AbsPath& hidden) { return directory.is_within(hidden); })) {
    return std::unexpected("host commands run in the workspace or a granted folder, and " + name +
                           " is neither: change the directory and try again");
  }
  std::string relative(directory.relative_to(root->root.path));
  if (relative.empty()) relative = ".";
  open_how how{.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
               .mode = 0,
               .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_BENEATH};
  UniqueFd fd;
  int left = most_tries;
  do {  // EAGAIN: something was renamed meanwhile, and the kernel can't tell whether it led out
    fd.reset(static_cast<int>(::syscall(SYS_openat2, root->directory.get(), relative.c_str(), &how, sizeof how)));
  } while (!fd && (errno == EINTR || errno == EAGAIN) && --left > 0);
  if (!fd && errno == ELOOP) {
    return std::unexpected("a symbolic link lies on the way to " + name + ": use the real path (`pwd -P`)");
  }
  struct stat info{};
  if (!fd || ::fstat(fd.get(), &info) != 0) {
    return std::unexpected("the host has no directory " + name + ": " + base::errno_text(errno));
  }
  return Place{directory, root->root.path, std::move(fd), info.st_dev, info.st_ino};
}

}  // namespace agentbox::gates::commands
