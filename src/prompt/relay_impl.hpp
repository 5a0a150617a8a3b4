#pragma once

// The relay's state. relay.cpp moves bytes and watches the keyboard; relay_turns.cpp is what stops and ends that: the
// terminal's answers, a question, Ctrl-Z, the end of the agent.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include <poll.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include "agentbox/base/unique_fd.hpp"
#include "agentbox/prompt/relay.hpp"
#include "agentbox/prompt/terminal_filter.hpp"

#include "outbox.hpp"

namespace agentbox::prompt {

constexpr std::size_t relay_chunk = 16 * 1024;  // of one read

inline bool poll_one(int fd, short events, std::chrono::milliseconds limit) {
  pollfd ready{fd, events, 0};
  return ::poll(&ready, 1, static_cast<int>(limit.count())) == 1;
}

class Relay::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(boost::asio::io_context& loop, HumanTerminal& terminal, base::UniqueFd master, std::function<void()> on_lost);

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
    return [self = shared_from_this(), handler](boost::system::error_code error, auto&&...) {
      if (!self->closed_ && error != boost::asio::error::operation_aborted) handler();
    };
  }

  HumanTerminal* terminal_;
  boost::asio::posix::stream_descriptor tty_, master_;
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

}  // namespace agentbox::prompt
