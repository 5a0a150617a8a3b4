#include "agentbox/gates/network/splicer.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <deque>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "agentbox/base/error.hpp"

#include "pipe_pool.hpp"

namespace agentbox::gates::network {

namespace {

// Of one connection at a time, so that a bulk transfer leaves the others their turn.
constexpr std::size_t turn = 1024 * 1024;
constexpr std::size_t most_at_once = 1024 * 1024;  // of one splice(2); the pipe decides
// A message of at most this size is copied: that takes two system calls instead of three, and no pipe. What then can't
// be sent waits in a pipe, and this is what even the smallest one holds.
constexpr std::size_t small = 8 * 1024;
// A reset overtakes what is still in the send queue. So it waits until the receiver's kernel has it all,
// looking again now and then, for a while.
constexpr auto look_again = std::chrono::milliseconds(20);
constexpr int most_looks = 500;

enum Side : unsigned { client = 0, upstream = 1 };

struct Direction {
  std::optional<Pipe> pipe;
  std::size_t in_pipe = 0;
  std::uint64_t bytes = 0;
  bool bulk = false;    // more comes than is worth copying, until the source falls silent
  bool ended = false;   // the source has said all
  bool closed = false;  // and the other side was told
};

struct Connection;

// What epoll gives back.
struct End {
  Connection* connection = nullptr;
  Side side = client;
  base::UniqueFd socket;
  // Edge-triggered: true until the kernel has said EAGAIN.
  bool readable = true, writable = true;
  bool watched = false;          // by epoll
  bool awaits_writable = false;  // and for room to write, too
  bool hung_up = false;          // there will be no further event: what is to be read must be read to its end
  bool broken = false;           // reset, or closed while we wrote; what it said before may still be there to read
};

struct Connection {
  std::array<End, 2> ends;              // client, upstream
  std::array<Direction, 2> directions;  // from the client, from upstream
  std::vector<Target> targets;          // not tried yet
  Splicer::MakeSocket make_socket;
  Splicer::Done done;
  Splicer::Id id = 0;
  std::shared_ptr<Tap> tap;  // of what the client says
  bool connecting = false;
  bool queued = false;
  bool dead = false;
  int looks = 0;  // at the send queue
};

void set_up(int socket) {
  const int on = 1;
  const int flags = ::fcntl(socket, F_GETFL);
  if ((flags & O_NONBLOCK) == 0) ::fcntl(socket, F_SETFL, flags | O_NONBLOCK);
  // Each write was pushed by its sender already; to collect again would only cost time. Not TCP: refused, no
  // matter.
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

// splice(2) to a socket that was reset raises SIGPIPE, and knows no MSG_NOSIGNAL. A handler that does
// nothing, and not SIG_IGN: what we execute later gets the default back.
void survive_broken_pipes() {
  struct sigaction now{};
  if (::sigaction(SIGPIPE, nullptr, &now) != 0 || now.sa_handler != SIG_DFL) return;
  now = {};
  now.sa_handler = [](int) {};
  now.sa_flags = SA_RESTART;
  ::sigaction(SIGPIPE, &now, nullptr);
}

// The next close sends RST.
void make_reset(int socket) {
  const linger abort{1, 0};
  ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
}

}  // namespace

Target Target::of(const sockaddr* address, socklen_t size) noexcept {
  Target target;
  std::memcpy(&target.address_, address, std::min<std::size_t>(size, sizeof target.address_));
  target.size_ = size;
  return target;
}

std::uint16_t Target::port() const noexcept {
  return ntohs(family() == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(address_).sin6_port
                                    : reinterpret_cast<const sockaddr_in&>(address_).sin_port);
}

std::string Target::text() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* bytes = &reinterpret_cast<const sockaddr_in&>(address_).sin_addr;
  int form = AF_INET;
  if (family() == AF_INET6) {
    const in6_addr& six = reinterpret_cast<const sockaddr_in6&>(address_).sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&six)) {
      bytes = &six.s6_addr[12];
    } else {
      bytes = &six;
      form = AF_INET6;
    }
  }
  return ::inet_ntop(form, bytes, text.data(), text.size()) == nullptr ? std::string() : std::string(text.data());
}

Target Target::loopback(int family, std::uint16_t port) noexcept {
  Target target;
  if (family == AF_INET6) {
    auto& address = reinterpret_cast<sockaddr_in6&>(target.address_);
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(port);
    address.sin6_addr = in6addr_loopback;
    target.size_ = sizeof address;
  } else {
    auto& address = reinterpret_cast<sockaddr_in&>(target.address_);
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    target.size_ = sizeof address;
  }
  return target;
}

base::UniqueFd own_socket(int family) {
  return base::UniqueFd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

class Splicer::Impl : public std::enable_shared_from_this<Impl> {
 public:
  explicit Impl(boost::asio::io_context& loop) : loop_(loop), epoll_(loop), linger_timer_(loop) {
    base::UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
    if (!epoll) throw base::SystemError(errno, "cannot create an epoll instance");
    epoll_.assign(epoll.release());
    survive_broken_pipes();
  }

  void begin() { wait(); }
  void connect(base::UniqueFd client_socket, std::vector<Target> targets, const MakeSocket& make_socket, Done done);
  Id relay(base::UniqueFd client_socket, base::UniqueFd upstream_socket, Done done, std::shared_ptr<Tap> tap);
  void go_on(Id id);
  void stop(Id id);
  void close();
  [[nodiscard]] std::size_t open() const noexcept { return connections_.size(); }

 private:
  enum class Progress : std::uint8_t { waits, more, lingers, finished, reset };

  Connection& add(base::UniqueFd client_socket, Done done);
  bool watch(End& end);
  void blocked(End& sink);
  void release(End& end);
  void next_target(Connection& connection);
  void established(Connection& connection);
  void wait();
  void on_events();
  void on_event(End& end, std::uint32_t events);
  void enqueue(Connection& connection);
  void run_queue();
  Progress pump(Connection& connection);
  // True if it could go on, but has had its turn. `tap`: nullptr if there is none.
  bool move(Direction& direction, End& source, End& sink, Tap* tap);
  // How much may be taken from it; asks for more where that is nothing.
  std::uint64_t most_from(Direction& direction, End& source, Tap* tap);
  // A small message at once. True if there may be more.
  bool copy(Direction& direction, End& source, End& sink, Tap* tap);
  bool keep(Direction& direction, std::string_view rest);
  // True if bytes went, or the end of them came.
  bool fill(End& source, Direction& direction, Tap* tap);
  bool empty(Direction& direction, End& sink);
  void drop_pipe(Direction& direction);
  void linger(Connection& connection);
  void end(Connection& connection, Outcome outcome);

  boost::asio::io_context& loop_;
  // One epoll instance within that of the loop: each socket is registered once, edge-triggered, instead of
  // being armed again for each wait.
  boost::asio::posix::stream_descriptor epoll_;
  PipePool pipes_;
  std::array<char, small> buffer_{};
  std::unordered_map<Connection*, std::unique_ptr<Connection>> connections_;
  std::unordered_map<Id, Connection*> tapped_;
  Id last_id_ = 0;
  std::vector<std::unique_ptr<Connection>> dead_;  // events of this turn may still point to them
  std::deque<Connection*> queue_;
  std::vector<Connection*> lingering_;
  boost::asio::steady_timer linger_timer_;
  bool posted_ = false, closed_ = false;
};

// ---- Connections come and go ----

Connection& Splicer::Impl::add(base::UniqueFd client_socket, Done done) {
  auto owned = std::make_unique<Connection>();
  Connection& connection = *owned;
  connections_.emplace(&connection, std::move(owned));
  connection.done = std::move(done);
  connection.ends[client].socket = std::move(client_socket);
  for (Side side : {client, upstream}) {
    connection.ends.at(side).connection = &connection;
    connection.ends.at(side).side = side;
  }
  set_up(connection.ends[client].socket.get());
  return connection;
}

bool Splicer::Impl::watch(End& end) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLRDHUP | EPOLLET | (end.awaits_writable ? EPOLLOUT : 0U);
  event.data.ptr = &end;
  end.watched = ::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_ADD, end.socket.get(), &event) == 0;
  return end.watched;
}

// The kernel has refused a write, or taken part of it. Most connections never come to that, so that epoll is told only now
// to wake us for it; should there be room again already, it does so at once.
void Splicer::Impl::blocked(End& sink) {
  sink.writable = false;
  if (std::exchange(sink.awaits_writable, true) || !sink.watched) return;
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = &sink;
  if (::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_MOD, sink.socket.get(), &event) != 0) sink.broken = true;
}

// Explicitly out of epoll: a room's socket may have a twin in the helper that made it, and events with it.
void Splicer::Impl::release(End& end) {
  if (!end.socket) return;
  if (std::exchange(end.watched, false)) {
    ::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_DEL, end.socket.get(), nullptr);
  }
  end.socket.reset();
}

void Splicer::Impl::connect(base::UniqueFd client_socket, std::vector<Target> targets, const MakeSocket& make_socket,
                            Done done) {
  Connection& connection = add(std::move(client_socket), std::move(done));
  connection.targets = std::move(targets);
  std::ranges::reverse(connection.targets);
  connection.make_socket = make_socket;
  next_target(connection);
}

Splicer::Id Splicer::Impl::relay(base::UniqueFd client_socket, base::UniqueFd upstream_socket, Done done,
                                 std::shared_ptr<Tap> tap) {
  Connection& connection = add(std::move(client_socket), std::move(done));
  const Id id = connection.id = ++last_id_;
  if (tap) tapped_.emplace(id, &connection);
  connection.tap = std::move(tap);
  connection.ends[upstream].socket = std::move(upstream_socket);
  set_up(connection.ends[upstream].socket.get());
  established(connection);
  return id;
}

void Splicer::Impl::go_on(Id id) {
  if (auto found = tapped_.find(id); found != tapped_.end()) enqueue(*found->second);
}

void Splicer::Impl::stop(Id id) {
  if (auto found = tapped_.find(id); found != tapped_.end()) end(*found->second, Outcome::reset);
}

void Splicer::Impl::next_target(Connection& connection) {
  End& to = connection.ends[upstream];
  connection.connecting = true;
  while (!connection.targets.empty()) {
    const Target target = connection.targets.back();
    connection.targets.pop_back();
    try {
      to.socket = connection.make_socket(target.family());
    } catch (const base::SystemError&) {
      to.socket.reset();
    }
    if (!to.socket) continue;
    set_up(to.socket.get());
    const int result = ::connect(to.socket.get(), target.address(), target.size());
    if (result != 0 && errno != EINPROGRESS) continue;
    to.hung_up = false;
    to.awaits_writable = true;  // that tells the end of connecting
    if (!watch(to)) continue;
    if (result == 0) established(connection);
    return;
  }
  end(connection, Outcome::refused);
}

void Splicer::Impl::established(Connection& connection) {
  connection.connecting = false;
  connection.targets = {};
  connection.make_socket = {};
  // What the client has said already goes on before anything else is seen to. What comes of it is for its turn.
  const Progress progress = pump(connection);
  for (End& side : connection.ends) {
    if (side.watched || watch(side)) continue;
    connection.ends[client].broken = connection.ends[upstream].broken = true;
  }
  if (progress != Progress::waits || connection.ends[client].broken) enqueue(connection);
}

void Splicer::Impl::end(Connection& connection, Outcome outcome) {
  if (std::exchange(connection.dead, true)) return;
  for (auto& direction : connection.directions) drop_pipe(direction);
  for (auto& side : connection.ends) {
    if (outcome != Outcome::finished && side.socket) make_reset(side.socket.get());
    release(side);
  }
  if (connection.tap) tapped_.erase(connection.id);
  auto found = connections_.find(&connection);
  dead_.push_back(std::move(found->second));
  connections_.erase(found);
  const Bytes bytes{connection.directions[client].bytes, connection.directions[upstream].bytes};
  if (connection.done) std::exchange(connection.done, {})(outcome, bytes);
}

void Splicer::Impl::close() {
  closed_ = true;
  for (auto& [pointer, connection] : connections_) {
    for (auto& side : connection->ends) {
      if (side.socket) make_reset(side.socket.get());
    }
  }
  connections_.clear();
  tapped_.clear();
  queue_.clear();
  lingering_.clear();
  linger_timer_.cancel();
  dead_.clear();
  boost::system::error_code ignored;
  epoll_.close(ignored);
}

// ---- Events ----

void Splicer::Impl::wait() {
  epoll_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                    [self = shared_from_this()](boost::system::error_code error) {
                      if (error || self->closed_) return;
                      self->on_events();
                      if (!self->closed_) self->wait();
                    });
}

void Splicer::Impl::on_events() {
  posted_ = true;  // the queue runs at our end
  std::array<epoll_event, 128> events;
  const int count = ::epoll_wait(epoll_.native_handle(), events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < count && !closed_; ++i) {
    const auto& event = events.at(static_cast<std::size_t>(i));
    on_event(*static_cast<End*>(event.data.ptr), event.events);
  }
  run_queue();
}

void Splicer::Impl::on_event(End& end, std::uint32_t events) {
  Connection& connection = *end.connection;
  if (connection.dead || !end.socket) return;
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) end.readable = true;
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) end.hung_up = true;
  if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) end.writable = true;
  if (!connection.connecting) return enqueue(connection);
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(end.socket.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error != 0) {
    release(end);
    next_target(connection);
  } else if ((events & EPOLLOUT) != 0) {
    established(connection);
  }
}

void Splicer::Impl::enqueue(Connection& connection) {
  if (!std::exchange(connection.queued, true)) queue_.push_back(&connection);
  if (std::exchange(posted_, true)) return;
  boost::asio::post(loop_, [self = shared_from_this()] {
    if (!self->closed_) self->run_queue();
  });
}

// Each connection that was ready has one turn; who could go on has the next one after the loop has seen to
// others.
void Splicer::Impl::run_queue() {
  posted_ = false;
  for (std::size_t left = queue_.size(); left != 0 && !closed_; --left) {
    Connection& connection = *queue_.front();
    queue_.pop_front();
    connection.queued = false;
    if (connection.dead) continue;
    switch (pump(connection)) {
      case Progress::waits: break;
      case Progress::more: enqueue(connection); break;
      case Progress::lingers: linger(connection); break;
      case Progress::finished: end(connection, Outcome::finished); break;
      case Progress::reset: end(connection, Outcome::reset); break;
    }
  }
  // A queued one is needed until its turn comes.
  std::erase_if(dead_, [](const auto& connection) { return !connection->queued; });
}

// ---- Bytes ----

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
    if (!source.broken && ::shutdown(sink.socket.get(), SHUT_WR) != 0) sink.broken = true;
  }
  return false;
}

// Whoever has nothing to say asks for nothing, and who has said all is not held.
std::uint64_t Splicer::Impl::most_from(Direction& direction, End& source, Tap* tap) {
  if (tap == nullptr) return most_at_once;
  if (const std::uint64_t left = tap->left(); left != 0) return std::min<std::uint64_t>(left, most_at_once);
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
  const std::size_t most = std::min<std::uint64_t>(most_from(direction, source, tap), buffer_.size());
  if (most == 0) return false;
  const auto count = ::recv(source.socket.get(), buffer_.data(), most, MSG_DONTWAIT);
  if (count < 0 && errno == EINTR) return true;
  if (count < 0 && errno == EAGAIN) {
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
  if (tap != nullptr) tap->passed(said.size());
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
  const std::uint64_t most = most_from(direction, source, tap);
  if (most == 0) return direction.ended;
  if (!direction.pipe) direction.pipe = pipes_.take();
  const auto count = direction.pipe ? ::splice(source.socket.get(), nullptr, direction.pipe->write_end.get(), nullptr,
                                               most, SPLICE_F_MOVE | SPLICE_F_NONBLOCK)
                                    : -1;  // no descriptor left: better this connection lost than all stuck
  if (count > 0) {
    direction.in_pipe += static_cast<std::size_t>(count);
    direction.bytes += static_cast<std::size_t>(count);
    if (tap != nullptr) tap->passed(static_cast<std::uint64_t>(count));
    return true;
  }
  if (count < 0 && errno == EINTR) return true;
  if (count < 0 && errno == EAGAIN) {
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

// ---- The outside ----

Splicer::Splicer(boost::asio::io_context& loop) : impl_(std::make_shared<Impl>(loop)) {
  impl_->begin();
}
Splicer::~Splicer() {
  impl_->close();
}
void Splicer::connect(base::UniqueFd client_socket, std::vector<Target> targets, const MakeSocket& make_socket,
                      Done done) {
  impl_->connect(std::move(client_socket), std::move(targets), make_socket, std::move(done));
}
Splicer::Id Splicer::relay(base::UniqueFd client_socket, base::UniqueFd upstream_socket, Done done,
                           std::shared_ptr<Tap> tap) {
  return impl_->relay(std::move(client_socket), std::move(upstream_socket), std::move(done), std::move(tap));
}
void Splicer::go_on(Id id) {
  impl_->go_on(id);
}
void Splicer::stop(Id id) {
  impl_->stop(id);
}
std::size_t Splicer::open() const noexcept {
  return impl_->open();
}

}  // namespace agentbox::gates::network
