#pragma once

// A child that outlives the supervisor's death by a moment: it gives the terminal back when nobody else can.

#include <string_view>

#include <sys/types.h>
#include <termios.h>

#include "agentbox/base/unique_fd.hpp"

namespace agentbox::prompt {

// Equal in all that tcsetattr(3) sets.
[[nodiscard]] bool same_modes(const termios& left, const termios& right) noexcept;

class TerminalWatcher {
 public:
  static constexpr std::size_t farewell_limit = 2048;

  // Forks, so: before any thread is started. Throws base::SystemError.
  explicit TerminalWatcher(int terminal);
  // Tells it that all is well, and waits for its end.
  ~TerminalWatcher();
  TerminalWatcher(const TerminalWatcher&) = delete;
  TerminalWatcher& operator=(const TerminalWatcher&) = delete;

  // From now on: if we die, and the terminal is still in the modes `raw`, it gets `ordinary` back.
  void arm(const termios& raw, const termios& ordinary) noexcept;
  void disarm() noexcept;
  // What is written to the terminal then. Truncated to nothing when it is too long.
  void set_farewell(std::string_view bytes) noexcept;

  struct Page;  // shared with the child

 private:
  Page* page_ = nullptr;
  base::UniqueFd line_;  // the child reads the other end: a byte is a goodbye, an end of file our death
  pid_t child_ = -1;
};

}  // namespace agentbox::prompt
