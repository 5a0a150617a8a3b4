#pragma once

// Between the human's terminal and the master of the room's pty: keys one way, filtered output the other way,
// window size, job control. The room is hostile: it may print anything, without end, or stop reading.
//
// Who calls what (the launcher; all on the thread of the loop):
//
//   auto terminal = HumanTerminal::open();   before any thread is started; none: no pty, no relay
//   Relay relay(loop, *terminal, master, [&] { ... });   the terminal has hung up: end the run
//   relay.start();                           right before the agent starts: raw mode, size, modes
//
//   init reports Stopped:    relay.suspend();   returns when the shell has continued us
//                            then send wire::Continue to init
//   SIGTSTP for us:          send wire::Signal{SIGTSTP} to init, whose Stopped then comes as above
//   SIGINT, SIGQUIT for us:  send wire::Signal to init. Ctrl-C itself is a byte for the pty, and the room's own
//                            terminal makes the signal; only with a shared keyboard it is a signal for us
//   init reports Exited:     relay.drain(2s, [&](Relay::End) { ... });   the terminal is restored: print, leave
//                            and end the room meanwhile, else its other processes keep the pty open
//
// Put the terminal before the relay, so that it goes after it. Whatever way they go, the terminal is
// restored.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "agentbox/base/unique_fd.hpp"
#include "agentbox/prompt/human_terminal.hpp"

namespace boost::asio {
class io_context;
}

namespace agentbox::prompt {

class Relay {
 public:
  enum class End : std::uint8_t {
    complete,     // every byte of the agent's is on the terminal
    cut,          // the time was over first
    no_terminal,  // the terminal is gone
  };

  // `on_lost`: the terminal has hung up. Output goes nowhere from then on, so that the agent isn't stuck.
  Relay(boost::asio::io_context& loop, HumanTerminal& terminal, base::UniqueFd master,
        std::function<void()> on_lost = {});
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  // Throws base::SystemError.
  void start();
  // The agent has ended. Reads what the pty still holds, shows it, puts the terminal back, waits for the
  // answers to questions that the agent has asked the terminal (else they would be typed into the shell), and
  // calls `done` once. The limit holds for the output; the answers get one second.
  void drain(std::chrono::milliseconds limit, std::function<void(End)> done);
  // Stops the agent's output and takes the keyboard from it; `ready` is called when its last complete
  // sequence is on the terminal and no answer for it is under way. Then the terminal's fd is the caller's, in
  // raw mode. Modes that the agent has switched stay on: send `leave_modes()` first, `release` switches them
  // on again, and makes a program on the alternate screen paint it anew, by a change of its size and back. Meanwhile
  // HumanTerminal::set_farewell is the holder's, too.
  void hold(std::function<void()> ready);
  [[nodiscard]] std::string leave_modes();
  void release();
  // Ctrl-Z: restores the terminal, stops our process group as the terminal would have done, and takes the
  // terminal again when the shell continues us; at once if nobody is there to continue us. While it is held: nothing.
  void suspend();

  // Sequences that did not pass the filter.
  [[nodiscard]] std::uint64_t dropped() const noexcept;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace agentbox::prompt
