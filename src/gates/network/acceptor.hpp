#pragma once

// Accepts from listeners and hands each connection to the splicer, never more at once than the limit.

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "agentbox/base/unique_fd.hpp"
#include "agentbox/gates/network/loopback.hpp"

namespace agentbox::gates::network {

class Acceptor : public std::enable_shared_from_this<Acceptor> {
 public:
  Acceptor(boost::asio::io_context& loop, Splicer& splicer, Splicer::MakeSocket make_socket, std::uint16_t port,
           Limits limits);
  ~Acceptor();

  // Connections that arrive here go to that port of the loopback, the listener's own family first.
  void serve(base::UniqueFd listener);
  void close();
  [[nodiscard]] Counters counters() const noexcept { return counters_; }

 private:
  struct Listener;

  void wait(Listener& listener);
  void accept(Listener& listener);
  void ended(Outcome outcome, Bytes bytes);

  boost::asio::io_context& loop_;
  Splicer& splicer_;
  Splicer::MakeSocket make_socket_;
  std::uint16_t port_;
  Limits limits_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  Counters counters_;
  std::size_t open_ = 0;
  bool closed_ = false;
};

}  // namespace agentbox::gates::network
