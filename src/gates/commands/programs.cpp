#include "agentbox/gates/commands/programs.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <deque>
#include <filesystem>
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
#include "agentbox/base/join.hpp"
#include "agentbox/base/sha256.hpp"
#include "agentbox/policy/ruling.hpp"

namespace agentbox::gates::commands {

using base::AbsPath;
using base::UniqueFd;
using Writable = policy::Program::Writable;
using Why = NotMeasured::Why;

namespace {

// What is larger than any program is none.
constexpr off_t most_bytes = 1 << 30;
// At once. Some hundredths of a second: then others of the loop have their turn.
constexpr std::int64_t piece = 8 << 20;
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
  // A lease that somebody in the room holds on it (fcntl(2)) is not waited for: EAGAIN, it can't be read.
  return UniqueFd(::open(in_proc(place).c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
}

bool is_executable(const UniqueFd& file) {
  return ::faccessat(AT_FDCWD, in_proc(file).c_str(), X_OK, AT_EACCESS) == 0;
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

FileHash::State FileHash::go_on() {
  std::vector<std::byte> buffer(256 * 1024);
  for (const std::int64_t end = done_ + piece; done_ < end;) {
    const ssize_t count = ::pread(file_.get(), buffer.data(), buffer.size(), done_);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 || done_ + count > size_) return State::finished;
    if (count == 0) {
      if (done_ == size_) digest_ = hash_.digest();
      return State::finished;
    }
    hash_.update(std::span(buffer).first(static_cast<std::size_t>(count)));
    done_ += count;
  }
  return State::unfinished;
}

std::string within_reach(const std::vector<std::string>& argv, std::span<const AbsPath> writable) {
  const auto is_there = [&](const std::string& path) {
    const auto named = AbsPath::parse(path);
    return named && std::ranges::any_of(writable, [&](const AbsPath& root) { return named->is_within(root); });
  };
  enum class Start : std::uint8_t { sure, maybe };
  const auto judge = [&](std::string_view text, Start start) -> std::string {
    const std::string path = std::filesystem::path(text).lexically_normal().string();
    std::error_code error;
    const std::string leads = std::filesystem::weakly_canonical(path, error).string();
    if (is_there(path) || is_there(leads)) return base::escape(path) + " lies where the agent can change it";
    // What can't be told is no answer: a loop of links, a folder that can't be searched.
    if (error && start == Start::sure) return base::escape(path) + " can't be followed: " + error.message();
    return {};
  };
  for (const std::string& word : argv) {
    // It runs in "/".
    if (std::string problem = judge("/" + word, Start::maybe); !problem.empty()) return problem;
    // A path may begin at each slash: -C/x, --rc:/x, CONF=a:/x, ". /x && y". And end before the word does.
    for (std::size_t at = 0; (at = word.find('/', at)) != std::string::npos; ++at) {
      const std::string_view rest = std::string_view(word).substr(at);
      const Start start = at == 0 || word[at - 1] == '=' ? Start::sure : Start::maybe;
      for (std::string_view path : {rest, rest.substr(0, rest.find_first_of(" \t\n:;,&|<>()'\"`"))}) {
        if (std::string problem = judge(path, start); !problem.empty()) return problem;
      }
    }
  }
  return {};
}

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
  auto begun = begin(word);
  if (!begun) return std::unexpected(std::move(begun.error()));
  while (begun->hash && begun->hash->go_on() == FileHash::State::unfinished) {
  }
  return finish(*std::move(begun));
}

std::expected<HostPrograms::Measuring, NotMeasured> HostPrograms::begin(const std::string& word) {
  if (!policy::is_program_name(word)) {
    return failed(Why::not_found, "a program is named by a bare name or by an absolute path");
  }
  if (word.starts_with('/')) {
    const auto named = AbsPath::parse(word);
    return named ? begin_file(*named) : failed(Why::not_found, "no path is like this");
  }
  for (const AbsPath& folder : folders_) {
    const auto named = base::join(folder, word);
    if (!named) continue;
    auto found = begin_file(*named);
    // What can't be executed there does not hide a program of a later folder, as execvp(3) has it.
    if (found) return found;
  }
  return failed(Why::not_found, "the host has no program '" + base::escape(word) + "' in " + search_path_);
}

std::expected<HostPrograms::Measuring, NotMeasured> HostPrograms::begin_file(const AbsPath& path) {
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
  Measuring begun;
  Measured& result = begun.measured;
  result.program = {
      .path = *real, .device = info.st_dev, .inode = info.st_ino, .sha256 = {}, .writable = resolved->writable};
  result.form = form_of(file);
  result.rights = rights_of(file, info);
  begun.identity = {info.st_dev, info.st_ino, info.st_size, info.st_ctim.tv_sec, info.st_ctim.tv_nsec};
  if (auto known = hashes_.find(begun.identity); known != hashes_.end()) {
    result.program.sha256 = known->second;
  } else {
    begun.hash.emplace(std::move(file), info.st_size);
  }
  return begun;
}

std::expected<Measured, NotMeasured> HostPrograms::finish(Measuring begun) {
  Measured& result = begun.measured;
  if (!begun.hash) return std::move(result);
  const std::optional<std::string>& hash = begun.hash->digest();
  if (!hash) return failed(Why::changed, base::escape(result.program.path.str()) + " changes while it is read");
  result.program.sha256 = *hash;
  // A change within the same tick of the clock would leave the ctime as it is.
  if (hashes_.size() >= most_remembered) hashes_.clear();
  if (std::get<3>(begun.identity) + 2 < std::time(nullptr)) hashes_.emplace(begun.identity, *hash);
  return std::move(result);
}

namespace {

std::unexpected<NotMeasured> changed(const policy::Program& program) {
  return failed(Why::changed, base::escape(program.path.str()) + " has changed since the question");
}

}  // namespace

std::expected<FileHash, NotMeasured> HostPrograms::begin_again(const policy::Program& program) {
  struct stat info{};
  UniqueFd file = open_regular(program.path.str(), info);
  if (!file || !is_executable(file)) return changed(program);
  if (info.st_dev != program.device || info.st_ino != program.inode || info.st_size > most_bytes) {
    return changed(program);
  }
  return FileHash(std::move(file), info.st_size);
}

std::expected<UniqueFd, NotMeasured> HostPrograms::finish_again(FileHash hash, const policy::Program& program) {
  if (!hash.digest() || *hash.digest() != program.sha256) return changed(program);
  return hash.take_file();
}

std::expected<UniqueFd, NotMeasured> HostPrograms::open_again(const policy::Program& program) {
  auto hash = begin_again(program);
  if (!hash) return std::unexpected(std::move(hash.error()));
  while (hash->go_on() == FileHash::State::unfinished) {
  }
  return finish_again(*std::move(hash), program);
}

}  // namespace agentbox::gates::commands
