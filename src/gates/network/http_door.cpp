#include "http_door.hpp"

#include <chrono>
#include <list>
#include <optional>
#include <utility>

#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "acceptor.hpp"
#include "dial.hpp"

namespace agentbox::gates::network {

namespace {

constexpr std::chrono::seconds connect_patience{10};

}  // namespace

class HttpDoor::Impl {
 public:
  Impl(boost::asio::io_context& loop, Setup setup)
      : loop_(loop),
        setup_(std::move(setup)),
        acceptor_(loop, setup_.limits.connections,
                  [this](base::UniqueFd client, int family) { accepted(std::move(client), family); }) {}
  ~Impl() {
    *alive_ = false;
    for (Connection& connection : connections_) {
      if (connection.dial) connection.dial->cancel();
    }
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void serve(base::UniqueFd listener) { acceptor_.serve(std::move(listener)); }
  [[nodiscard]] Counters counters() const noexcept { return counters_; }

 private:
  struct Connection {
    base::UniqueFd client;
    std::shared_ptr<Dial> dial;
    std::optional<HttpRelay> relay;
  };
  using At = std::list<Connection>::iterator;

  void accepted(base::UniqueFd client, int family) {
    ++counters_.connections;
    const At at = connections_.emplace(connections_.end());
    at->client = std::move(client);
    const int other = family == AF_INET ? AF_INET6 : AF_INET;
    at->dial = Dial::start(
        loop_, {Target::loopback(family, setup_.port), Target::loopback(other, setup_.port)}, connect_patience,
        [this, at](Watched socket, const Target*, int) { dialled(at, std::move(socket)); }, setup_.make_socket);
  }

  void dialled(At at, Watched socket) {
    if (!socket) {
      ++counters_.refused;
      const linger at_once{.l_onoff = 1, .l_linger = 0};
      ::setsockopt(at->client.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
      return ended(at, {});
    }
    at->relay.emplace(loop_, std::move(at->client), std::move(socket), std::string(), setup_.passing, setup_.judge(),
                      [this, at](const HttpRelay::End& end) { ended(at, end.bytes); });
  }

  // Not from within the relay's own call.
  void ended(At at, Bytes bytes) {
    counters_.bytes.to_upstream += bytes.to_upstream;
    counters_.bytes.to_client += bytes.to_client;
    boost::asio::post(loop_, [this, alive = alive_, at] {
      if (!*alive) return;
      connections_.erase(at);
      acceptor_.release();
    });
  }

  boost::asio::io_context& loop_;
  Setup setup_;
  Counters counters_;
  std::list<Connection> connections_;
  Acceptor acceptor_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

HttpDoor::HttpDoor(boost::asio::io_context& loop, Setup setup)
    : impl_(std::make_unique<Impl>(loop, std::move(setup))) {}
HttpDoor::~HttpDoor() = default;
void HttpDoor::serve(base::UniqueFd listener) {
  impl_->serve(std::move(listener));
}
Counters HttpDoor::counters() const noexcept {
  return impl_->counters();
}

}  // namespace agentbox::gates::network
