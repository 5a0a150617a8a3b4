#include <array>

#include <poll.h>
#include <unistd.h>

#include "agentbox/base/error.hpp"

#include "job_control.hpp"
#include "relay_impl.hpp"

namespace agentbox::prompt {

namespace {

using namespace std::chrono_literals;
using boost::system::error_code;

constexpr std::size_t chunk = relay_chunk;
constexpr auto answers_limit = 1s;  // slow lines to far away included

}  // namespace

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

// Not under a question: a room that stops itself would take it out of its owner's sight.
void Relay::Impl::suspend() {
  if (phase_ != Phase::running || held_) return;
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

}  // namespace agentbox::prompt
