#pragma once

// The terminal of the person who typed `agentbox run`. It is lent to the room's pty for a while and must come
// back as it was on every way out: a normal end, an exception, Ctrl-Z, a crash, kill -9.

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "agentbox/base/unique_fd.hpp"

namespace agentbox::prompt {

// Which of the standard streams are terminals (each is judged by itself, DESIGN §4.2). The bits are those of
// wire::Start::terminal_fds.
struct Streams {
  std::uint8_t terminals = 0;  // bit 0, 1, 2

  [[nodiscard]] bool is_terminal(int fd) const noexcept { return (terminals >> fd & 1) != 0; }
  [[nodiscard]] bool any() const noexcept { return terminals != 0; }
};
[[nodiscard]] Streams look_at_streams() noexcept;

struct WindowSize {
  std::uint16_t rows = 0, columns = 0, width = 0, height = 0;  // width and height in pixels, mostly 0
  friend bool operator==(const WindowSize&, const WindowSize&) = default;
};

class HumanTerminal {
 public:
  // `exclusive`: what is typed is for the room. `shared`: standard output goes elsewhere, perhaps to a pager
  // that reads the same keyboard (`agentbox run ... | less`), so the relay takes it only when the room or the
  // human shows that it is meant: the room's program turns its echo or its line editing off, or a line is
  // typed while the terminal is in its ordinary mode.
  enum class Keyboard : std::uint8_t { exclusive, shared };
  enum class Standing : std::uint8_t { foreground, background };

  // The terminal among the standard streams: of 1, else of 0, else of 2. Nothing when none of them is one. It
  // is opened anew, so that O_NONBLOCK does not reach the shell. Throws base::SystemError.
  [[nodiscard]] static std::optional<HumanTerminal> open();
  // A given terminal.
  explicit HumanTerminal(base::UniqueFd terminal, Keyboard keyboard = Keyboard::exclusive);

  HumanTerminal(HumanTerminal&&) noexcept;
  HumanTerminal& operator=(HumanTerminal&&) noexcept;
  // Restores.
  ~HumanTerminal();

  // Non-blocking wherever it could be opened anew.
  [[nodiscard]] int fd() const noexcept;
  [[nodiscard]] Keyboard keyboard() const noexcept;
  // Zeros when the terminal doesn't say.
  [[nodiscard]] WindowSize size() const noexcept;
  // Whether we may touch it: a background job that reads or sets modes is stopped by the kernel. A terminal
  // that is not our controlling one has no such rule and counts as foreground.
  [[nodiscard]] Standing standing() const noexcept;
  // Its modes now, as a line editor would find them: false when another program (a pager) has taken the
  // keyboard.
  [[nodiscard]] bool edits_lines() const noexcept;
  // The modes that it had before raw mode, for the room's pty: the same erase and interrupt keys.
  void copy_modes_to(int pty) const;

  // Every key as a byte, no echo, no signals. Does nothing in the background and says so. A small process of
  // our own is started the first time; it gives the terminal back if we die without a word. Throws
  // base::SystemError.
  [[nodiscard]] Standing enter_raw();
  [[nodiscard]] bool is_raw() const noexcept;
  // What must be written to the terminal when it is given back (TerminalModes::leave). At most 2 KiB.
  void set_farewell(std::string_view bytes) noexcept;
  // Writes the farewell and puts the modes back; leaves both alone if we were moved to the background.
  void restore() noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace agentbox::prompt
