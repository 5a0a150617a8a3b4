#include "agentbox/gates/commands/programs.hpp"

#include <array>
#include <cerrno>
#include <ctime>
#include <deque>
#include <optional>
#include <span>
#include <utility>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/base/sha256.hpp"
#include "agentbox/policy/ruling.hpp"

namespace agentbox::gates::commands {

using base::AbsPath;
using base::UniqueFd;
using Writable = policy::Program::Writable;
using Why = NotMeasured::Why;

namespace {

// Hashing happens in the event loop: what is larger than any program must not hold it up.
constexpr off_t most_bytes = 256 << 20;
constexpr int most_links = 40;  // as the kernel
constexpr std::size_t most_remembered = 256;

std::unexpected<NotMeasured> failed(Why why, std::string text) {
  return std::unexpected(NotMeasured{why, std::move(text)});
}

std::string in_proc(const UniqueFd& fd) {
  return "/proc/self/fd/" + std::to_string(fd.get());
}

// Could this user change it? Its owner can always give himself the right. Not on a read-only file system.
bool is_writable(const char* path, const struct stat& info) {
  if (::faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0) return true;
  return errno != EROFS && info.st_uid == ::geteuid();
}

struct Resolved {
  std::string path;  // without a link
  Writable writable = Writable::no;
};

// Follows every link by itself, so as to judge each directory on the way. Nothing when something is missing.
std::optional<Resolved> resolve(const AbsPath& path) {
  Resolved result;
  std::deque<std::string> left;
  for (std::string_view part : path.components()) left.emplace_back(part);
  int links = 0;
  while (!left.empty()) {
    const std::string directory = result.path.empty() ? "/" : result.path;
    struct stat info{};
    if (::stat(directory.c_str(), &info) != 0) return std::nullopt;
    if (is_writable(directory.c_str(), info)) result.writable = Writable::yes;
    std::string part = std::move(left.front());
    left.pop_front();
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      result.path.resize(result.path.empty() ? 0 : result.path.rfind('/'));
      continue;
    }
    std::string next = result.path + "/" + part;
    std::array<char, 4096> target{};
    ssize_t size = ::readlink(next.c_str(), target.data(), target.size());
    if (size < 0 && errno != EINVAL) return std::nullopt;
    if (size < 0) {
      result.path = std::move(next);
      continue;
    }
    if (++links > most_links || static_cast<std::size_t>(size) == target.size()) return std::nullopt;
    std::string_view text(target.data(), static_cast<std::size_t>(size));
    if (text.starts_with('/')) result.path.clear();
    std::deque<std::string> parts;
    for (std::size_t at = 0; at <= text.size();) {
      std::size_t end = std::min(text.find('/', at), text.size());
      parts.emplace_back(text.substr(at, end - at));
      at = end + 1;
    }
    left.insert(left.begin(), parts.begin(), parts.end());
  }
  return result;
}

// First without opening it for anything: opening a FIFO or a device does something already.
UniqueFd open_regular(const std::string& path, struct stat& info) {
  open_how how{.flags = O_PATH | O_CLOEXEC, .mode = 0, .resolve = RESOLVE_NO_SYMLINKS};
  UniqueFd place(static_cast<int>(::syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof how)));
  if (!place || ::fstat(place.get(), &info) != 0) return {};
  if (!S_ISREG(info.st_mode)) {
    errno = EACCES;
    return {};
  }
  return UniqueFd(::open(in_proc(place).c_str(), O_RDONLY | O_CLOEXEC));
}

bool is_executable(const UniqueFd& file) {
  return ::faccessat(AT_FDCWD, in_proc(file).c_str(), X_OK, AT_EACCESS) == 0;
}

// Nothing when it can't be read, or is longer than it said.
std::optional<std::string> hash_of(const UniqueFd& file, off_t size) {
  base::Sha256 hash;
  std::vector<std::byte> buffer(256 * 1024);
  off_t done = 0;
  for (;;) {
    ssize_t count = ::pread(file.get(), buffer.data(), buffer.size(), done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 || done + count > size) return std::nullopt;
    if (count == 0) return hash.digest();
    hash.update(std::span(buffer).first(static_cast<std::size_t>(count)));
    done += count;
  }
}

Measured::Form form_of(const UniqueFd& file) {
  std::array<char, 2> mark{};
  return ::pread(file.get(), mark.data(), mark.size(), 0) == 2 && mark[0] == '#' && mark[1] == '!'
             ? Measured::Form::script
             : Measured::Form::binary;
}

Measured::Rights rights_of(const UniqueFd& file, const struct stat& info) {
  bool others =
      (info.st_mode & (S_ISUID | S_ISGID)) != 0 || ::fgetxattr(file.get(), "security.capability", nullptr, 0) > 0;
  return others ? Measured::Rights::others : Measured::Rights::owners;
}

}  // namespace

HostPrograms::HostPrograms(std::vector<AbsPath> folders) : folders_(std::move(folders)) {
  for (const AbsPath& folder : folders_) search_path_ += (search_path_.empty() ? "" : ":") + folder.str();
}

std::vector<AbsPath> HostPrograms::usual_folders(std::string_view user) {
  std::vector<AbsPath> folders;
  auto add = [&folders](const std::string& path) {
    auto folder = AbsPath::parse(path);
    if (folder) folders.push_back(*std::move(folder));
  };
  if (::access("/run/current-system/sw/bin", X_OK) == 0) {
    add("/run/wrappers/bin");
    if (!user.empty() && user.find('/') == std::string_view::npos) {
      add("/etc/profiles/per-user/" + std::string(user) + "/bin");
    }
    add("/run/current-system/sw/bin");
  }
  for (const char* folder : {"/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"}) {
    add(folder);
  }
  return folders;
}

std::expected<Measured, NotMeasured> HostPrograms::measure(const std::string& word) {
  if (!policy::is_program_name(word)) {
    return failed(Why::not_found, "a program is named by a bare name or by an absolute path");
  }
  if (word.starts_with('/')) return measure_file(*AbsPath::parse(word));
  for (const AbsPath& folder : folders_) {
    auto found = measure_file(folder / word);
    // What can't be executed there does not hide a program of a later folder, as execvp(3) has it.
    if (found || found.error().why == Why::changed) return found;
  }
  return failed(Why::not_found, "the host has no program '" + base::escape(word) + "' in " + search_path_);
}

std::expected<Measured, NotMeasured> HostPrograms::measure_file(const AbsPath& path) {
  std::optional<Resolved> resolved = resolve(path);
  const std::string name = base::escape(path.str());
  if (!resolved) return failed(Why::not_found, "the host has no program " + name);
  auto real = AbsPath::parse(resolved->path);
  struct stat info{};
  UniqueFd file = real ? open_regular(real->str(), info) : UniqueFd();
  if (!file) return failed(Why::not_executable, name + " can't be read, so nobody could say what would run");
  if (!is_executable(file)) return failed(Why::not_executable, name + " is not executable");
  if (info.st_size > most_bytes) return failed(Why::not_executable, name + " is larger than a program");
  if (is_writable(real->c_str(), info)) resolved->writable = Writable::yes;
  Measured result;
  result.program = {
      .path = *real, .device = info.st_dev, .inode = info.st_ino, .sha256 = {}, .writable = resolved->writable};
  result.form = form_of(file);
  result.rights = rights_of(file, info);
  const Identity identity{info.st_dev, info.st_ino, info.st_size, info.st_ctim.tv_sec, info.st_ctim.tv_nsec};
  if (auto known = hashes_.find(identity); known != hashes_.end()) {
    result.program.sha256 = known->second;
    return result;
  }
  std::optional<std::string> hash = hash_of(file, info.st_size);
  if (!hash) return failed(Why::changed, name + " changes while it is read");
  result.program.sha256 = *hash;
  // A change within the same tick of the clock would leave the ctime as it is.
  if (hashes_.size() >= most_remembered) hashes_.clear();
  if (info.st_ctim.tv_sec + 2 < std::time(nullptr)) hashes_.emplace(identity, *std::move(hash));
  return result;
}

std::expected<UniqueFd, NotMeasured> HostPrograms::open_again(const policy::Program& program) {
  struct stat info{};
  UniqueFd file = open_regular(program.path.str(), info);
  const std::string changed = base::escape(program.path.str()) + " has changed since the question";
  if (!file || !is_executable(file)) return failed(Why::changed, changed);
  if (info.st_dev != program.device || info.st_ino != program.inode || info.st_size > most_bytes) {
    return failed(Why::changed, changed);
  }
  std::optional<std::string> hash = hash_of(file, info.st_size);
  if (!hash || *hash != program.sha256) return failed(Why::changed, changed);
  return file;
}

}  // namespace agentbox::gates::commands
