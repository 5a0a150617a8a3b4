#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <utility>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>

#include <boost/asio/post.hpp>

#include "agentbox/base/error.hpp"

#include "splicer_impl.hpp"

namespace agentbox::gates::network {

namespace {

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

Splicer::Impl::Impl(boost::asio::io_context& loop) : loop_(loop), linger_timer_(loop) {
  Watched::prepare(loop);  // or it can't be made now, and not at the first connection
  survive_broken_pipes();
}

// ---- Connections come and go ----

Connection& Splicer::Impl::add(Watched client_socket, Done done) {
  auto owned = std::make_unique<Connection>();
  Connection& connection = *owned;
  connections_.emplace(&connection, std::move(owned));
  connection.splicer = this;
  connection.done = std::move(done);
  for (End& end : connection.ends) end.connection = &connection;
  take(connection.ends[client], std::move(client_socket));
  return connection;
}

void Splicer::Impl::take(End& end, Watched socket) {
  end.readable = socket.may_be_readable();
  end.hung_up = socket.hung_up();
  end.socket = std::move(socket);
}

// The kernel has refused a write, or taken part of it. Most connections never come to that, so that it is asked only
// now to tell of room.
void Splicer::Impl::blocked(End& sink) {
  sink.writable = false;
  if (sink.listens && !sink.socket.listen_for_room()) sink.broken = true;
}

void Splicer::Impl::connect(base::UniqueFd client_socket, std::vector<Target> targets, const MakeSocket& make_socket,
                            Done done) {
  Connection& connection = add(std::move(client_socket), std::move(done));
  connection.targets = std::move(targets);
  std::ranges::reverse(connection.targets);
  connection.make_socket = make_socket;
  next_target(connection);
}

Splicer::Id Splicer::Impl::relay(Watched client_socket, Watched upstream_socket, Done done, std::shared_ptr<Tap> tap) {
  Connection& connection = add(std::move(client_socket), std::move(done));
  const Id id = connection.id = ++last_id_;
  if (tap) tapped_.emplace(id, &connection);
  connection.tap = std::move(tap);
  take(connection.ends[upstream], std::move(upstream_socket));
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
    base::UniqueFd socket;
    try {
      socket = connection.make_socket(target.family());
    } catch (const base::SystemError&) {
      continue;
    }
    if (!socket) continue;
    const int on = 1;
    ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // as the acceptor does
    take(to, std::move(socket));
    const int result = ::connect(to.socket.get(), target.address(), target.size());
    if (result != 0 && errno != EINPROGRESS) continue;
    // Room to write tells the end of connecting.
    to.listens = to.socket.listen(loop_, to) && to.socket.listen_for_room();
    if (!to.listens) continue;
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
    side.listens = side.socket.listen(loop_, side);
    if (side.listens && (side.writable || side.socket.listen_for_room())) continue;
    connection.ends[client].broken = connection.ends[upstream].broken = true;
  }
  if (progress != Progress::waits || connection.ends[client].broken) enqueue(connection);
}

void Splicer::Impl::end(Connection& connection, Outcome outcome) {
  if (std::exchange(connection.dead, true)) return;
  for (auto& direction : connection.directions) drop_pipe(direction);
  for (auto& side : connection.ends) {
    if (outcome != Outcome::finished && side.socket) make_reset(side.socket.get());
    side.socket.reset();
  }
  if (connection.tap) tapped_.erase(connection.id);
  auto found = connections_.find(&connection);
  dead_.push_back(std::move(found->second));
  connections_.erase(found);
  run_queue_soon();
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
}

// ---- Events ----

void End::on_events(std::uint32_t events) {
  connection->splicer->on_event(*this, events);
}

void Splicer::Impl::on_event(End& end, std::uint32_t events) {
  Connection& connection = *end.connection;
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) end.readable = true;
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) end.hung_up = true;
  if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) end.writable = true;
  if (!connection.connecting) {
    if (!connection.queued) give_turn(connection);
    return;
  }
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(end.socket.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error != 0) {
    end.socket.reset();
    next_target(connection);
  } else if ((events & EPOLLOUT) != 0) {
    established(connection);
  }
}

void Splicer::Impl::enqueue(Connection& connection) {
  if (!std::exchange(connection.queued, true)) queue_.push_back(&connection);
  run_queue_soon();
}

void Splicer::Impl::run_queue_soon() {
  if (std::exchange(posted_, true)) return;
  boost::asio::post(loop_, [self = shared_from_this()] {
    if (!self->closed_) self->run_queue();
  });
}

// Whoever could go on has the next turn after the loop has seen to others.
void Splicer::Impl::give_turn(Connection& connection) {
  switch (pump(connection)) {
    case Progress::waits: break;
    case Progress::more: enqueue(connection); break;
    case Progress::lingers: linger(connection); break;
    case Progress::finished: end(connection, Outcome::finished); break;
    case Progress::reset: end(connection, Outcome::reset); break;
  }
}

void Splicer::Impl::run_queue() {
  for (std::size_t left = queue_.size(); left != 0 && !closed_; --left) {
    Connection& connection = *queue_.front();
    queue_.pop_front();
    connection.queued = false;
    if (!connection.dead) give_turn(connection);
  }
  // A queued one is needed until its turn comes.
  std::erase_if(dead_, [](const auto& connection) { return !connection->queued; });
  posted_ = false;
  if (!queue_.empty() && !closed_) run_queue_soon();
}

// ---- The outside ----

Splicer::Splicer(boost::asio::io_context& loop) : impl_(std::make_shared<Impl>(loop)) {}
Splicer::~Splicer() {
  impl_->close();
}
void Splicer::connect(base::UniqueFd client_socket, std::vector<Target> targets, const MakeSocket& make_socket,
                      Done done) {
  impl_->connect(std::move(client_socket), std::move(targets), make_socket, std::move(done));
}
Splicer::Id Splicer::relay(Watched client_socket, Watched upstream_socket, Done done, std::shared_ptr<Tap> tap) {
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
