#include "agentbox/gates/network/loopback.hpp"

#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <netinet/in.h>

#include "agentbox/base/error.hpp"

#include "acceptor.hpp"
#include "http_door.hpp"
#include "page_rules.hpp"

namespace agentbox::gates::network {

// The gates differ in where they listen and whose socket connects.
class PortRelay : public std::enable_shared_from_this<PortRelay> {
 public:
  PortRelay(boost::asio::io_context& loop, Splicer& splicer, Splicer::MakeSocket make_socket, std::uint16_t port,
            Limits limits)
      : splicer_(splicer),
        make_socket_(std::move(make_socket)),
        port_(port),
        acceptor_(loop, limits.connections,
                  [this](base::UniqueFd client, int family) { accepted(std::move(client), family); }) {}

  void serve(base::UniqueFd listener) { acceptor_.serve(std::move(listener)); }
  void close() { acceptor_.close(); }
  [[nodiscard]] Counters counters() const noexcept { return counters_; }

 private:
  // The listener's own family first.
  void accepted(base::UniqueFd client, int family) {
    ++counters_.connections;
    const int other = family == AF_INET ? AF_INET6 : AF_INET;
    splicer_.connect(std::move(client), {Target::loopback(family, port_), Target::loopback(other, port_)}, make_socket_,
                     [weak = weak_from_this()](Outcome outcome, Bytes bytes) {
                       if (auto self = weak.lock()) self->ended(outcome, bytes);
                     });
  }
  void ended(Outcome outcome, Bytes bytes) {
    if (outcome == Outcome::refused) ++counters_.refused;
    counters_.bytes.to_upstream += bytes.to_upstream;
    counters_.bytes.to_client += bytes.to_client;
    acceptor_.release();
  }

  Splicer& splicer_;
  Splicer::MakeSocket make_socket_;
  std::uint16_t port_;
  Counters counters_;
  Acceptor acceptor_;
};
class LoopbackGate::Impl : public PortRelay {
 public:
  using PortRelay::PortRelay;
};
class PublishGate::Impl : public PortRelay {
 public:
  using PortRelay::PortRelay;
};

LoopbackGate::LoopbackGate(boost::asio::io_context& loop, Splicer& splicer, std::uint16_t port, Limits limits)
    : impl_(std::make_shared<Impl>(loop, splicer, own_socket, port, limits)) {}
LoopbackGate::~LoopbackGate() {
  impl_->close();
}
void LoopbackGate::serve(base::UniqueFd listener) {
  impl_->serve(std::move(listener));
}
Counters LoopbackGate::counters() const noexcept {
  return impl_->counters();
}

namespace {

std::string hint_for(int error, std::uint16_t host_port, std::uint16_t room_port) {
  const std::string other = "publish = [\"PORT:" + std::to_string(room_port) + "\"] takes another port of the host";
  if (error == EADDRINUSE) {
    return "another program listens there (`ss -ltnp sport = :" + std::to_string(host_port) + "` shows it); " + other;
  }
  if (error == EACCES) return "ports below 1024 belong to root; " + other;
  return {};
}

// Empty where the machine has no such family.
base::UniqueFd listen_on(int family, std::uint16_t port, std::uint16_t room_port) {
  const int on = 1;
  const Target target = Target::loopback(family, port);
  base::UniqueFd listener = own_socket(family);
  if (!listener && errno == EAFNOSUPPORT) return listener;
  if (family == AF_INET6) ::setsockopt(listener.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  // Not to share the port, only to have it again right after a run whose connections are still in TIME_WAIT.
  ::setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(listener.get(), target.address(), target.size()) != 0 || ::listen(listener.get(), SOMAXCONN) != 0) {
    const int error = errno;
    if (error == EADDRNOTAVAIL && family == AF_INET6) return {};
    throw base::SystemError(
        error,
        "cannot publish a port on " + std::string(family == AF_INET6 ? "[::1]:" : "127.0.0.1:") + std::to_string(port),
        hint_for(error, port, room_port));
  }
  return listener;
}

// On both addresses of the host's loopback.
template <class Serve>
void listen_outside(std::uint16_t host_port, std::uint16_t room_port, Serve serve) {
  auto four = listen_on(AF_INET, host_port, room_port);
  auto six = listen_on(AF_INET6, host_port, room_port);
  if (!four) throw base::SystemError(EAFNOSUPPORT, "cannot publish port " + std::to_string(host_port));
  serve(std::move(four));
  if (six) serve(std::move(six));
}

}  // namespace

PublishGate::PublishGate(boost::asio::io_context& loop, Splicer& splicer, std::uint16_t host_port,
                         std::uint16_t room_port, Splicer::MakeSocket room_socket, Limits limits)
    : impl_(std::make_shared<Impl>(loop, splicer, std::move(room_socket), room_port, limits)) {
  listen_outside(host_port, room_port, [this](base::UniqueFd listener) { impl_->serve(std::move(listener)); });
}
PublishGate::~PublishGate() {
  impl_->close();
}
Counters PublishGate::counters() const noexcept {
  return impl_->counters();
}

// ---- pages ----

class PageGate::Impl : public HttpDoor {
 public:
  using HttpDoor::HttpDoor;
};

namespace {

HttpDoor::Setup page_setup(std::uint16_t host_port, std::uint16_t room_port, std::string name,
                           Splicer::MakeSocket room_socket, Limits limits) {
  const auto rules = std::make_shared<const PageRules>(std::move(name), host_port);
  HttpDoor::Setup setup;
  setup.port = room_port;
  setup.make_socket = std::move(room_socket);
  setup.passing.authority = rules->authority();
  setup.judge = [rules] {
    HttpRelay::Judge judge;
    judge.own = rules->name();
    judge.head = [rules](const HttpRequest& request) { return rules->problem_of(request); };
    judge.instead = [rules](const HttpRequest& request) -> std::optional<std::string> {
      const auto location = rules->elsewhere(request);
      return location ? std::optional(http_redirect(*location)) : std::nullopt;
    };
    judge.answers = {.add = rules->added(), .removes = PageRules::removes};
    return judge;
  };
  setup.limits = limits;
  return setup;
}

}  // namespace

PageGate::PageGate(boost::asio::io_context& loop, std::uint16_t host_port, std::uint16_t room_port, std::string name,
                   Splicer::MakeSocket room_socket, Limits limits)
    : impl_(std::make_unique<Impl>(loop,
                                   page_setup(host_port, room_port, std::move(name), std::move(room_socket), limits))) {
  listen_outside(host_port, room_port, [this](base::UniqueFd listener) { impl_->serve(std::move(listener)); });
}
PageGate::~PageGate() = default;
Counters PageGate::counters() const noexcept {
  return impl_->counters();
}

}  // namespace agentbox::gates::network
