#include <array>
#include <cerrno>
#include <string_view>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "agentbox/base/error.hpp"

#include "relay_impl.hpp"

namespace agentbox::prompt {

namespace {

using namespace std::chrono_literals;
using boost::asio::posix::stream_descriptor;
using boost::system::error_code;

constexpr std::size_t chunk = relay_chunk;
constexpr auto nudge_time = 60ms;   // long enough for a program to have seen the smaller size
constexpr auto look_again = 100ms;  // while the keyboard isn't ours, or no program has the pty open

base::UniqueFd duplicate(int fd) {
  base::UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!copy) throw base::SystemError(errno, "cannot duplicate the terminal's descriptor");
  return copy;
}

}  // namespace

Relay::Impl::Impl(boost::asio::io_context& loop, HumanTerminal& terminal, base::UniqueFd master,
                  std::function<void()> on_lost)
    : terminal_(&terminal),
      tty_(loop, duplicate(terminal.fd()).release()),
      master_(loop),
      signals_(loop),
      keyboard_timer_(loop),
      master_timer_(loop),
      deadline_(loop),
      nudge_timer_(loop),
      on_lost_(std::move(on_lost)) {
  const int fd = master.get();
  if (::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK) != 0) {
    throw base::SystemError(errno, "cannot use the room's terminal");
  }
  master_.assign(master.release());
}

// ---- Start, signals, size ----

void Relay::Impl::start() {
  terminal_->copy_modes_to(master_.native_handle());
  set_size();
  signals_.add(SIGWINCH);
  signals_.add(SIGCONT);
  wait_for_signals();
  take_keyboard();
  arm();
}

void Relay::Impl::wait_for_signals() {
  signals_.async_wait([self = shared_from_this()](error_code error, int number) {
    if (self->closed_ || error) return;
    // SIGCONT: somebody has stopped us without our knowing; the shell had its own modes meanwhile.
    if (number == SIGCONT && self->keyboard_ == Keyboard::room) self->take_keyboard();
    self->set_size();
    self->arm();
    self->wait_for_signals();
  });
}

void Relay::Impl::set_size() {
  const WindowSize size = terminal_->size();
  filter_.modes().set_rows(size.rows);
  const winsize room{size.rows, size.columns, size.width, size.height};
  ::ioctl(master_.native_handle(), TIOCSWINSZ, &room);  // SIGWINCH inside if it differs
}

// The holder has a screen of his own, and says himself what must be written when the terminal is given back.
void Relay::Impl::set_farewell() noexcept {
  if (terminal_->is_raw() && keyboard_ != Keyboard::holder) terminal_->set_farewell(filter_.modes().leave());
}

// A program that has the whole screen paints it again when its size changes; nothing else is understood by all of them.
// So its terminal has a row less for a moment.
void Relay::Impl::nudge() {
  const WindowSize size = terminal_->size();
  if (!filter_.modes().alternate_screen() || size.rows < 2) return;
  const winsize smaller{static_cast<std::uint16_t>(size.rows - 1), size.columns, size.width, size.height};
  ::ioctl(master_.native_handle(), TIOCSWINSZ, &smaller);
  nudge_timer_.expires_after(nudge_time);
  nudge_timer_.async_wait(guarded([this] { set_size(); }));
}

void Relay::Impl::close() {
  closed_ = true;
  // The last write may have been cut within a sequence.
  std::string bytes = to_terminal_.empty() ? "" : "\033\\";
  bytes += filter_.modes().leave();
  if (!bytes.empty() && !lost_) terminal_->set_farewell(bytes);
  terminal_->restore();
  error_code ignored;
  signals_.cancel(ignored);
  keyboard_timer_.cancel();
  master_timer_.cancel();
  deadline_.cancel();
  nudge_timer_.cancel();
  tty_.close(ignored);
  master_.close(ignored);
}

// ---- Bytes ----

// Waits for whatever can go on now. Called after everything that may have changed that.
void Relay::Impl::arm() {
  if (closed_ || phase_ == Phase::ended) return;
  if (!to_terminal_.empty() && !writing_tty_) {
    writing_tty_ = true;
    tty_.async_wait(stream_descriptor::wait_write, guarded([this] {
                      writing_tty_ = false;
                      show();
                      arm();
                    }));
  }
  const bool wants_output = !held_ && phase_ <= Phase::draining && !master_idle_ && !to_terminal_.full();
  if (wants_output && !reading_master_) {
    reading_master_ = true;
    master_.async_wait(stream_descriptor::wait_read, guarded([this] {
                         reading_master_ = false;
                         on_master();
                       }));
  }
  const bool wants_keys = (keyboard_ == Keyboard::room && !to_room_.full()) || keyboard_ == Keyboard::settling;
  if (wants_keys && !reading_tty_ && !lost_) {
    reading_tty_ = true;
    tty_.async_wait(stream_descriptor::wait_read, guarded([this] {
                      reading_tty_ = false;
                      on_tty();
                    }));
  }
  if (!to_room_.empty() && !writing_master_) {
    writing_master_ = true;
    master_.async_wait(stream_descriptor::wait_write, guarded([this] {
                         writing_master_ = false;
                         type({});
                         arm();
                       }));
  }
}

// One read: 0, EAGAIN, EIO when no program has the pty open.
int Relay::Impl::read_master() {
  std::array<char, chunk> buffer;
  if (keyboard_ == Keyboard::waiting) look_at_keyboard();  // a question that follows has somebody who listens
  const auto count = ::read(master_.native_handle(), buffer.data(), buffer.size());
  if (count == 0) return EIO;
  if (count < 0) return errno == EINTR ? EAGAIN : errno;
  filter_.feed(std::span(buffer).first(static_cast<std::size_t>(count)), to_terminal_.back());
  return 0;
}

void Relay::Impl::on_master() {
  if (held_ || phase_ > Phase::draining) return;
  int result = 0;
  for (int reads = 0; reads < 8 && result == 0 && !to_terminal_.full(); ++reads) result = read_master();
  show();
  if (result != 0 && result != EAGAIN) {
    if (phase_ == Phase::draining) return begin_flushing();
    // A daemon, or a program between two others: the pty may be opened again, and polling it would spin.
    master_idle_ = true;
    master_timer_.expires_after(look_again);
    master_timer_.async_wait(guarded([this] {
      master_idle_ = false;
      arm();
    }));
  }
  arm();
}

// Writes what is ready, and keeps the watcher's word of farewell true.
void Relay::Impl::show() {
  set_farewell();
  if (!lost_) {
    const int error = to_terminal_.flush(terminal_->fd());
    if (error != 0 && error != EAGAIN) lose_terminal();
  }
  if (lost_) to_terminal_.clear();
  to_terminal_.compact();
  if (!to_terminal_.empty()) return;
  if (phase_ == Phase::flushing) return conclude();
  if (on_held_) settle(false, std::exchange(on_held_, {}));
}

void Relay::Impl::lose_terminal() {
  if (std::exchange(lost_, true)) return;
  set_keyboard(Keyboard::none);
  to_terminal_.clear();
  to_room_.clear();
  settled();
  if (on_lost_ && phase_ == Phase::running) on_lost_();
}

// ---- The keyboard ----

void Relay::Impl::set_keyboard(Keyboard keyboard) noexcept {
  using enum TerminalAnswers::Listener;
  keyboard_ = keyboard;
  filter_.answers().set_listener(keyboard == Keyboard::room ? room : none);
}

void Relay::Impl::take_keyboard() {
  if (lost_ || phase_ != Phase::running) return;
  const bool pager = terminal_->keyboard() == HumanTerminal::Keyboard::shared && !terminal_->is_raw();
  if (pager || terminal_->enter_raw() == HumanTerminal::Standing::background) {
    set_keyboard(Keyboard::waiting);
    return watch_keyboard();
  }
  set_keyboard(held_ ? Keyboard::holder : Keyboard::room);
  if (!held_ && std::exchange(left_, false)) to_terminal_.back() += filter_.modes().enter();
  show();
  arm();
}

// While we may not, or not yet, read: looks ten times a second, for nothing else would tell us.
void Relay::Impl::watch_keyboard() {
  keyboard_timer_.expires_after(look_again);
  keyboard_timer_.async_wait(guarded([this] {
    if (keyboard_ != Keyboard::waiting) return;
    look_at_keyboard();
    if (keyboard_ == Keyboard::waiting) watch_keyboard();
    arm();
  }));
}

void Relay::Impl::look_at_keyboard() {
  if (phase_ != Phase::running || terminal_->standing() == HumanTerminal::Standing::background) return;
  if (terminal_->keyboard() == HumanTerminal::Keyboard::shared && !room_wants_keyboard()) return;
  if (terminal_->enter_raw() == HumanTerminal::Standing::background) return;
  set_size();
  set_keyboard(held_ ? Keyboard::holder : Keyboard::room);
  if (!held_ && std::exchange(left_, false)) to_terminal_.back() += filter_.modes().enter();
}

bool Relay::Impl::room_wants_keyboard() {
  // A pager has switched line editing off: then it is the pager's.
  if (!terminal_->edits_lines()) return false;
  termios room{};
  if (::tcgetattr(master_.native_handle(), &room) != 0) return false;
  if ((room.c_lflag & (ICANON | ECHO)) != (ICANON | ECHO)) return true;
  // A line was typed, and nobody took it since the last look.
  return poll_one(terminal_->fd(), POLLIN, 0ms);
}

void Relay::Impl::type(std::span<const char> keys) {
  to_room_.back().append(keys.data(), keys.size());
  const int error = to_room_.flush(master_.native_handle());
  if (error != 0 && error != EAGAIN) to_room_.clear();  // no program has the pty open: nobody to read it
  to_room_.compact();
}

void Relay::Impl::on_tty() {
  if (keyboard_ != Keyboard::room && keyboard_ != Keyboard::settling) return;
  std::array<char, chunk> buffer;
  const auto count = ::read(terminal_->fd(), buffer.data(), buffer.size());
  if (count > 0) {
    const auto keys = std::span<const char>(buffer).first(static_cast<std::size_t>(count));
    filter_.answers().observe(keys);
    if (keyboard_ == Keyboard::room) type(keys);
    if (keyboard_ == Keyboard::settling && filter_.answers().outstanding() == 0) settled();
  } else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
    // EIO is also what an orphaned background group gets.
    if (phase_ == Phase::running && terminal_->standing() == HumanTerminal::Standing::background) {
      take_keyboard();
    } else {
      lose_terminal();
    }
  }
  arm();
}

// ---- The outside ----

Relay::Relay(boost::asio::io_context& loop, HumanTerminal& terminal, base::UniqueFd master,
             std::function<void()> on_lost)
    : impl_(std::make_shared<Impl>(loop, terminal, std::move(master), std::move(on_lost))) {}

Relay::~Relay() {
  impl_->close();
}
void Relay::start() {
  impl_->start();
}
void Relay::drain(std::chrono::milliseconds limit, std::function<void(End)> done) {
  impl_->drain(limit, std::move(done));
}
void Relay::hold(std::function<void()> ready) {
  impl_->hold(std::move(ready));
}
std::string Relay::leave_modes() {
  return impl_->leave_modes();
}
void Relay::release() {
  impl_->release();
}
void Relay::suspend() {
  impl_->suspend();
}
std::uint64_t Relay::dropped() const noexcept {
  return impl_->dropped();
}

}  // namespace agentbox::prompt
