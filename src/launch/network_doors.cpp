#include "network_doors.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <optional>
#include <thread>
#include <utility>

#include <sys/random.h>
#include <sys/resource.h>

#include "agentbox/base/error.hpp"
#include "agentbox/broker/decider.hpp"
#include "agentbox/gates/network/gate.hpp"
#include "agentbox/gates/network/loopback.hpp"
#include "agentbox/gates/network/splicer.hpp"
#include "agentbox/gates/open_files.hpp"

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

// Descriptors of one connection that is busy in both directions: two sockets, and two pipes.
constexpr rlim_t of_a_connection = 6;
// Of everything else that the supervisor does.
constexpr rlim_t of_the_rest = 512;

// Threads that see to the room's connections.
constexpr std::size_t most_lanes = 4;

// How many connections each of `doors` may have open. The soft limit is mostly 1,024 descriptors, and the room must not be
// able to use up what the other doors need.
std::size_t connections_for(std::size_t doors) {
  if (doors == 0) return network::Limits{}.connections;
  const rlim_t most = network::Limits{}.connections;
  const rlim_t wanted = of_the_rest + most * of_a_connection * doors;
  const rlim_t may = gates::raise_open_files(wanted);
  const rlim_t free = may > of_the_rest ? may - of_the_rest : 0;
  return std::clamp<rlim_t>(free / of_a_connection / doors, 8, most);
}

// The gate, with a door for each port that asks, and one for each granted and each published port.
std::size_t doors_of(const policy::Policy& policy, const std::vector<Listener>& listeners) {
  std::size_t doors = policy.loopback.size() + policy.publish.size();
  for (auto use : {Listener::Use::connections, Listener::Use::http_proxy, Listener::Use::socks_proxy}) {
    doors += std::ranges::any_of(listeners, [use](const Listener& one) { return one.use == use; }) ? 1 : 0;
  }
  return doors;
}

}  // namespace

class NetworkDoors::Impl {
 public:
  Impl(boost::asio::io_context& loop, broker::Decider& decider, const policy::Policy& policy, Room& room, pid_t init,
       const std::string& session, std::vector<Listener> listeners)
      : loop_(loop), limits_{.connections = connections_for(doors_of(policy, listeners))} {
    if (policy.outside == policy::Outside::ruled) {
      network::GateSetup setup;
      setup.rules = policy.rules;
      setup.secret = random_secret();
      setup.connections = limits_.connections;
      setup.lanes = std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, most_lanes);
      setup.look_up = network::look_up_by_system;
      setup.who = [this, init](const network::Ends& ends) { return find_requester(init, table_, ends); };
      gate_.emplace(loop, decider, splicer(), std::move(setup));
    }
    for (Listener& listener : listeners) serve(policy, std::move(listener));
    if (gate_) gate_->start();
    for (const profile::Publication& publication : policy.publish) {
      auto room_socket = [&room](int family) { return room.room_socket(family); };
      if (publication.serves == profile::Serves::raw) {
        publish_.push_back(std::make_unique<network::PublishGate>(loop, splicer(), publication.outside,
                                                                  publication.inside, room_socket, limits_));
      } else {
        pages_.push_back(std::make_unique<network::PageGate>(loop, publication.outside, publication.inside,
                                                             network::page_name(session), room_socket, limits_));
      }
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
      case Use::socket_table: table_ = SocketTable(std::move(listener.fd)); return;
      case Use::loopback: break;
    }
    auto grant = std::ranges::find(policy.loopback, listener.port, &policy::Loopback::port);
    if (grant != policy.loopback.end() && grant->asks == policy::Loopback::Asks::yes) {
      return gate_->serve_loopback(std::move(listener.fd), listener.port);
    }
    // One gate for a port, whatever the family.
    if (grant != policy.loopback.end() && grant->speech == profile::Speech::llm) {
      std::unique_ptr<network::ModelGate>& model = models_[listener.port];
      if (!model) model = std::make_unique<network::ModelGate>(loop_, listener.port, limits_);
      return model->serve(std::move(listener.fd));
    }
    std::unique_ptr<network::LoopbackGate>& gate = loopback_[listener.port];
    if (!gate) gate = std::make_unique<network::LoopbackGate>(loop_, splicer(), listener.port, limits_);
    gate->serve(std::move(listener.fd));
  }

  boost::asio::io_context& loop_;
  network::Limits limits_;
  std::optional<network::Splicer> splicer_;
  std::map<std::uint16_t, std::unique_ptr<network::LoopbackGate>> loopback_;
  std::map<std::uint16_t, std::unique_ptr<network::ModelGate>> models_;
  std::vector<std::unique_ptr<network::PublishGate>> publish_;
  std::vector<std::unique_ptr<network::PageGate>> pages_;
  SocketTable table_{base::UniqueFd()};
  std::optional<network::Gate> gate_;
};

NetworkDoors::NetworkDoors(boost::asio::io_context& loop, broker::Decider& decider, const policy::Policy& policy,
                           Room& room, pid_t init, const std::string& session, std::vector<Listener> listeners)
    : impl_(std::make_unique<Impl>(loop, decider, policy, room, init, session, std::move(listeners))) {}
NetworkDoors::~NetworkDoors() = default;

}  // namespace agentbox::launch
