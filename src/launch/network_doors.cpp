#include "network_doors.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <optional>
#include <utility>

#include <sys/random.h>

#include <boost/asio/io_context.hpp>

#include "agentbox/base/error.hpp"
#include "agentbox/broker/decider.hpp"
#include "agentbox/gates/network/gate.hpp"
#include "agentbox/gates/network/loopback.hpp"
#include "agentbox/gates/network/splicer.hpp"

#include "requester.hpp"

namespace agentbox::launch {

namespace network = gates::network;

namespace {

std::string random_secret() {
  std::array<char, 32> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    throw base::SystemError(errno, "cannot get random bytes");
  }
  return {bytes.data(), bytes.size()};
}

}  // namespace

class NetworkDoors::Impl {
 public:
  Impl(boost::asio::io_context& loop, broker::Decider& decider, const policy::Policy& policy, Room& room, pid_t init,
       std::vector<Listener> listeners)
      : loop_(loop) {
    if (policy.outside == policy::Outside::ruled) {
      network::GateSetup setup;
      setup.rules = policy.rules;
      setup.secret = random_secret();
      setup.look_up = network::look_up_by_system;
      setup.who = [init](const sockaddr_storage& peer) { return find_requester(init, peer); };
      gate_.emplace(loop, decider, splicer(), std::move(setup));
    }
    for (Listener& listener : listeners) serve(policy, std::move(listener));
    for (const profile::Publication& publication : policy.publish) {
      publish_.push_back(
          std::make_unique<network::PublishGate>(loop, splicer(), publication.outside, publication.inside,
                                                 [&room](int family) { return room.room_socket(family); }));
    }
  }

 private:
  // Made when the first door needs it.
  network::Splicer& splicer() {
    if (!splicer_) splicer_.emplace(loop_);
    return *splicer_;
  }

  void serve(const policy::Policy& policy, Listener listener) {
    using Use = Listener::Use;
    switch (listener.use) {
      case Use::connections: return gate_->serve_connections(std::move(listener.fd));
      case Use::dns_stream: return gate_->serve_dns_stream(std::move(listener.fd));
      case Use::dns_datagram: return gate_->serve_dns_datagrams(std::move(listener.fd));
      case Use::http_proxy: return gate_->serve_proxy(std::move(listener.fd), network::Gate::Proxy::http);
      case Use::socks_proxy: return gate_->serve_proxy(std::move(listener.fd), network::Gate::Proxy::socks);
      case Use::loopback: break;
    }
    auto grant = std::ranges::find(policy.loopback, listener.port, &policy::Loopback::port);
    if (grant != policy.loopback.end() && grant->asks == policy::Loopback::Asks::yes) {
      return gate_->serve_loopback(std::move(listener.fd), listener.port);
    }
    // One gate for a port, whatever the family.
    if (grant != policy.loopback.end() && grant->speech == profile::Speech::llm) {
      std::unique_ptr<network::ModelGate>& model = models_[listener.port];
      if (!model) model = std::make_unique<network::ModelGate>(loop_, listener.port);
      return model->serve(std::move(listener.fd));
    }
    std::unique_ptr<network::LoopbackGate>& gate = loopback_[listener.port];
    if (!gate) gate = std::make_unique<network::LoopbackGate>(loop_, splicer(), listener.port);
    gate->serve(std::move(listener.fd));
  }

  boost::asio::io_context& loop_;
  std::optional<network::Splicer> splicer_;
  std::map<std::uint16_t, std::unique_ptr<network::LoopbackGate>> loopback_;
  std::map<std::uint16_t, std::unique_ptr<network::ModelGate>> models_;
  std::vector<std::unique_ptr<network::PublishGate>> publish_;
  std::optional<network::Gate> gate_;
};

NetworkDoors::NetworkDoors(boost::asio::io_context& loop, broker::Decider& decider, const policy::Policy& policy,
                           Room& room, pid_t init, std::vector<Listener> listeners)
    : impl_(std::make_unique<Impl>(loop, decider, policy, room, init, std::move(listeners))) {}
NetworkDoors::~NetworkDoors() = default;

}  // namespace agentbox::launch
