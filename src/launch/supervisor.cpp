#include "supervisor.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <utility>

#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "agentbox/base/error.hpp"
#include "agentbox/wire/init_message.hpp"

#include "freezer.hpp"

namespace agentbox::launch {

namespace {

namespace asio = boost::asio;
using Descriptor = asio::posix::stream_descriptor;
using base::SystemError;

// After a request to end: how long the agent has to do so by itself.
constexpr std::chrono::seconds grace{5};

std::string name_of(wire::Step step) {
  switch (step) {
    case wire::Step::read_start: return "cannot read what to start";
    case wire::Step::set_session: return "cannot make a session";
    case wire::Step::open_terminal: return "cannot open the room's terminal";
    case wire::Step::set_limits: return "cannot set the limits";
    case wire::Step::change_directory: return "cannot enter the working directory";
    case wire::Step::fork: return "cannot start a process in the room";
    case wire::Step::execute: return "cannot execute";
  }
  return "failed";
}

}  // namespace

class Supervisor::Impl {
 public:
  Impl(Supervisor& self, asio::io_context& loop, Spawned& spawned, Helper& helper, int signals, RoomCgroup* group)
      : self_(self),
        loop_(loop),
        spawned_(spawned),
        helper_(helper),
        freezer_(spawned.child, spawned.child_pidfd.get(), group,
                 [&helper](Stop stop) { return helper.take_census(stop); }),
        control_(loop, ::dup(spawned.control.get())),
        death_(loop, ::dup(spawned.child_pidfd.get())),
        helper_death_(loop, ::dup(helper.death_fd())),
        signals_(loop),
        timer_(loop),
        grace_timer_(loop),
        stop_timer_(loop) {
    if (signals >= 0) signals_.assign(::dup(signals));
  }

  Outcome run() {
    wait_for_control();
    wait_for_death();
    wait_for_helper();
    if (signals_.is_open()) wait_for_signals();
    if (::write(spawned_.block.get(), "x", 1) != 1) throw SystemError(errno, "cannot start the room");
    spawned_.block.reset();
    while (!dead_) {
      loop_.run_one();
      if (!dead_ && self_.between) self_.between();
    }
    timer_.cancel();
    grace_timer_.cancel();
    stop_timer_.cancel();
    return outcome_;
  }

  void limit_time(std::chrono::seconds time) {
    if (time.count() <= 0) return;
    timer_.expires_after(time);
    timer_.async_wait([this](boost::system::error_code error) {
      if (error) return;
      outcome_.timed_out = true;
      end_agent(SIGTERM);
    });
  }

  // The first process takes all others of its namespace along; bwrap follows by itself.
  void kill_room() { ::syscall(SYS_pidfd_send_signal, spawned_.child_pidfd.get(), SIGKILL, nullptr, 0); }

  // SIGTERM or SIGHUP came for us.
  void interrupt(int number) {
    outcome_.interrupted = number;
    end_agent(number);
  }

  void thaw() {
    freezer_.thaw();
    if (!agent_stopped_ || freezer_.is_frozen()) return;
    stop_timer_.expires_after({});  // whoever thaws has not finished yet
    stop_timer_.async_wait([this](boost::system::error_code error) {
      if (!error && !dead_ && std::exchange(agent_stopped_, false)) handle(wire::Stopped{});
    });
  }

  Freezer& freezer() { return freezer_; }
  Helper& helper() { return helper_; }

 private:
  void wait_for_control() {
    control_.async_wait(Descriptor::wait_read, [this](boost::system::error_code error) {
      if (!error && read_control()) wait_for_control();
    });
  }

  // False at end-of-file.
  bool read_control() {
    std::array<std::byte, wire::packet_limit> packet{};
    ssize_t count = ::recv(control_.native_handle(), packet.data(), packet.size(), MSG_DONTWAIT);
    if (count < 0) return errno == EAGAIN || errno == EINTR;
    if (count == 0) return false;
    auto message = wire::decode_from_init(std::span(packet).first(static_cast<std::size_t>(count)));
    if (message) std::visit([this](const auto& known) { handle(known); }, *message);
    return true;
  }

  void handle(const wire::Started&) {}
  void handle(const wire::Failed& failed) {
    outcome_.kind = Outcome::Kind::not_started;
    outcome_.value = failed.error;
    outcome_.step = failed.step == wire::Step::execute ? "" : name_of(failed.step);
  }
  void handle(const wire::Exited& exited) {
    agent_stopped_ = false;
    outcome_.kind = WIFSIGNALED(exited.status) ? Outcome::Kind::killed : Outcome::Kind::exited;
    outcome_.value = WIFSIGNALED(exited.status) ? WTERMSIG(exited.status) : WEXITSTATUS(exited.status);
  }
  // The agent was stopped, by Ctrl-Z on its terminal as a rule: so are we, and our shell takes over. The agent may also
  // have stopped itself while others of the room go on, and we are their guard: nobody of the room runs while we don't.
  void handle(const wire::Stopped&) {
    // It had stopped before the freeze, and nobody will say so again: the terminal is given back after it.
    if (freezer_.is_frozen()) {
      agent_stopped_ = true;
      return;
    }
    // Without a terminal of the room's it is the owner's wish only after his SIGTSTP. Otherwise the agent stays as it
    // wants to be, and we go on: what ends it or its time is heard.
    if (!self_.on_stopped && !std::exchange(owner_stops_, false)) return;
    try {
      freezer_.freeze();
    } catch (const SystemError&) {
      send(wire::Continue{});
      return;
    }
    if (self_.on_stopped) {
      self_.on_stopped();
    } else {
      ::raise(SIGSTOP);
    }
    freezer_.thaw();
    send(wire::Continue{});
  }

  void send(const wire::ToInit& message) {
    std::vector<std::byte> bytes = wire::encode(message);
    (void)::send(control_.native_handle(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }

  void wait_for_death() {
    death_.async_wait(Descriptor::wait_read, [this](boost::system::error_code error) {
      if (error) return;
      // init may have said something just before.
      while (read_control_once()) {
      }
      end_room(spawned_);
      dead_ = true;
    });
  }
  // Without the helper nothing can be hidden or protected again: the room must not go on.
  void wait_for_helper() {
    helper_death_.async_wait(Descriptor::wait_read, [this](boost::system::error_code error) {
      if (error || dead_) return;
      outcome_ = {.kind = Outcome::Kind::lost, .step = "the helper that guards the room's mounts was killed"};
      kill_room();
    });
  }
  bool read_control_once() {
    std::byte peek{};
    return ::recv(control_.native_handle(), &peek, 1, MSG_DONTWAIT | MSG_PEEK) > 0 && read_control();
  }

  void wait_for_signals() {
    signals_.async_wait(Descriptor::wait_read, [this](boost::system::error_code error) {
      if (error) return;
      signalfd_siginfo info{};
      while (::read(signals_.native_handle(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
        handle_signal(static_cast<int>(info.ssi_signo));
      }
      wait_for_signals();
    });
  }

  void handle_signal(int number) {
    // A program may treat these as a wish and go on (a Python prompt does on SIGINT): they are passed on, no more.
    if (number == SIGINT || number == SIGQUIT || number == SIGTSTP) {
      owner_stops_ = number == SIGTSTP;
      send(wire::Signal{number});
      return;
    }
    interrupt(number);
  }

  void end_agent(int number) {
    agent_stopped_ = false;
    send(wire::Signal{number});
    send(wire::Continue{});
    grace_timer_.expires_after(grace);
    grace_timer_.async_wait([this](boost::system::error_code error) {
      if (!error) kill_room();
    });
  }

  Supervisor& self_;
  asio::io_context& loop_;
  Spawned& spawned_;
  Helper& helper_;
  Freezer freezer_;
  Descriptor control_, death_, helper_death_, signals_;
  asio::steady_timer timer_, grace_timer_, stop_timer_;
  Outcome outcome_;
  bool dead_ = false;
  bool owner_stops_ = false;    // his SIGTSTP was passed on
  bool agent_stopped_ = false;  // heard of while the room was frozen
};

Supervisor::Supervisor(asio::io_context& loop, Spawned& spawned, Helper& helper, int signals, RoomCgroup* group)
    : impl_(std::make_unique<Impl>(*this, loop, spawned, helper, signals, group)) {}
Supervisor::~Supervisor() = default;

void Supervisor::freeze() {
  impl_->freezer().freeze();
}
void Supervisor::thaw() {
  impl_->thaw();
}
void Supervisor::furnish(const plan::Furnishing& furnishing) {
  impl_->helper().place(furnishing);
}
base::UniqueFd Supervisor::room_socket(int family) {
  return impl_->helper().open_socket(family);
}
void Supervisor::limit_time(std::chrono::seconds time) {
  impl_->limit_time(time);
}
Outcome Supervisor::run() {
  return impl_->run();
}
void Supervisor::kill_room() {
  impl_->kill_room();
}
void Supervisor::hang_up() {
  impl_->interrupt(SIGHUP);
}

}  // namespace agentbox::launch
