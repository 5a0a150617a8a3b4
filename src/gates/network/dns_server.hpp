#pragma once

// Serves the room's resolver on sockets of the room: datagrams, and streams with two bytes of length before each message
// (RFC 1035 §4.2.2). The room is hostile: few streams at once, each with little time.

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <vector>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "agentbox/base/unique_fd.hpp"
#include "agentbox/policy/ruling.hpp"

#include "acceptor.hpp"
#include "dns.hpp"

namespace agentbox::gates::network {

class DnsServer {
 public:
  // `names` must outlive it.
  DnsServer(boost::asio::io_context& loop, NameTable& names, const policy::Rules& rules);
  ~DnsServer();
  DnsServer(const DnsServer&) = delete;
  DnsServer& operator=(const DnsServer&) = delete;

  // Throw base::SystemError.
  void serve_stream(base::UniqueFd listener);
  void serve_datagrams(base::UniqueFd socket);
  void close();

 private:
  class Stream;
  struct Socket {
    explicit Socket(boost::asio::io_context& loop) : descriptor(loop) {}
    boost::asio::posix::stream_descriptor descriptor;
  };
  void wait(Socket& socket);
  void answer_datagrams(Socket& socket);

  boost::asio::io_context& loop_;
  Resolver resolver_;
  Acceptor streams_;
  std::list<Socket> sockets_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace agentbox::gates::network
