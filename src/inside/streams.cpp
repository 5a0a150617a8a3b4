#include "streams.hpp"

#include <array>
#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

namespace agentbox::inside {

namespace {

// A pipe that poll(2) calls writable takes at least this much at once (PIPE_BUF).
constexpr std::size_t at_once = 4096;
constexpr char end_of_input = '\x04';  // what a terminal takes for it

termios& saved() {
  static termios modes;
  return modes;
}

}  // namespace

Flow::Flow(Role role, int ours, base::UniqueFd theirs, bool terminal)
    : role_(role),
      theirs_(std::move(theirs)),
      from_(role == Role::input ? ours : theirs_.get()),
      to_(role == Role::input ? theirs_.get() : ours),
      terminal_(terminal) {
  // Ours may be shared with others, who did not ask for that.
  ::fcntl(theirs_.get(), F_SETFL, ::fcntl(theirs_.get(), F_GETFL) | O_NONBLOCK);
}

void Flow::add_to(std::vector<pollfd>& list) {
  placed_ = !is_over();
  if (!placed_) return;
  place_ = list.size();
  list.push_back(held_.empty() ? pollfd{from_, POLLIN, 0} : pollfd{to_, POLLOUT, 0});
}

bool Flow::is_readable(const std::vector<pollfd>& list) const {
  return placed_ && held_.empty() && list[place_].revents != 0;
}

void Flow::go_on(const std::vector<pollfd>& list) {
  if (!placed_ || list[place_].revents == 0) return;
  held_.empty() ? read() : write();
}

void Flow::read() {
  std::array<char, at_once> bytes;
  ssize_t count = ::read(from_, bytes.data(), bytes.size());
  if (count < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (count > 0) {
    held_.assign(bytes.data(), static_cast<std::size_t>(count));
  } else if (terminal_ && role_ == Role::input) {
    held_ = end_of_input;
    ended_ = true;
  } else {
    end();  // EIO is a terminal's end
  }
}

void Flow::write() {
  ssize_t count = ::write(to_, held_.data(), held_.size());
  if (count < 0 && (errno == EINTR || errno == EAGAIN)) return;
  // Nobody reads it any more: the command must learn that.
  if (count < 0) {
    held_.clear();
    return end();
  }
  held_.erase(0, static_cast<std::size_t>(count));
}

void Flow::end() {
  ended_ = true;
  theirs_.reset();
}

void RawMode::enter() noexcept {
  if (entered_ || ::tcgetattr(0, &saved()) != 0) return;
  termios raw = saved();
  ::cfmakeraw(&raw);
  entered_ = ::tcsetattr(0, TCSADRAIN, &raw) == 0;
}
void RawMode::leave() noexcept {
  if (std::exchange(entered_, false)) ::tcsetattr(0, TCSADRAIN, &saved());
}

}  // namespace agentbox::inside
