#pragma once

// What one thread of the gate does: it accepts connections and sees to them until they end. All lanes of a gate accept from
// the same listeners, and rule and count by what they have in common.

#include <cstdint>
#include <memory>

#include "agentbox/gates/network/gate.hpp"

#include "gate_common.hpp"
#include "shared_listener.hpp"

namespace agentbox::gates::network {

class GateLane {
 public:
  // `decider` is called from the lane's own loop. It and the splicer must outlive it.
  GateLane(boost::asio::io_context& loop, broker::Decider& decider, Splicer& splicer,
           std::shared_ptr<GateCommon> common);
  ~GateLane();
  GateLane(const GateLane&) = delete;
  GateLane& operator=(const GateLane&) = delete;

  // As Gate has them. From the lane's own thread, or while it doesn't run: so for all of it.
  void serve_connections(std::shared_ptr<SharedListener> listener);
  void serve_loopback(std::shared_ptr<SharedListener> listener, std::uint16_t port);
  void serve_proxy(std::shared_ptr<SharedListener> listener, Gate::Proxy what);
  void stop();

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace agentbox::gates::network
