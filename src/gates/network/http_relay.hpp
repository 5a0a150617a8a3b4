#pragma once

// Relays plain HTTP/1 between two connected sockets, every request judged before it goes on, and its head written anew
// (http_requests.hpp). Answers pass as they are. Bytes go through this process: what is not encrypted is not bulk.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agentbox/base/unique_fd.hpp"
#include "agentbox/gates/network/splicer.hpp"

#include "http_requests.hpp"

namespace agentbox::gates::network {

class HttpRelay {
 public:
  struct Judge {
    // Nothing: it passes.
    std::function<std::optional<HttpRefusal>(const HttpRequest&)> head;
    // Its body is wanted before it is judged: at most so many bytes of it; 0: no.
    std::function<std::size_t(const HttpRequest&)> collects;
    std::function<std::optional<HttpRefusal>(const HttpRequest&, const std::string& body)> body;
  };
  // Why it ended, where it did not by itself: a refusal's text.
  using Done = std::function<void(Bytes bytes, std::string why)>;

  // Both sockets are connected and non-blocking. `done` is called once, from the loop, never from within.
  HttpRelay(boost::asio::io_context& loop, base::UniqueFd client, base::UniqueFd upstream,
            HttpRequests::Passing passing, Judge judge, Done done);
  // Breaks off; `done` is not called.
  ~HttpRelay();
  HttpRelay(const HttpRelay&) = delete;
  HttpRelay& operator=(const HttpRelay&) = delete;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace agentbox::gates::network
