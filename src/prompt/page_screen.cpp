#include "agentbox/prompt/page_screen.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <string>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include "agentbox/base/error.hpp"
#include "agentbox/prompt/relay.hpp"

#include "outbox.hpp"

namespace agentbox::prompt {

namespace {

using namespace std::chrono_literals;
using boost::asio::posix::stream_descriptor;
using boost::system::error_code;

constexpr auto look_again = 100ms;  // while the terminal isn't ours
constexpr auto close_limit = 1s;    // for a terminal that takes nothing
// While a page is there the keyboard is looked at so often; and a key counts if it came at most so long after a look.
constexpr auto heartbeat = 500ms;
constexpr auto most_unseen = 5s;

int duplicate(int fd) {
  base::UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!copy) throw base::SystemError(errno, "cannot duplicate the terminal's descriptor");
  return copy.release();
}

}  // namespace

class PageScreen::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(boost::asio::io_context& loop, HumanTerminal& terminal, Relay* relay)
      : terminal_(&terminal),
        relay_(relay),
        tty_(loop, duplicate(terminal.fd())),
        signals_(loop),
        redraw_timer_(loop),
        entry_timer_(loop) {}

  void open(std::function<void()> ready, std::function<void()> lost);
  void show(Page& page, std::function<void(std::string_view, Clock::time_point)> typed);
  void keep(std::function<void(std::string_view, Clock::time_point)> typed) {
    typed_ = std::move(typed);
    changed();
  }
  void changed();
  void resized();
  void close(std::function<void()> closed);
  void shut() noexcept;
  void destroy() noexcept;

 private:
  enum class State : std::uint8_t { closed, opening, open, closing, lost };

  void enter();
  bool take_terminal();
  void wait_for_signals();
  void read_keys();
  void on_keys();
  void forget_keys();
  void note_whether_any_came();
  void draw(Draw what);
  void draw_anew();
  void write();
  void drained();
  void wait_for_change();
  void finish();
  void lose();
  void stop_waiting() noexcept;
  void give_back() noexcept;

  // Every handler holds the object, and does nothing when its state has passed.
  template <class Handler>
  auto guarded(Handler handler) {
    return [self = shared_from_this(), handler](error_code error, auto&&...) {
      if (!self->destroyed_ && error != boost::asio::error::operation_aborted) handler();
    };
  }

  HumanTerminal* terminal_;
  Relay* relay_;
  stream_descriptor tty_;
  boost::asio::signal_set signals_;
  boost::asio::steady_timer redraw_timer_, entry_timer_;
  std::function<void()> ready_, lost_, closed_;
  std::function<void(std::string_view, Clock::time_point)> typed_;
  Page* page_ = nullptr;
  Outbox outbox_;
  State state_ = State::closed;
  bool was_raw_ = false;
  bool destroyed_ = false;
  bool reading_ = false, writing_ = false;
  // Nothing had been typed then that isn't read by now: whatever is read next came later, and was meant for what was on
  // the terminal since.
  Clock::time_point unread_since_;
  bool fresh_ = false;  // the page's first drawing is not yet on the terminal
  bool stale_ = false;  // the page has changed since the drawing that is under way
};

// ---- In ----

void PageScreen::Impl::open(std::function<void()> ready, std::function<void()> lost) {
  if (state_ != State::closed) return;
  state_ = State::opening;
  ready_ = std::move(ready);
  lost_ = std::move(lost);
  if (relay_ == nullptr) return enter();
  relay_->hold([this] {
    if (state_ == State::opening) enter();
  });
}

void PageScreen::Impl::enter() {
  was_raw_ = terminal_->is_raw();
  if (!take_terminal()) return;
  state_ = State::open;
  signals_.add(SIGWINCH);
  signals_.add(SIGCONT);
  wait_for_signals();
  read_keys();
  // Modes that the agent has switched would change what keys send and where text goes.
  if (relay_ != nullptr) outbox_.back() += relay_->leave_modes();
  outbox_.back() += enter_pages();
  terminal_->set_farewell(leave_pages());
  write();
  if (state_ == State::open && ready_) std::exchange(ready_, {})();
}

// False: not now; it is tried again, or the terminal is lost.
bool PageScreen::Impl::take_terminal() {
  try {
    const bool pager =
        terminal_->keyboard() == HumanTerminal::Keyboard::shared && !terminal_->is_raw() && !terminal_->edits_lines();
    if (!pager && terminal_->enter_raw() == HumanTerminal::Standing::foreground) return true;
  } catch (const base::SystemError&) {
    lose();
    return false;
  }
  entry_timer_.expires_after(look_again);
  entry_timer_.async_wait(guarded([this] {
    if (state_ == State::opening) enter();
    if (state_ == State::open) draw_anew();
  }));
  return false;
}

// ---- Signals ----

void PageScreen::Impl::wait_for_signals() {
  signals_.async_wait([self = shared_from_this()](error_code error, int number) {
    if (self->destroyed_ || error || self->state_ != State::open) return;
    if (number == SIGCONT) self->draw_anew();  // the shell had the terminal meanwhile
    self->resized();
    self->wait_for_signals();
  });
}

void PageScreen::Impl::draw_anew() {
  if (!take_terminal()) return;
  outbox_.back() += enter_pages();
  terminal_->set_farewell(leave_pages());
  if (page_ == nullptr) return write();
  page_->be_quiet(Clock::now());
  forget_keys();
  fresh_ = true;
  read_keys();
  draw(Draw::whole);
}

void PageScreen::Impl::resized() {
  if (state_ != State::open || page_ == nullptr) return;
  const WindowSize size = terminal_->size();
  page_->resize(size.rows, size.columns);
  draw(Draw::whole);
}

// ---- Keys ----

void PageScreen::Impl::read_keys() {
  if (reading_ || state_ != State::open) return;
  reading_ = true;
  tty_.async_wait(stream_descriptor::wait_read, guarded([this] {
                    reading_ = false;
                    if (state_ == State::open) on_keys();
                  }));
}

void PageScreen::Impl::forget_keys() {
  ::tcflush(terminal_->fd(), TCIFLUSH);
  unread_since_ = Clock::now();
}

void PageScreen::Impl::note_whether_any_came() {
  const auto now = Clock::now();
  pollfd keys{terminal_->fd(), POLLIN, 0};
  if (::poll(&keys, 1, 0) == 0) unread_since_ = now;
}

// When a key is read is not when it was pressed: the room can keep us from reading for a while, or we were stopped. A
// key counts for what was on the terminal during all of the time in which it may have been pressed.
void PageScreen::Impl::on_keys() {
  std::array<char, 4096> buffer;
  const auto count = ::read(terminal_->fd(), buffer.data(), buffer.size());
  const auto now = Clock::now();
  if (count > 0) {
    const auto since = unread_since_;
    note_whether_any_came();
    if (page_ != nullptr && now - since > most_unseen) return draw_anew();
    const bool came_with_it = page_ != nullptr && page_->is_quiet(since) && !page_->is_quiet(now);
    // What came before the page was on the terminal was meant for something else.
    if (!fresh_ && !came_with_it && typed_) {
      const auto typed = typed_;  // it may be replaced while it runs
      typed(std::string_view(buffer.data(), static_cast<std::size_t>(count)), now);
      if (state_ == State::open && page_ != nullptr) draw(Draw::changes);
    }
  } else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
    if (terminal_->standing() != HumanTerminal::Standing::background) return lose();
    draw_anew();  // EIO for a background job: waits until it is in the foreground
    return;
  }
  read_keys();
}

// ---- Drawing ----

void PageScreen::Impl::show(Page& page, std::function<void(std::string_view, Clock::time_point)> typed) {
  if (state_ != State::open) return;
  page_ = &page;
  typed_ = std::move(typed);
  const WindowSize size = terminal_->size();
  page.resize(size.rows, size.columns);
  forget_keys();
  fresh_ = true;
  draw(Draw::whole);
}

void PageScreen::Impl::changed() {
  if (state_ != State::open || page_ == nullptr) return;
  if (terminal_->standing() == HumanTerminal::Standing::background) return draw_anew();  // when it is ours again
  draw(Draw::changes);
}

// A terminal that is slow gets the newest picture when it has taken the last, not all of them.
void PageScreen::Impl::draw(Draw what) {
  note_whether_any_came();
  if (!outbox_.empty() && what == Draw::changes) {
    stale_ = true;
    return;
  }
  outbox_.back() += page_->draw(what, Clock::now());
  write();
  if (state_ == State::open) wait_for_change();
}

void PageScreen::Impl::write() {
  const int error = outbox_.flush(terminal_->fd());
  if (error != 0 && error != EAGAIN) return lose();
  outbox_.compact();
  if (outbox_.empty()) return drained();
  if (writing_) return;
  writing_ = true;
  tty_.async_wait(stream_descriptor::wait_write, guarded([this] {
                    writing_ = false;
                    if (state_ != State::open && state_ != State::closing) return;
                    // It took a while: the quiet period begins when the page is there.
                    if (fresh_ && page_ != nullptr) page_->be_quiet(Clock::now());
                    stale_ = stale_ || fresh_;
                    write();
                  }));
}

void PageScreen::Impl::drained() {
  if (state_ == State::closing) return finish();
  fresh_ = false;
  if (std::exchange(stale_, false) && page_ != nullptr) draw(Draw::changes);
}

void PageScreen::Impl::wait_for_change() {
  const auto now = Clock::now();
  redraw_timer_.expires_at(std::min(page_->next_change(now), now + heartbeat));
  redraw_timer_.async_wait(guarded([this] { changed(); }));
}

// ---- Out ----

void PageScreen::Impl::close(std::function<void()> closed) {
  closed_ = std::move(closed);
  if (state_ == State::opening) {
    state_ = State::closed;
    stop_waiting();
    if (relay_ != nullptr) relay_->release();
  }
  if (state_ == State::closed || state_ == State::lost) {
    if (closed_) std::exchange(closed_, {})();
    return;
  }
  if (state_ != State::open) return;
  state_ = State::closing;
  stop_waiting();
  outbox_.back() += leave_pages();
  entry_timer_.expires_after(close_limit);
  entry_timer_.async_wait(guarded([this] {
    if (state_ == State::closing) finish();
  }));
  write();
}

void PageScreen::Impl::finish() {
  give_back();
  if (closed_) std::exchange(closed_, {})();
}

void PageScreen::Impl::stop_waiting() noexcept {
  error_code ignored;
  signals_.cancel(ignored);
  signals_.clear(ignored);
  redraw_timer_.cancel();
  entry_timer_.cancel();
  page_ = nullptr;
  typed_ = {};
  ready_ = {};
}

// The pages have been left, or never will be: what was typed for them is nobody else's.
void PageScreen::Impl::give_back() noexcept {
  state_ = State::closed;
  stop_waiting();
  const bool left = outbox_.empty();
  outbox_.clear();
  ::tcflush(terminal_->fd(), TCIFLUSH);
  if (left) terminal_->set_farewell({});
  if (!was_raw_) terminal_->restore();
  try {
    if (relay_ != nullptr) relay_->release();
  } catch (
      const std::exception&) {  // NOLINT(bugprone-empty-catch): the terminal is gone; the relay has noticed or will
  }
}

void PageScreen::Impl::lose() {
  if (state_ == State::lost) return;
  const bool told = state_ == State::opening || state_ == State::open;
  give_back();
  state_ = State::lost;
  if (closed_) std::exchange(closed_, {})();
  if (told && lost_) std::exchange(lost_, {})();
}

void PageScreen::Impl::shut() noexcept {
  if (state_ == State::opening) {
    was_raw_ = true;  // nothing was changed yet
    give_back();
  }
  if (state_ != State::open && state_ != State::closing) return;
  if (state_ == State::open) outbox_.back() += leave_pages();
  const auto until = Clock::now() + close_limit;
  pollfd ready{terminal_->fd(), POLLOUT, 0};
  while (outbox_.flush(terminal_->fd()) == EAGAIN && Clock::now() < until) ::poll(&ready, 1, 100);
  give_back();
}

void PageScreen::Impl::destroy() noexcept {
  shut();
  destroyed_ = true;
  error_code ignored;
  tty_.close(ignored);
}

// ---- The outside ----

PageScreen::PageScreen(boost::asio::io_context& loop, HumanTerminal& terminal, Relay* relay)
    : impl_(std::make_shared<Impl>(loop, terminal, relay)) {}
PageScreen::~PageScreen() {
  impl_->destroy();
}
void PageScreen::open(std::function<void()> ready, std::function<void()> lost) {
  impl_->open(std::move(ready), std::move(lost));
}
void PageScreen::show(Page& page, std::function<void(std::string_view, Clock::time_point)> typed) {
  impl_->show(page, std::move(typed));
}
void PageScreen::keep(std::function<void(std::string_view, Clock::time_point)> typed) {
  impl_->keep(std::move(typed));
}
void PageScreen::changed() {
  impl_->changed();
}
void PageScreen::resized() {
  impl_->resized();
}
void PageScreen::close(std::function<void()> closed) {
  impl_->close(std::move(closed));
}
void PageScreen::shut() noexcept {
  impl_->shut();
}

}  // namespace agentbox::prompt
