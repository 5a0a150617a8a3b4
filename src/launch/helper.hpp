#pragma once

// The process that furnishes the room and stays for as long as it lives: outside the room's pid namespace,
// invisible to the agent, inside its user, mount and network namespaces. It decides nothing.

#include <chrono>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <sys/types.h>

#include "agentbox/base/unique_fd.hpp"
#include "agentbox/plan/plan.hpp"

#include "capture.hpp"
#include "census.hpp"
#include "spawn.hpp"

namespace agentbox::launch {

// What is to be done before the room starts.
struct HelperWork {
  std::span<const plan::Furnishing> furnishings;
  base::AbsPath init;                   // the host's file
  std::string marker;                   // as given to `spawn`
  bool terminal = false;                // a pseudo-terminal of the room's own is wanted
  std::vector<std::uint16_t> loopback;  // ports on which to listen inside, on 127.0.0.1 and ::1
  policy::Outside outside = policy::Outside::closed;
  policy::Proxy proxy = policy::Proxy::none;
  base::AbsPath session;  // the session's folder: removed if the supervisor is killed
};

// What came out of the room.
struct Furnished {
  base::UniqueFd terminal;  // the master of the room's /dev/pts/0
  std::vector<Listener> listeners;
  // Why connections can't be captured here, and what would mend it: there are only the proxies then. Empty: they are.
  std::string uncaptured, uncaptured_hint;
};

// Can `fd` be read within `time`? A signal (the terminal was resized) is no answer, and no reason to stop waiting.
[[nodiscard]] bool has_input_within(int fd, std::chrono::milliseconds time);

class Helper {
 public:
  // Forks; the process must have one thread. bwrap has named its child.
  Helper(const HelperWork& work, const Spawned& spawned);
  // Ends it, and waits until it has ended.
  ~Helper();
  Helper(Helper&&) = delete;
  // Ends it without waiting: the room is dead.
  void dismiss() noexcept;

  // Waits until every furnishing is in place and init lies ready. Throws base::SystemError with the first
  // thing that could not be done, or when bwrap ended. `interrupt` is also waited for: if it becomes
  // readable, so do we throw.
  [[nodiscard]] Furnished wait(const Spawned& spawned, int interrupt);

  // Readable when the helper has ended, which it does not do by itself.
  [[nodiscard]] int death_fd() const noexcept { return pidfd_.get(); }

  // Afterwards. All throw base::SystemError.
  void place(const plan::Furnishing& furnishing);        // a Bind or a Mask
  [[nodiscard]] base::UniqueFd open_socket(int family);  // SOCK_STREAM, non-blocking, of the room's network
  [[nodiscard]] Census take_census(Stop stop);

 private:
  base::UniqueFd socket_, pidfd_;
  pid_t pid_ = -1;
};

}  // namespace agentbox::launch
