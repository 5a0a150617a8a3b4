#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <filesystem>

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/launch/sessions.hpp"

#include "process.hpp"

namespace agentbox::launch {

namespace {

using base::AbsPath;
using base::SystemError;
using base::UniqueFd;

constexpr std::size_t file_limit = 256 * 1024;

// Ours and nobody else's: a folder in /tmp might have been put there by another user.
bool is_private_folder(const std::string& path) {
  struct stat info{};
  return ::lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == ::geteuid() &&
         (info.st_mode & 0077) == 0;
}

void make_folder(const AbsPath& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    throw SystemError(errno, "cannot make " + base::escape(path.str()));
  }
  if (!is_private_folder(path.str())) {
    throw SystemError(0, base::escape(path.str()) + " is not a folder that only you can open",
                      "remove it, or `chmod 700` it if it is yours");
  }
}

std::string random_letters() {
  // No vowels and no look-alikes: an id is read aloud and typed.
  constexpr std::string_view letters = "bcdfghjkmnpqrstvwxz23456789";
  std::array<unsigned char, 5> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    throw SystemError(errno, "cannot get random bytes");
  }
  std::string text;
  for (unsigned char byte : bytes) text += letters[byte % letters.size()];
  return text;
}

// "pi" of "pi" and of "/home/me/pi.toml".
std::string short_name(std::string_view profile) {
  profile = profile.substr(profile.rfind('/') + 1);
  profile = profile.substr(0, profile.find(".toml"));
  std::string name;
  for (char c : profile.substr(0, 32)) {
    bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    name += plain ? c : '_';
  }
  return name.empty() ? "room" : name;
}

// A path or an argument need not be UTF-8, JSON must be.
std::string printable(const std::string& text) {
  return base::escape(text);
}

std::string to_json(const SessionInfo& info) {
  nlohmann::json json = {{"id", info.id},
                         {"kind", info.kind == SessionInfo::Kind::broker ? "broker" : "room"},
                         {"pid", info.pid},
                         {"start_time", info.start_time},
                         {"since", info.since},
                         {"profile", printable(info.profile)},
                         {"workspace", printable(info.workspace)}};
  json["command"] = nlohmann::json::array();
  for (const std::string& word : info.command) json["command"].push_back(printable(word));
  return json.dump() + "\n";
}

std::optional<SessionInfo> from_json(const std::string& text) {
  nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  try {
    return SessionInfo{.id = json.at("id"),
                       .kind = json.at("kind") == "broker" ? SessionInfo::Kind::broker : SessionInfo::Kind::room,
                       .pid = json.at("pid"),
                       .start_time = json.at("start_time"),
                       .since = json.at("since"),
                       .profile = json.at("profile"),
                       .workspace = json.at("workspace"),
                       .command = json.at("command")};
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    ssize_t count = ::write(fd, text.data(), text.size());
    if (count < 0) throw SystemError(errno, "cannot write the session's file");
    text.remove_prefix(static_cast<std::size_t>(count));
  }
}

void remove_folder(const AbsPath& folder) {
  std::error_code ignored;
  std::filesystem::remove_all(folder.str(), ignored);
}

// Held while a session's folder is made, and while dead ones are looked for: so a folder whose file is missing or not
// locked is a dead one's.
UniqueFd lock_folder(const AbsPath& runtime) {
  UniqueFd fd(::open(runtime.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd || ::flock(fd.get(), LOCK_EX) != 0) {
    throw SystemError(errno, "cannot lock " + base::escape(runtime.str()));
  }
  return fd;
}

// Nothing when the supervisor is dead, and then its folder is removed. The runtime folder is locked.
std::optional<SessionInfo> read_session(const AbsPath& folder) {
  UniqueFd fd(::open((folder / session_file).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd || ::flock(fd.get(), LOCK_SH | LOCK_NB) == 0) {
    remove_folder(folder);
    return std::nullopt;
  }
  std::string text(file_limit, '\0');
  ssize_t count = ::pread(fd.get(), text.data(), text.size(), 0);
  if (count <= 0) return std::nullopt;
  text.resize(static_cast<std::size_t>(count));
  return from_json(text);
}

}  // namespace

AbsPath runtime_folder() {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): one thread, and nobody sets variables
  const char* given = std::getenv("XDG_RUNTIME_DIR");
  std::optional<AbsPath> runtime = given != nullptr ? AbsPath::parse(given) : std::nullopt;
  AbsPath folder = runtime && is_private_folder(runtime->str())
                       ? *runtime / "agentbox"
                       : AbsPath() / ("tmp/agentbox-" + std::to_string(::geteuid()));
  make_folder(folder);
  return folder;
}

bool is_session_name(std::string_view name) noexcept {
  return !name.empty() && name.size() <= 32 && name.front() != '-' &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_") == std::string_view::npos;
}

Session::Session(const policy::Policy& policy, SessionInfo::Kind kind, const std::string& name) {
  info_.kind = kind;
  info_.pid = ::getpid();
  info_.start_time = stat_of(info_.pid).start_time;
  info_.since = ::time(nullptr);
  info_.profile = policy.profile;
  info_.workspace = policy.workspace.str();
  info_.command = policy.command;
  AbsPath runtime = runtime_folder();
  UniqueFd making = lock_folder(runtime);
  for (;;) {
    info_.id = name.empty() ? short_name(policy.profile) + "-" + random_letters() : name;
    folder_ = runtime / info_.id;
    // One that a dead session left goes.
    if (!name.empty() && is_private_folder(folder_.str()) && read_session(folder_)) {
      throw SystemError(0, "a session called " + name + " is running", "`agentbox ps` lists them");
    }
    if (::mkdir(folder_.c_str(), 0700) == 0) break;
    if (errno != EEXIST || !name.empty()) throw SystemError(errno, "cannot make " + base::escape(folder_.str()));
  }
  lock_.reset(::open((folder_ / session_file).c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock_ || ::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) {
    int error = errno;
    remove_folder(folder_);
    throw SystemError(error, "cannot make the session's file");
  }
  write_all(lock_.get(), to_json(info_));
}

Session::~Session() {
  remove_folder(folder_);
}

std::vector<SessionInfo> list_sessions() {
  std::vector<SessionInfo> sessions;
  std::error_code error;
  AbsPath runtime = runtime_folder();
  UniqueFd looking = lock_folder(runtime);
  for (const auto& entry : std::filesystem::directory_iterator(runtime.str(), error)) {
    auto folder = AbsPath::parse(entry.path().native());
    if (!folder || !is_private_folder(folder->str())) continue;
    if (auto session = read_session(*folder)) sessions.push_back(*std::move(session));
  }
  std::ranges::sort(sessions, {}, [](const SessionInfo& s) { return std::pair(s.start_time, s.id); });
  return sessions;
}

bool stop_session(const SessionInfo& session, int patience_ms) {
  UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, session.pid, 0)));
  // With the pidfd in hand: is it still the process that wrote the file, or another that got its number?
  if (!process || stat_of(session.pid).start_time != session.start_time) return false;
  auto signal = [&process](int number) {
    if (::syscall(SYS_pidfd_send_signal, process.get(), number, nullptr, 0) != 0 && errno != ESRCH) {
      throw SystemError(errno, "cannot signal the session's supervisor");
    }
  };
  pollfd wait{process.get(), POLLIN, 0};
  signal(SIGTERM);
  signal(SIGCONT);  // it may be stopped by Ctrl-Z
  if (::poll(&wait, 1, patience_ms) > 0) return true;
  signal(SIGKILL);
  if (::poll(&wait, 1, 5000) > 0) return true;
  throw SystemError(ETIMEDOUT, "the session's supervisor does not end");
}

}  // namespace agentbox::launch
