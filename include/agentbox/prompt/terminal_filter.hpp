#pragma once

// What the agent prints, on its way to the human's real terminal. Full-screen programs pass unharmed; what would write
// the clipboard, change the title, draw over agentbox's own screen, or make the terminal answer with bytes that
// arrive as typed input, does not. The agent is hostile; its bytes may stop at any place.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace agentbox::prompt {

class TerminalFilter {
 public:
  // Appends to `out` what may pass. Keeps at most 4 KiB of an unfinished sequence; a longer one is dropped whole.
  void feed(std::span<const char> in, std::string& out);
  // What is unfinished at the end is dropped.
  void finish() noexcept;
  // Sequences that did not pass, since the beginning.
  [[nodiscard]] std::uint64_t dropped() const noexcept { return dropped_; }

 private:
  enum class State { ground, escape, escape_intermediate, csi, string, string_escape, drop_string, drop_escape };
  State state_ = State::ground;
  std::string pending_;
  std::uint64_t dropped_ = 0;
};

}  // namespace agentbox::prompt
