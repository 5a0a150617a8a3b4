#include <list>
#include <optional>
#include <string>
#include <utility>

#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "agentbox/gates/network/loopback.hpp"

#include "acceptor.hpp"
#include "dial.hpp"
#include "http_relay.hpp"
#include "model_api.hpp"
#include "model_judge.hpp"

namespace agentbox::gates::network {

namespace {

constexpr std::chrono::seconds connect_patience{10};

}  // namespace

HttpRelay::Judge model_judge() {
  HttpRelay::Judge judge;
  judge.head = [](const HttpRequest& request) -> std::optional<HttpRefusal> {
    const auto call = rule_model_call(request);
    return call ? std::nullopt : std::optional(call.error());
  };
  judge.collects = [](const HttpRequest& request) -> std::size_t {
    const auto call = rule_model_call(request);
    return call && *call == ModelBody::json ? most_model_body : 0;
  };
  judge.body = [](const HttpRequest&, const std::string& body) { return problem_of_model_body(body); };
  return judge;
}

class ModelGate::Impl {
 public:
  Impl(boost::asio::io_context& loop, std::uint16_t port, Limits limits)
      : loop_(loop), port_(port), acceptor_(loop, limits.connections, [this](base::UniqueFd client, int family) {
          accepted(std::move(client), family);
        }) {}
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
    at->dial = Dial::start(loop_, {Target::loopback(family, port_), Target::loopback(other, port_)}, connect_patience,
                           [this, at](base::UniqueFd socket, const Target*, int) { dialled(at, std::move(socket)); });
  }

  void dialled(At at, base::UniqueFd socket) {
    if (!socket) {
      ++counters_.refused;
      const linger at_once{.l_onoff = 1, .l_linger = 0};
      ::setsockopt(at->client.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
      return ended(at, {});
    }
    HttpRequests::Passing passing;
    passing.authority = "localhost:" + std::to_string(port_);
    passing.upgrade = HttpRequests::Passing::Upgrade::drop;
    at->relay.emplace(loop_, std::move(at->client), std::move(socket), std::string(), std::move(passing), model_judge(),
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
  std::uint16_t port_;
  Counters counters_;
  std::list<Connection> connections_;
  Acceptor acceptor_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

ModelGate::ModelGate(boost::asio::io_context& loop, std::uint16_t port, Limits limits)
    : impl_(std::make_unique<Impl>(loop, port, limits)) {}
ModelGate::~ModelGate() = default;
void ModelGate::serve(base::UniqueFd listener) {
  impl_->serve(std::move(listener));
}
Counters ModelGate::counters() const noexcept {
  return impl_->counters();
}

}  // namespace agentbox::gates::network
