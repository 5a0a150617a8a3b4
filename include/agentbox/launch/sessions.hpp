#pragma once

// One folder for each running room, and for each broker without one, for `ps` and `stop`: $XDG_RUNTIME_DIR/agentbox/<session>/ (else a folder
// in /tmp that is checked to be ours). Its file is locked for as long as the supervisor lives, so that a dead
// one is known.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "agentbox/base/path.hpp"
#include "agentbox/base/unique_fd.hpp"
#include "agentbox/policy/policy.hpp"

namespace agentbox::launch {

// What is in a session's folder: its file
inline constexpr const char* session_file = "session.json";
// Where the room asks, and where its owner answers.
inline constexpr const char* request_socket = "request.sock";
inline constexpr const char* control_socket = "control.sock";

struct SessionInfo {
  std::string id;  // "pi-k3f9"
  enum class Kind : std::uint8_t { room, broker } kind = Kind::room;
  pid_t pid = -1;                // of the supervisor
  std::uint64_t start_time = 0;  // of that process, in clock ticks since boot: proc_pid_stat(5), field 22
  std::int64_t since = 0;        // seconds of the epoch
  std::string profile;
  std::string workspace;
  std::vector<std::string> command;
};

class Session {
 public:
  // Makes the folder. With a name (is_session_name) that one is taken, unless a living session has it. Throws
  // base::SystemError.
  explicit Session(const policy::Policy& policy, SessionInfo::Kind kind = SessionInfo::Kind::room,
                   const std::string& name = {});
  // Removes it.
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  [[nodiscard]] const std::string& id() const noexcept { return info_.id; }
  [[nodiscard]] const base::AbsPath& folder() const noexcept { return folder_; }

 private:
  SessionInfo info_;
  base::AbsPath folder_;
  base::UniqueFd lock_;
};

// Small letters, digits, '_' and '-' (not first), at most 32: it becomes a part of a socket's path, and is read aloud.
[[nodiscard]] bool is_session_name(std::string_view name) noexcept;

// The living ones of this user, oldest first. Folders of dead ones are removed.
[[nodiscard]] std::vector<SessionInfo> list_sessions();

// Asks a session's supervisor to end, and after `patience_ms` makes it. True when it is gone; false when
// there was no such process any more. Throws base::SystemError when it can't be ended.
bool stop_session(const SessionInfo& session, int patience_ms);

// $XDG_RUNTIME_DIR/agentbox, or /tmp/agentbox-UID: made, owned by this user, 0700. Throws base::SystemError.
[[nodiscard]] base::AbsPath runtime_folder();

}  // namespace agentbox::launch
