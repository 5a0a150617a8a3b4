#pragma once

// Connects to the first of some addresses that answers, one after the other.

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "agentbox/gates/network/splicer.hpp"

#include "address.hpp"

namespace agentbox::gates::network {

[[nodiscard]] Target target_of(const Address& address, std::uint16_t port);

class Dial : public std::enable_shared_from_this<Dial> {
 public:
  // `socket` is empty when nobody answered, and `error` is the errno of the last one; else `target` did.
  using Done = std::function<void(Watched socket, const Target* target, int error)>;

  // `done` is called once, perhaps from within; not after `cancel`. `patience` is for all together. `make_socket` may throw
  // base::SystemError: of another network namespace, perhaps.
  [[nodiscard]] static std::shared_ptr<Dial> start(boost::asio::io_context& loop, std::vector<Target> targets,
                                                   std::chrono::milliseconds patience, Done done,
                                                   Splicer::MakeSocket make_socket = own_socket);
  ~Dial();
  void cancel();

 private:
  class Impl;
  explicit Dial(std::unique_ptr<Impl> impl);
  void next();
  void established(int error);
  void finish(Watched socket, const Target* target, int error);
  std::unique_ptr<Impl> impl_;
};

}  // namespace agentbox::gates::network
