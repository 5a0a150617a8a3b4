#include "agentbox/prompt/human_terminal.hpp"

#include <cerrno>
#include <string>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "agentbox/base/error.hpp"

#include "terminal_watcher.hpp"

namespace agentbox::prompt {

namespace {

// The device behind a terminal, also behind /dev/tty.
bool same_device(int left, int right) {
  unsigned a = 0, b = 0;
  return ::ioctl(left, TIOCGDEV, &a) == 0 && ::ioctl(right, TIOCGDEV, &b) == 0 && a == b;
}

base::UniqueFd open_anew(int fd) {
  const int flags = O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC;
  base::UniqueFd opened(::open(("/proc/self/fd/" + std::to_string(fd)).c_str(), flags));
  if (opened) return opened;
  // Under su the device belongs to somebody else, but everybody may open his controlling terminal.
  opened.reset(::open("/dev/tty", flags));
  if (opened && same_device(opened.get(), fd)) return opened;
  // Neither is there: the shell's own description, which must stay blocking.
  opened.reset(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!opened) throw base::SystemError(errno, "cannot use the terminal on descriptor " + std::to_string(fd));
  return opened;
}

termios raw_modes(termios modes) {
  ::cfmakeraw(&modes);
  modes.c_cc[VMIN] = 1;
  modes.c_cc[VTIME] = 0;
  return modes;
}

}  // namespace

Streams look_at_streams() noexcept {
  Streams streams;
  for (int fd = 0; fd < 3; ++fd) {
    if (::isatty(fd) == 1) streams.terminals = static_cast<std::uint8_t>(streams.terminals | 1U << fd);
  }
  return streams;
}

struct HumanTerminal::State {
  base::UniqueFd terminal;
  Keyboard keyboard = Keyboard::exclusive;
  termios ordinary{};  // as it was before raw mode
  termios raw{};
  bool is_raw = false;
  std::string farewell;
  std::optional<TerminalWatcher> watcher;
};

std::optional<HumanTerminal> HumanTerminal::open() {
  const Streams streams = look_at_streams();
  for (int fd : {1, 0, 2}) {
    if (!streams.is_terminal(fd)) continue;
    const bool pager = streams.is_terminal(0) && !streams.is_terminal(1);
    return HumanTerminal(open_anew(fd), pager ? Keyboard::shared : Keyboard::exclusive);
  }
  return std::nullopt;
}

HumanTerminal::HumanTerminal(base::UniqueFd terminal, Keyboard keyboard) : state_(std::make_unique<State>()) {
  state_->terminal = std::move(terminal);
  state_->keyboard = keyboard;
  if (::tcgetattr(fd(), &state_->ordinary) != 0) throw base::SystemError(errno, "cannot read the terminal's modes");
}

HumanTerminal::HumanTerminal(HumanTerminal&&) noexcept = default;

HumanTerminal& HumanTerminal::operator=(HumanTerminal&& other) noexcept {
  if (this != &other) {
    if (state_) restore();
    state_ = std::move(other.state_);
  }
  return *this;
}

HumanTerminal::~HumanTerminal() {
  if (state_) restore();
}

int HumanTerminal::fd() const noexcept {
  return state_->terminal.get();
}

HumanTerminal::Keyboard HumanTerminal::keyboard() const noexcept {
  return state_->keyboard;
}

WindowSize HumanTerminal::size() const noexcept {
  winsize size{};
  if (::ioctl(fd(), TIOCGWINSZ, &size) != 0) return {};
  return {size.ws_row, size.ws_col, size.ws_xpixel, size.ws_ypixel};
}

HumanTerminal::Standing HumanTerminal::standing() const noexcept {
  const pid_t foreground = ::tcgetpgrp(fd());
  // ENOTTY: not our controlling terminal, so nobody stops us.
  if (foreground < 0 || foreground == ::getpgrp()) return Standing::foreground;
  return Standing::background;
}

bool HumanTerminal::edits_lines() const noexcept {
  termios now{};
  return ::tcgetattr(fd(), &now) == 0 && (now.c_lflag & ICANON) != 0;
}

void HumanTerminal::copy_modes_to(int pty) const {
  termios modes = state_->ordinary;
  if (!state_->is_raw && ::tcgetattr(fd(), &modes) != 0) {
    throw base::SystemError(errno, "cannot read the terminal's modes");
  }
  if (::tcsetattr(pty, TCSANOW, &modes) != 0) throw base::SystemError(errno, "cannot set up the room's terminal");
}

HumanTerminal::Standing HumanTerminal::enter_raw() {
  if (standing() == Standing::background) return Standing::background;
  State& state = *state_;
  if (!state.is_raw) {
    if (::tcgetattr(fd(), &state.ordinary) != 0) throw base::SystemError(errno, "cannot read the terminal's modes");
    state.raw = raw_modes(state.ordinary);
    if (!state.watcher) state.watcher.emplace(fd());
    state.watcher->set_farewell(state.farewell);
    state.watcher->arm(state.raw, state.ordinary);
    state.is_raw = true;
  }
  // If another group has come to the foreground by now, the kernel stops us here, and the call is made again
  // after fg.
  while (::tcsetattr(fd(), TCSANOW, &state.raw) != 0) {
    if (errno == EINTR) continue;
    const int error = errno;
    state.is_raw = false;
    state.watcher->disarm();
    throw base::SystemError(error, "cannot put the terminal into raw mode");
  }
  return Standing::foreground;
}

bool HumanTerminal::is_raw() const noexcept {
  return state_->is_raw;
}

void HumanTerminal::set_farewell(std::string_view bytes) noexcept {
  if (bytes == state_->farewell) return;
  try {
    state_->farewell = bytes;
  } catch (const std::bad_alloc&) {
    state_->farewell.clear();
  }
  if (state_->watcher) state_->watcher->set_farewell(state_->farewell);
}

void HumanTerminal::restore() noexcept {
  State& state = *state_;
  if (!state.is_raw && state.farewell.empty()) return;
  if (standing() == Standing::foreground) {
    std::string_view rest = state.farewell;
    pollfd ready{fd(), POLLOUT, 0};
    while (!rest.empty() && ::poll(&ready, 1, 1000) == 1) {  // a terminal that takes nothing for a second is stuck
      const auto written = ::write(fd(), rest.data(), rest.size());
      if (written < 0 && errno != EAGAIN && errno != EINTR) break;
      if (written > 0) rest.remove_prefix(static_cast<std::size_t>(written));
    }
    if (state.is_raw) {
      while (::tcsetattr(fd(), TCSANOW, &state.ordinary) != 0 && errno == EINTR) {
      }
    }
  }
  if (state.watcher) state.watcher->disarm();
  state.is_raw = false;
  state.farewell.clear();
}

}  // namespace agentbox::prompt
