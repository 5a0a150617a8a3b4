#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "splicer_impl.hpp"

namespace agentbox::gates::network {

namespace {

// Of one connection at a time, so that a bulk transfer leaves the others their turn.
constexpr std::size_t turn = 1024 * 1024;
constexpr std::size_t most_at_once = 1024 * 1024;  // of one splice(2); the pipe decides
// A reset overtakes what is still in the send queue. So it waits until the receiver's kernel has it all,
// looking again now and then, for a while.
constexpr auto look_again = std::chrono::milliseconds(20);
constexpr int most_looks = 500;

// Of what recv(2) and splice(2) return.
std::uint64_t taken(ssize_t count) noexcept {
  return count > 0 ? static_cast<std::uint64_t>(count) : 0;
}

bool both_ended(const Connection& connection) {
  auto whole = [](const End& end) { return !end.broken; };
  return std::ranges::all_of(connection.directions, &Direction::closed) && std::ranges::all_of(connection.ends, whole);
}

}  // namespace

Splicer::Impl::Progress Splicer::Impl::pump(Connection& connection) {
  End& near = connection.ends[client];
  End& far = connection.ends[upstream];
  Direction& outward = connection.directions[client];
  Direction& inward = connection.directions[upstream];
  Tap* const tap = connection.tap.get();
  bool more = move(outward, near, far, tap);
  more = move(inward, far, near, nullptr) || more;
  // What broke in the second may matter to the first.
  if (near.broken || far.broken) more = move(outward, near, far, tap) || more;

  if (near.broken && far.broken) return Progress::reset;
  if (outward.closed && inward.closed) {
    if (!near.broken && !far.broken) return Progress::finished;
    int unsent = 0;
    const End& whole = near.broken ? far : near;
    const bool arrived = ::ioctl(whole.socket.get(), SIOCOUTQ, &unsent) != 0 || unsent == 0;
    return arrived || connection.looks >= most_looks ? Progress::reset : Progress::lingers;
  }
  return more ? Progress::more : Progress::waits;
}

bool Splicer::Impl::move(Direction& direction, End& source, End& sink, Tap* tap) {
  if (direction.closed) return false;
  const std::uint64_t until = direction.bytes + turn;
  while (!sink.broken) {
    if (direction.bytes >= until) return true;
    if (!direction.bulk && direction.in_pipe == 0) {
      if (!copy(direction, source, sink, tap)) break;
      continue;
    }
    const bool filled = fill(source, direction, tap);
    const bool emptied = empty(direction, sink);
    if (!filled && !emptied) break;
  }
  if (sink.broken) {  // nobody to tell
    drop_pipe(direction);
    direction.closed = true;
    return false;
  }
  if (direction.in_pipe != 0) return false;
  drop_pipe(direction);
  if (direction.ended) {
    direction.closed = true;
    // Where both have said all, closing says it.
    if (both_ended(*source.connection)) return false;
    if (!source.broken && ::shutdown(sink.socket.get(), SHUT_WR) != 0) sink.broken = true;
  }
  return false;
}

// Whoever has nothing to say asks for nothing, and who has said all is not held.
std::uint64_t Splicer::Impl::reserve_from(Direction& direction, End& source, Tap* tap, std::uint64_t most) {
  if (tap == nullptr) return most;
  if (const std::uint64_t reserved = tap->reserve(most); reserved != 0) return reserved;
  char byte = 0;
  const auto count = ::recv(source.socket.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (count > 0) {
    tap->wants_more();
  } else if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
    source.readable = false;
  } else {
    direction.ended = true;
    source.broken = source.broken || count < 0;
  }
  return 0;
}

bool Splicer::Impl::copy(Direction& direction, End& source, End& sink, Tap* tap) {
  if (!source.readable || direction.ended || !sink.writable) return false;
  const std::uint64_t most = reserve_from(direction, source, tap, buffer_.size());
  if (most == 0) return false;
  const auto count = ::recv(source.socket.get(), buffer_.data(), most, MSG_DONTWAIT);
  const int error = errno;
  if (tap != nullptr) tap->took(most, taken(count));
  if (count < 0 && error == EINTR) return true;
  if (count < 0 && error == EAGAIN) {
    source.readable = false;
    return false;
  }
  if (count <= 0) {
    direction.ended = true;
    source.broken = source.broken || count < 0;
    return false;
  }
  const std::string_view said(buffer_.data(), static_cast<std::size_t>(count));
  direction.bytes += said.size();
  direction.bulk = said.size() == buffer_.size();
  // Less than was asked for is all that there was: what comes then is an event again, unless the last one has been.
  if (said.size() < most && !source.hung_up) source.readable = false;
  auto sent = ::send(sink.socket.get(), said.data(), said.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN && errno != EINTR) {
    sink.broken = true;
    return false;
  }
  sent = std::max<decltype(sent)>(sent, 0);
  if (static_cast<std::size_t>(sent) == said.size()) return source.readable;
  if (!keep(direction, said.substr(static_cast<std::size_t>(sent)))) {
    source.broken = sink.broken = true;
    return false;
  }
  return true;
}

bool Splicer::Impl::keep(Direction& direction, std::string_view rest) {
  direction.pipe = pipes_.take();
  if (!direction.pipe) return false;  // no descriptor left: better this connection lost than all stuck
  direction.in_pipe = rest.size();
  return ::write(direction.pipe->write_end.get(), rest.data(), rest.size()) == static_cast<ssize_t>(rest.size());
}

bool Splicer::Impl::fill(End& source, Direction& direction, Tap* tap) {
  if (!source.readable || direction.ended) return false;
  const std::uint64_t most = reserve_from(direction, source, tap, most_at_once);
  if (most == 0) return direction.ended;
  if (!direction.pipe) direction.pipe = pipes_.take();
  const auto count = direction.pipe ? ::splice(source.socket.get(), nullptr, direction.pipe->write_end.get(), nullptr,
                                               most, SPLICE_F_MOVE | SPLICE_F_NONBLOCK)
                                    : -1;  // no descriptor left: better this connection lost than all stuck
  const int error = errno;
  if (tap != nullptr) tap->took(most, taken(count));
  if (count > 0) {
    direction.in_pipe += static_cast<std::size_t>(count);
    direction.bytes += static_cast<std::size_t>(count);
    return true;
  }
  if (count < 0 && error == EINTR) return true;
  if (count < 0 && error == EAGAIN) {
    // With bytes in the pipe it may be the pipe that is full: then the socket has not said EAGAIN.
    if (direction.in_pipe == 0) source.readable = direction.bulk = false;
    return false;
  }
  direction.ended = true;
  if (count < 0) source.broken = true;
  return true;
}

bool Splicer::Impl::empty(Direction& direction, End& sink) {
  if (direction.in_pipe == 0 || !sink.writable) return false;
  const auto count = ::splice(direction.pipe->read_end.get(), nullptr, sink.socket.get(), nullptr, direction.in_pipe,
                              SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  if (count > 0) {
    direction.in_pipe -= static_cast<std::size_t>(count);
    return true;
  }
  if (count < 0 && errno == EINTR) return true;
  if (count < 0 && errno == EAGAIN) {
    blocked(sink);
    return false;
  }
  sink.broken = true;
  return false;
}

void Splicer::Impl::drop_pipe(Direction& direction) {
  if (!direction.pipe) return;
  if (std::exchange(direction.in_pipe, 0) == 0) {
    pipes_.give_back(std::move(*direction.pipe));
  } else {
    pipes_.discard(std::move(*direction.pipe));
  }
  direction.pipe.reset();
}

void Splicer::Impl::linger(Connection& connection) {
  ++connection.looks;
  connection.queued = true;  // keeps it in memory until its turn
  lingering_.push_back(&connection);
  if (lingering_.size() > 1) return;
  linger_timer_.expires_after(look_again);
  linger_timer_.async_wait([self = shared_from_this()](boost::system::error_code error) {
    if (error || self->closed_) return;
    for (Connection* waiting : std::exchange(self->lingering_, {})) {
      waiting->queued = false;
      self->enqueue(*waiting);
    }
  });
}

}  // namespace agentbox::gates::network
