#pragma once

// One port of the loopback behind which HTTP is spoken: accepts, connects, and relays request by request as the judge says
// (http_relay.hpp). For granted model servers, and for published pages.

#include <cstdint>
#include <functional>
#include <memory>

#include "agentbox/base/unique_fd.hpp"
#include "agentbox/gates/network/loopback.hpp"

#include "http_relay.hpp"

namespace agentbox::gates::network {

class HttpDoor {
 public:
  struct Setup {
    std::uint16_t port = 0;  // of the server, on either loopback address
    Splicer::MakeSocket make_socket = own_socket;
    HttpRequests::Passing passing;
    std::function<HttpRelay::Judge()> judge;  // for each connection anew
    Limits limits;
  };
  HttpDoor(boost::asio::io_context& loop, Setup setup);
  ~HttpDoor();
  HttpDoor(const HttpDoor&) = delete;
  HttpDoor& operator=(const HttpDoor&) = delete;

  // As LoopbackGate::serve.
  void serve(base::UniqueFd listener);
  [[nodiscard]] Counters counters() const noexcept;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace agentbox::gates::network
