#include "agentbox/gates/network/gate.hpp"

#include <utility>

#include "dns_server.hpp"
#include "gate_common.hpp"
#include "gate_lane.hpp"
#include "lane.hpp"
#include "lane_decider.hpp"
#include "shared_listener.hpp"

namespace agentbox::gates::network {

class Gate::Impl {
 public:
  Impl(boost::asio::io_context& loop, broker::Decider& decider, Splicer& splicer, GateSetup setup)
      : common_(std::make_shared<GateCommon>(std::move(setup), decider)),
        desk_(std::make_shared<Desk>(decider, common_->yes)),
        dns_(loop, common_->names, common_->setup.rules) {
    if (common_->setup.lanes == 0) own_ = std::make_unique<GateLane>(loop, decider, splicer, common_);
    while (threads_.size() < common_->setup.lanes) {
      Thread& thread = threads_.emplace_back();
      thread.lane = std::make_unique<Lane>(loop);
      thread.decider = std::make_unique<LaneDecider>(thread.lane->loop(), loop, decider, desk_);
      thread.gate = std::make_unique<GateLane>(thread.lane->loop(), *thread.decider, thread.lane->splicer(), common_);
    }
  }

  // All of them accept from it.
  template <class Serve>
  void serve(base::UniqueFd socket, Serve serve) {
    const auto listener = std::make_shared<SharedListener>(std::move(socket));
    if (own_) serve(*own_, listener);
    for (const Thread& thread : threads_) serve(*thread.gate, listener);
  }

  void start() {
    for (const Thread& thread : threads_) thread.lane->start();
  }

  void stop() {
    dns_.close();
    if (own_) own_->stop();
    for (const Thread& thread : threads_) thread.lane->stop();
    for (const Thread& thread : threads_) {
      thread.lane->finish();
      thread.gate->stop();
      if (desk_) desk_->leave(thread.lane->loop());
    }
    desk_.reset();
  }

  DnsServer& dns() noexcept { return dns_; }
  [[nodiscard]] GateCounters counters() const noexcept {
    return {.connections = common_->connections,
            .refused = common_->refused,
            .bytes = {.to_upstream = common_->to_upstream, .to_client = common_->to_client}};
  }

 private:
  // The last goes first.
  struct Thread {
    std::unique_ptr<Lane> lane;
    std::unique_ptr<LaneDecider> decider;
    std::unique_ptr<GateLane> gate;
  };

  std::shared_ptr<GateCommon> common_;
  std::shared_ptr<Desk> desk_;  // until all have left
  DnsServer dns_;
  std::unique_ptr<GateLane> own_;  // where there are no threads
  std::vector<Thread> threads_;
};

Gate::Gate(boost::asio::io_context& loop, broker::Decider& decider, Splicer& splicer, GateSetup setup)
    : impl_(std::make_unique<Impl>(loop, decider, splicer, std::move(setup))) {}
Gate::~Gate() {
  impl_->stop();
}
void Gate::serve_connections(base::UniqueFd listener) {
  impl_->serve(std::move(listener), [](GateLane& lane, const auto& shared) { lane.serve_connections(shared); });
}
void Gate::serve_loopback(base::UniqueFd listener, std::uint16_t port) {
  impl_->serve(std::move(listener), [port](GateLane& lane, const auto& shared) { lane.serve_loopback(shared, port); });
}
void Gate::serve_proxy(base::UniqueFd listener, Proxy what) {
  impl_->serve(std::move(listener), [what](GateLane& lane, const auto& shared) { lane.serve_proxy(shared, what); });
}
void Gate::serve_dns_stream(base::UniqueFd listener) {
  impl_->dns().serve_stream(std::move(listener));
}
void Gate::serve_dns_datagrams(base::UniqueFd socket) {
  impl_->dns().serve_datagrams(std::move(socket));
}
void Gate::start() {
  impl_->start();
}
void Gate::stop() {
  impl_->stop();
}
GateCounters Gate::counters() const noexcept {
  return impl_->counters();
}

}  // namespace agentbox::gates::network
