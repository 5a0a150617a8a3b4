#include "acceptor.hpp"

#include <cerrno>
#include <chrono>
#include <string>
#include <utility>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "agentbox/base/error.hpp"

namespace agentbox::gates::network {

namespace {

constexpr int most_at_once = 64;  // then others of the loop have their turn
constexpr auto try_again = std::chrono::milliseconds(100);

}  // namespace

struct Acceptor::Listener {
  boost::asio::posix::stream_descriptor socket;
  boost::asio::steady_timer timer;
  int family;
  bool waiting = false;

  Listener(boost::asio::io_context& loop, int family_of_socket) : socket(loop), timer(loop), family(family_of_socket) {}
};

Acceptor::Acceptor(boost::asio::io_context& loop, std::size_t most_open, Accepted accepted)
    : loop_(loop), most_open_(most_open), accepted_(std::move(accepted)) {}

Acceptor::~Acceptor() {
  *alive_ = false;
  close();
}

void Acceptor::serve(base::UniqueFd listener) {
  int family = 0, listens = 0;
  const int on = 1;
  socklen_t size = sizeof family;
  if (::getsockopt(listener.get(), SOL_SOCKET, SO_DOMAIN, &family, &size) != 0 ||
      ::getsockopt(listener.get(), SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 ||
      ::fcntl(listener.get(), F_SETFL, ::fcntl(listener.get(), F_GETFL) | O_NONBLOCK) != 0) {
    throw base::SystemError(errno, "cannot accept connections");
  }
  if (listens == 0 || (family != AF_INET && family != AF_INET6)) {
    throw base::SystemError(EINVAL, "cannot accept connections");
  }
  // Each connection has it from here. What is relayed was pushed by its sender already; to collect again would cost
  // time.
  ::setsockopt(listener.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  auto& added = *listeners_.emplace_back(std::make_unique<Listener>(loop_, family));
  added.socket.assign(listener.release());
  wait(added);
}

void Acceptor::close() {
  closed_ = true;
  boost::system::error_code ignored;
  for (auto& listener : listeners_) {
    listener->timer.cancel();
    listener->socket.close(ignored);
  }
}

void Acceptor::wait(Listener& listener) {
  if (closed_ || open_ >= most_open_ || std::exchange(listener.waiting, true)) return;
  listener.socket.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                             [this, alive = alive_, &listener](boost::system::error_code error) {
                               if (!*alive) return;
                               listener.waiting = false;
                               if (!error && !closed_) accept(listener);
                             });
}

void Acceptor::accept(Listener& listener) {
  for (int i = 0; i < most_at_once && open_ < most_open_ && !closed_; ++i) {
    base::UniqueFd client(::accept4(listener.socket.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!client) {
      if (errno == EAGAIN) break;
      if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM) continue;  // a client that left
      listener.waiting = true;
      listener.timer.expires_after(try_again);
      listener.timer.async_wait([this, alive = alive_, &listener](boost::system::error_code error) {
        if (!*alive) return;
        listener.waiting = false;
        if (!error) wait(listener);
      });
      return;
    }
    ++open_;
    accepted_(std::move(client), listener.family);
  }
  wait(listener);
}

void Acceptor::release() {
  --open_;
  for (auto& listener : listeners_) wait(*listener);
}

}  // namespace agentbox::gates::network
