#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <utility>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <boost/asio/post.hpp>

#include "agentbox/base/error.hpp"

#include "splicer_impl.hpp"

namespace agentbox::gates::network {

namespace {

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

Splicer::Impl::Impl(boost::asio::io_context& loop) : loop_(loop), epoll_(loop), linger_timer_(loop) {
  base::UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) throw base::SystemError(errno, "cannot create an epoll instance");
  epoll_.assign(epoll.release());
  survive_broken_pipes();
}

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
