#pragma once

// Relays plain HTTP/1 between two connected sockets, every request judged before it goes on, and its head written anew
// (http_requests.hpp). Answers pass as they are, or are written anew as well (http_responses.hpp). Bytes go through this
// process: what is not encrypted is not bulk.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agentbox/gates/network/splicer.hpp"

#include "http_requests.hpp"
#include "http_responses.hpp"

namespace agentbox::gates::network {

class HttpRelay {
 public:
  struct Judge {
    // It is not for this server, nor to be refused: the relay ends before it, when all answers so far have gone.
    std::function<bool(const HttpRequest&)> elsewhere;
    // Nothing: it passes.
    std::function<std::optional<HttpRefusal>(const HttpRequest&)> head;
    // Its body is wanted before it is judged: at most so many bytes of it; 0: no.
    std::function<std::size_t(const HttpRequest&)> collects;
    std::function<std::optional<HttpRefusal>(const HttpRequest&, const std::string& body)> body;
    // A whole answer of ours that ends the connection, instead of the server's.
    std::function<std::optional<std::string>(const HttpRequest&)> instead;
    std::string own;                                  // as in canonical_authority
    std::optional<HttpResponses::Rewriting> answers;  // nothing: they pass as they are
  };
  struct End {
    Bytes bytes;
    std::string why;  // where it did not end by itself: a refusal's text
    Watched client;   // before a request that goes elsewhere, with all that is read of it; else empty
    std::string said;
  };
  using Done = std::function<void(End end)>;

  // Both sockets are connected and non-blocking; `said` was read from the client before. `done` is called once, from the
  // loop, never from within. `tap`: for what the client says; none: no limit.
  HttpRelay(boost::asio::io_context& loop, Watched client, Watched upstream, std::string said,
            HttpRequests::Passing passing, Judge judge, Done done, std::shared_ptr<Tap> tap = {});
  // Breaks off; `done` is not called.
  ~HttpRelay();
  // The tap lets something go again.
  void go_on();
  // Ends: with a refusal, where the client can still be told, else at once.
  void stop(std::string why);
  HttpRelay(const HttpRelay&) = delete;
  HttpRelay& operator=(const HttpRelay&) = delete;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace agentbox::gates::network
