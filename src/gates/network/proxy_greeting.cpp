#include "proxy_greeting.hpp"

#include <utility>

#include <sys/socket.h>

#include <boost/asio/io_context.hpp>

#include "first_bytes.hpp"
#include "http_head.hpp"

namespace agentbox::gates::network {

namespace {

// A client may connect ahead of its first request.
constexpr std::chrono::seconds patience{60};
// After the last word to one that is turned away.
constexpr std::chrono::seconds farewell{1};
constexpr std::uint16_t http_port = 80;

}  // namespace

std::shared_ptr<ProxyGreeting> ProxyGreeting::start(boost::asio::io_context& loop, Watched client, Speaks speaks,
                                                    std::string said, Done done) {
  std::shared_ptr<ProxyGreeting> greeting(
      new ProxyGreeting(loop, std::move(client), speaks, std::move(said), std::move(done)));
  greeting->listen();
  return greeting;
}

ProxyGreeting::ProxyGreeting(boost::asio::io_context& loop, Watched client, Speaks speaks, std::string said, Done done)
    : loop_(loop),
      client_(std::move(client)),
      timer_(loop),
      speaks_(speaks),
      said_(std::move(said)),
      done_(std::move(done)) {}

void ProxyGreeting::cancel() {
  done_ = nullptr;
  timer_.cancel();
  client_.reset();
}

void ProxyGreeting::listen() {
  speaks_ == Speaks::http ? listen_to_http() : listen_to_socks();
}

void ProxyGreeting::listen_to_http() {
  const Peeked peeked = peek(client_.get());
  const std::string text = said_ + std::string(peeked.bytes);
  HttpHeadEnd end;
  switch (end.scan(text)) {
    case HttpHeadEnd::Found::need_more:
      if (peeked.ended) return turn_away("");
      // A server might pass over what comes before a method; our reader doesn't.
      if (const Protocol spoken = protocol_of(text);
          (!text.empty() && !is_token(std::string_view(text).substr(0, 1))) || spoken == Protocol::tls ||
          spoken == Protocol::other) {
        return turn_away(http_answer(400, "this is an HTTP proxy"));
      }
      if (peeked.bytes.size() >= most_peeked) return turn_away(http_answer(431, "the head is too long"));
      return wait_for_more(peeked.bytes.size());
    case HttpHeadEnd::Found::bare_line_break: return turn_away(http_answer(400, "a line does not end in CR LF"));
    case HttpHeadEnd::Found::too_long: return turn_away(http_answer(431, "the head is too long"));
    case HttpHeadEnd::Found::end: break;
  }
  const auto request = parse_request_head(std::string_view(text).substr(0, end.size()));
  if (!request) return turn_away(http_answer(request.error().status, request.error().text));
  switch (request->target) {
    case HttpRequest::Target::authority:
      if (end.size() < said_.size() || !take(client_.get(), end.size() - said_.size())) {
        return turn_away(http_answer(400, "something was said before the tunnel stood"));
      }
      return arrived(request->authority->host, *request->authority->port,
                     {.kind = Entrance::Kind::connect, .socks = {}, .said = {}});
    case HttpRequest::Target::absolute:
      return arrived(request->authority->host, request->authority->port.value_or(http_port),
                     {.kind = Entrance::Kind::absolute, .socks = {}, .said = std::move(said_)});
    case HttpRequest::Target::origin:
    case HttpRequest::Target::asterisk: break;
  }
  turn_away(http_answer(400, "this is a proxy: a request names its host in full"));
}

// A byte at a time from what lies there, so that nothing is taken that belongs to the connection.
void ProxyGreeting::listen_to_socks() {
  const Peeked peeked = peek(client_.get());
  std::size_t at = 0;
  SocksServer::State state = SocksServer::State::need_bytes;
  while (at < peeked.bytes.size() && state == SocksServer::State::need_bytes) {
    const auto byte = static_cast<std::uint8_t>(peeked.bytes[at++]);
    state = socks_.feed({&byte, 1});
  }
  if (!take(client_.get(), at)) return turn_away("");
  if (state != SocksServer::State::request) {
    const std::vector<std::uint8_t> out = socks_.output();
    if (state == SocksServer::State::refused) return turn_away({reinterpret_cast<const char*>(out.data()), out.size()});
    if (!out.empty()) ::send(client_.get(), out.data(), out.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    return peeked.ended ? turn_away("") : wait_for_more(0);
  }
  // Who has said all at once hears the answers at once: what is not said yet goes with the last one.
  Host host = socks_.host();
  arrived(std::move(host), socks_.port(), {.kind = Entrance::Kind::socks, .socks = std::move(socks_), .said = {}});
}

void ProxyGreeting::wait_for_more(std::size_t have) {
  if (!std::exchange(waited_, true)) {
    timer_.expires_after(patience);
    timer_.async_wait([self = shared_from_this()](boost::system::error_code error) {
      if (!error && self->done_) self->turn_away("");
    });
  }
  set_low_water(client_.get(), have + 1);
  client_.wait(loop_, Watched::For::reading, [self = shared_from_this(), have](int error) {
    if (error || !self->done_) return;
    const Peeked peeked = peek(self->client_.get());
    // The end of the stream wakes us, too.
    if (peeked.bytes.size() <= have) return self->turn_away("");
    self->listen();
  });
}

void ProxyGreeting::arrived(Host host, std::uint16_t port, Entrance entrance) {
  if (waited_) {
    timer_.cancel();
    set_low_water(client_.get(), 1);
  }
  finish({.client = client_.hand_over(), .host = std::move(host), .port = port, .entrance = std::move(entrance)});
}

// What lies unread at the end would become a reset that overtakes our words: it is dropped, and the client's own end is
// waited for.
void ProxyGreeting::turn_away(std::string_view words) {
  const int socket = client_.get();
  std::array<char, 4096> dropped;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled by recv
  for (int i = 0; i < 16 && ::recv(socket, dropped.data(), dropped.size(), MSG_DONTWAIT) > 0; ++i) {
  }
  if (words.empty() || ::send(socket, words.data(), words.size(), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ||
      ::shutdown(socket, SHUT_WR) != 0) {
    return finish({});
  }
  set_low_water(socket, 1);
  timer_.expires_after(farewell);
  timer_.async_wait([self = shared_from_this()](boost::system::error_code) { self->finish({}); });
  client_.wait(loop_, Watched::For::reading, [self = shared_from_this()](int) { self->timer_.cancel(); });
}

void ProxyGreeting::finish(Arrived arrived) {
  timer_.cancel();
  client_.reset();
  if (Done done = std::exchange(done_, nullptr)) done(std::move(arrived));
}

}  // namespace agentbox::gates::network
