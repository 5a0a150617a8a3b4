#include "agentbox/prompt/relay.hpp"

#include <array>
#include <cerrno>
#include <string>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include "agentbox/base/error.hpp"
#include "agentbox/prompt/terminal_filter.hpp"

#include "job_control.hpp"
#include "outbox.hpp"

namespace agentbox::prompt {

namespace {

using namespace std::chrono_literals;
using boost::asio::posix::stream_descriptor;
using boost::system::error_code;

constexpr std::size_t chunk = 16 * 1024;  // of one read
constexpr auto answers_limit = 1s;        // slow lines to far away included
constexpr auto nudge_time = 60ms;         // long enough for a program to have seen the smaller size
constexpr auto look_again = 100ms;        // while the keyboard isn't ours, or no program has the pty open

base::UniqueFd duplicate(int fd) {
  base::UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!copy) throw base::SystemError(errno, "cannot duplicate the terminal's descriptor");
  return copy;
}

bool poll_one(int fd, short events, std::chrono::milliseconds limit) {
  pollfd ready{fd, events, 0};
  return ::poll(&ready, 1, static_cast<int>(limit.count())) == 1;
}

}  // namespace

class Relay::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(boost::asio::io_context& loop, HumanTerminal& terminal, base::UniqueFd master, std::function<void()> on_lost)
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

  void start();
  void close();
  void drain(std::chrono::milliseconds limit, std::function<void(End)> done);
  void hold(std::function<void()> ready);
  std::string leave_modes() { return filter_.modes().leave(); }
  void release();
  void suspend();
  [[nodiscard]] std::uint64_t dropped() const noexcept { return filter_.dropped(); }

 private:
  // What the keyboard is for at this moment.
  enum class Keyboard : std::uint8_t {
    none,  // not started, or the terminal is gone
    room,
    waiting,   // we are in the background, or it is shared and nobody has shown that it is meant for the room
    settling,  // nobody's, until the terminal has answered
    holder,    // hold()
  };
  enum class Phase : std::uint8_t {
    running,
    draining,  // the agent has ended; the pty may hold more
    flushing,  // the pty is empty, the terminal has not taken everything
    settling,  // the terminal may still answer
    ended,
  };

  void wait_for_signals();
  void arm();
  void on_master();
  void on_tty();
  int read_master();
  void show();
  void lose_terminal();
  void set_keyboard(Keyboard keyboard) noexcept;
  void take_keyboard();
  void watch_keyboard();
  void look_at_keyboard();
  bool room_wants_keyboard();
  void type(std::span<const char> keys);
  void set_size();
  void set_farewell() noexcept;
  void nudge();
  void settle(bool fence, std::function<void()> then);
  void settled();
  void settle_now();
  void flush_now();
  void begin_flushing();
  void conclude();

  // Every handler holds the object, and does nothing after close().
  template <class Handler>
  auto guarded(Handler handler) {
    return [self = shared_from_this(), handler](error_code error, auto&&...) {
      if (!self->closed_ && error != boost::asio::error::operation_aborted) handler();
    };
  }

  HumanTerminal* terminal_;
  stream_descriptor tty_, master_;
  boost::asio::signal_set signals_;
  boost::asio::steady_timer keyboard_timer_, master_timer_, deadline_, nudge_timer_;
  std::function<void()> on_lost_, settled_then_, on_held_;
  std::function<void(End)> on_drained_;
  TerminalFilter filter_;
  Outbox to_terminal_, to_room_;
  Keyboard keyboard_ = Keyboard::none;
  Phase phase_ = Phase::running;
  bool closed_ = false, held_ = false, lost_ = false;
  bool cut_ = false;          // output was thrown away
  bool left_ = false;         // the agent's modes are off, and must be switched on again
  bool master_idle_ = false;  // no program has the pty open just now
  bool reading_tty_ = false, writing_tty_ = false, reading_master_ = false, writing_master_ = false;
};

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

// ---- Answers ----

// Calls `then` when nothing that the agent has asked the terminal for can arrive any more. Terminals answer
// in order, so one question of our own, the last, tells when. What is typed meanwhile can't be told from
// answers: it is thrown away.
void Relay::Impl::settle(bool fence, std::function<void()> then) {
  settled_then_ = std::move(then);
  if (keyboard_ != Keyboard::room || (!fence && filter_.answers().outstanding() == 0)) return settled();
  set_keyboard(Keyboard::settling);
  to_terminal_.back() += filter_.answers().fence();
  deadline_.expires_after(answers_limit);
  deadline_.async_wait(guarded([this] { settled(); }));
  show();
  arm();
}

void Relay::Impl::settled() {
  if (!settled_then_) return;
  deadline_.cancel();
  filter_.answers().forget();
  std::exchange(settled_then_, {})();
}

// The same, without the loop: between Ctrl-Z and the stop there is no way back to it.
void Relay::Impl::settle_now() {
  if (keyboard_ != Keyboard::room || filter_.answers().outstanding() == 0) return;
  to_terminal_.back() += filter_.answers().fence();
  const auto until = std::chrono::steady_clock::now() + answers_limit;
  std::array<char, chunk> buffer;
  while (filter_.answers().outstanding() != 0) {
    show();
    const auto rest = std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    if (lost_ || rest <= 0ms || !poll_one(terminal_->fd(), POLLIN, rest)) break;
    const auto count = ::read(terminal_->fd(), buffer.data(), buffer.size());
    if (count <= 0) break;
    filter_.answers().observe(std::span<const char>(buffer).first(static_cast<std::size_t>(count)));
  }
  filter_.answers().forget();
}

// ---- Hold, suspend, end ----

void Relay::Impl::hold(std::function<void()> ready) {
  held_ = true;
  on_held_ = [this, ready = std::move(ready)] {
    if (!lost_) set_keyboard(Keyboard::holder);
    ready();
  };
  show();
  arm();
}

void Relay::Impl::release() {
  if (!std::exchange(held_, false)) return;
  on_held_ = {};
  settled_then_ = {};
  left_ = true;
  try {
    take_keyboard();
  } catch (const base::SystemError&) {  // it hung up while it was the holder's
    lose_terminal();
  }
  nudge();
  arm();
}

// All that the agent printed before it stopped. Another program of the room may go on printing: to a limit.
void Relay::Impl::flush_now() {
  const auto until = std::chrono::steady_clock::now() + answers_limit;
  std::size_t total = 0;
  while (!held_ && total < 1024 * 1024 && read_master() == 0) total += chunk;
  show();
  while (!to_terminal_.empty() && std::chrono::steady_clock::now() < until) {
    poll_one(terminal_->fd(), POLLOUT, 100ms);
    show();
  }
}

void Relay::Impl::suspend() {
  if (phase_ != Phase::running) return;
  flush_now();
  settle_now();
  set_farewell();
  terminal_->restore();
  left_ = true;
  set_keyboard(Keyboard::waiting);

  stop_until_continued();

  set_size();
  take_keyboard();
  arm();
}

void Relay::Impl::drain(std::chrono::milliseconds limit, std::function<void(End)> done) {
  on_drained_ = std::move(done);
  if (held_) release();
  phase_ = Phase::draining;
  keyboard_timer_.cancel();
  master_timer_.cancel();
  master_idle_ = false;
  to_room_.clear();  // nobody will read it
  deadline_.expires_after(limit);
  deadline_.async_wait(guarded([this] {
    if (phase_ != Phase::draining && phase_ != Phase::flushing) return;
    cut_ = true;
    if (!to_terminal_.empty()) {
      to_terminal_.clear();
      to_terminal_.back() = "\033\\";  // perhaps cut within a sequence
    }
    conclude();
  }));
  arm();
}

void Relay::Impl::begin_flushing() {
  phase_ = Phase::flushing;
  show();  // concludes when all is written; else the next show() or the deadline does
  arm();
}

// Everything is shown that will be. Now the terminal's modes, then its answers, then its own modes.
void Relay::Impl::conclude() {
  phase_ = Phase::settling;
  filter_.finish();
  const bool fence = filter_.modes().reports();
  to_terminal_.back() += filter_.modes().leave();
  filter_.modes().reset();
  show();
  settle(fence, [this] {
    phase_ = Phase::ended;
    show();  // a last try: a terminal that takes nothing is not waited for
    terminal_->restore();
    error_code ignored;
    signals_.cancel(ignored);
    const End end = lost_ ? End::no_terminal : cut_ ? End::cut : End::complete;
    if (on_drained_) std::exchange(on_drained_, {})(end);
  });
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
