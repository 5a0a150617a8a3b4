#pragma once

// Copies between this program's own streams and those of the command, without blocking on any of them for longer than
// the kernel needs for a few kilobytes.

#include <string>
#include <vector>

#include <poll.h>

#include "agentbox/base/unique_fd.hpp"

namespace agentbox::inside {

// One direction.
class Flow {
 public:
  enum class Role {
    input,  // from us to the command
    output  // from the command to us
  };
  // Of the command's two ends and ours, `theirs` is closed with the flow; `ours` is 0, 1 or 2.
  Flow(Role role, int ours, base::UniqueFd theirs, bool terminal);

  // What to wait for: nothing, or one entry.
  void add_to(std::vector<pollfd>& list);
  // After a poll over that list.
  void go_on(const std::vector<pollfd>& list);
  [[nodiscard]] bool is_readable(const std::vector<pollfd>& list) const;
  // Nothing is held, and nothing more will come.
  [[nodiscard]] bool is_over() const noexcept { return ended_ && held_.empty(); }
  [[nodiscard]] bool is_empty() const noexcept { return held_.empty(); }
  [[nodiscard]] Role role() const noexcept { return role_; }

 private:
  void read();
  void write();
  void end();

  Role role_;
  base::UniqueFd theirs_;
  int from_, to_;
  bool terminal_;
  bool ended_ = false;
  std::string held_;
  std::size_t place_ = 0;
  bool placed_ = false;
};

// Puts a terminal into raw mode, and back when it goes.
class RawMode {
 public:
  RawMode() = default;
  ~RawMode() { leave(); }
  RawMode(const RawMode&) = delete;
  RawMode& operator=(const RawMode&) = delete;
  void enter() noexcept;
  void leave() noexcept;

 private:
  bool entered_ = false;
};

}  // namespace agentbox::inside
