#pragma once

// A scripted model server on the loopback, in the test's own loop. It answers each request with the bytes that the
// script gives, and keeps what it was asked.

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <fmt/format.h>

#include "agentbox/policy/reviewer.hpp"

namespace agentbox::broker::test {

class ModelServer {
 public:
  using Tcp = boost::asio::ip::tcp;
  struct Answer {
    std::string bytes;
    enum class Then { close, keep } then = Then::close;
    // Each byte by itself, so far apart.
    std::chrono::milliseconds drip{0};
  };
  // The body of an answer, as a server that speaks OpenAI's API gives it.
  static Answer json(const std::string& body) {
    return {fmt::format("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
                        body.size(), body)};
  }
  static Answer models(const std::string& names = R"({"id":"scripted","object":"model"})") {
    return json(R"({"object":"list","data":[)" + names + "]}");
  }
  // `content`: JSON text of a string.
  static Answer says(const std::string& content) {
    return json(R"({"id":"x","object":"chat.completion","choices":[{"index":0,"finish_reason":"stop","message":)"
                R"({"role":"assistant","content":)" +
                content + R"(}}],"usage":{"total_tokens":3}})");
  }
  static Answer opinion(const char* objects, int risk, const std::string& reason) {
    return says(fmt::format(R"("{{\"objects\": {}, \"risk\": {}, \"reason\": \"{}\"}}")", objects, risk, reason));
  }

  explicit ModelServer(boost::asio::io_context& loop)
      : acceptor_(loop, Tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0)) {
    accept();
  }
  [[nodiscard]] policy::Reviewer reviewer() const {
    return {.host = "127.0.0.1",
            .port = acceptor_.local_endpoint().port(),
            .path = "/v1",
            .model = {},
            .instructions = {},
            .timeout = std::chrono::seconds(20)};
  }
  void stop() { acceptor_.close(); }

  // For POST; GET /v1/models gets `listing`.
  std::function<Answer(const std::string& request)> script = [](const std::string&) {
    return opinion("false", 1, "an ordinary push");
  };
  Answer listing = models();
  std::vector<std::string> asked;  // the bodies of all POSTs
  std::size_t connections = 0;

 private:
  struct Peer {
    explicit Peer(Tcp::socket connected) : socket(std::move(connected)), timer(socket.get_executor()) {}
    Tcp::socket socket;
    boost::asio::steady_timer timer;
    std::array<char, 4096> buffer{};
    std::string request;
    Answer answer;
    std::size_t dripped = 0;
  };
  using PeerPtr = std::shared_ptr<Peer>;

  void accept() {
    acceptor_.async_accept([this](boost::system::error_code error, Tcp::socket socket) {
      if (error) return;
      ++connections;
      read(peers_.emplace_back(std::make_shared<Peer>(std::move(socket))));
      accept();
    });
  }
  void read(const PeerPtr& peer) {
    peer->socket.async_read_some(boost::asio::buffer(peer->buffer),
                                 [this, peer](boost::system::error_code error, std::size_t count) {
                                   if (error) return;
                                   peer->request.append(peer->buffer.data(), count);
                                   if (!whole(peer->request)) return read(peer);
                                   respond(peer);
                                 });
  }
  static bool whole(const std::string& request) {
    const std::size_t end = request.find("\r\n\r\n");
    if (end == std::string::npos) return false;
    const std::size_t at = request.find("Content-Length: ");
    return at == std::string::npos || request.size() >= end + 4 + std::stoul(request.substr(at + 16));
  }
  void respond(const PeerPtr& peer) {
    const bool post = peer->request.starts_with("POST /v1/chat/completions ");
    if (post) asked.push_back(peer->request.substr(peer->request.find("\r\n\r\n") + 4));
    peer->answer = post ? script(asked.back()) : listing;
    if (peer->answer.drip.count() > 0) return drip(peer);
    boost::asio::async_write(peer->socket, boost::asio::buffer(peer->answer.bytes),
                             [peer](boost::system::error_code, std::size_t) {
                               boost::system::error_code ignored;
                               if (peer->answer.then == Answer::Then::close) peer->socket.close(ignored);
                             });
  }
  void drip(const PeerPtr& peer) {
    if (peer->dripped == peer->answer.bytes.size()) return;
    peer->timer.expires_after(peer->answer.drip);
    peer->timer.async_wait([this, peer](boost::system::error_code) {
      boost::system::error_code gone;
      boost::asio::write(peer->socket, boost::asio::buffer(&peer->answer.bytes[peer->dripped++], 1), gone);
      if (!gone) drip(peer);
    });
  }

  Tcp::acceptor acceptor_;
  std::vector<PeerPtr> peers_;
};

}  // namespace agentbox::broker::test
