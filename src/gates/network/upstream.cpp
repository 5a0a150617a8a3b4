#include "upstream.hpp"

#include <cstring>
#include <utility>

#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <fmt/format.h>

#include "agentbox/base/sha256.hpp"

#include "first_bytes.hpp"

namespace agentbox::gates::network {

namespace {

// Tor builds a circuit first, and tries another one if it fails (SocksTimeout of torrc(5)).
constexpr std::chrono::seconds handshake{120};

}  // namespace

std::optional<Upstream> Upstream::parse(const std::string& text) {
  const std::size_t at = text.find("://");
  if (at == std::string::npos) return std::nullopt;
  const std::string_view scheme = std::string_view(text).substr(0, at);
  if (scheme != "socks5h" && scheme != "http") return std::nullopt;
  const auto authority = canonical_authority(std::string_view(text).substr(at + 3));
  if (!authority || !authority->port) return std::nullopt;
  return Upstream{.speaks = scheme == "http" ? Speaks::http : Speaks::socks,
                  .host = authority->host,
                  .port = *authority->port,
                  .text = text};
}

SocksLogin isolating_login(const std::string& secret, const Host& host) {
  const std::string digest = base::sha256(secret + '\0' + host.text);
  const std::size_t half = digest.size() / 2;
  return {.user = digest.substr(0, half), .password = digest.substr(half)};
}

std::shared_ptr<UpstreamDial> UpstreamDial::start(boost::asio::io_context& loop, Lookup& lookup,
                                                  const Upstream& upstream, Wish wish,
                                                  std::chrono::milliseconds patience, Done done) {
  std::shared_ptr<UpstreamDial> dial(new UpstreamDial(loop, upstream, std::move(wish), patience, std::move(done)));
  dial->look_up(lookup);
  return dial;
}

UpstreamDial::UpstreamDial(boost::asio::io_context& loop, const Upstream& upstream, Wish wish,
                           std::chrono::milliseconds patience, Done done)
    : loop_(loop),
      upstream_(upstream),
      wish_(std::move(wish)),
      patience_(patience),
      done_(std::move(done)),
      timer_(loop) {}

void UpstreamDial::cancel() {
  done_ = nullptr;
  if (dial_) dial_->cancel();
  timer_.cancel();
  socket_.reset();
}

// The upstream's own name, which is the profile's and not the room's.
void UpstreamDial::look_up(Lookup& lookup) {
  const std::uint16_t port = upstream_.port;
  if (upstream_.host.text == "localhost") {
    return dial({Target::loopback(AF_INET, port), Target::loopback(AF_INET6, port)});
  }
  if (upstream_.host.address) return dial({target_of(*upstream_.host.address, port)});
  lookup.find(upstream_.host.text, port, [self = shared_from_this()](const Lookup::Found& found) {
    if (!self->done_) return;
    found.targets.empty() ? self->fail(found.error) : self->dial(found.targets);
  });
}

void UpstreamDial::dial(std::vector<Target> targets) {
  dial_ = Dial::start(loop_, std::move(targets), patience_,
                      [self = shared_from_this()](Watched socket, const Target*, int error) {
                        if (self->done_) self->dialled(std::move(socket), error);
                      });
}

void UpstreamDial::dialled(Watched socket, int error) {
  if (!socket) return fail(std::strerror(error));  // NOLINT(concurrency-mt-unsafe): glibc's is safe
  if (wish_.tunnel == Wish::Tunnel::none) return std::exchange(done_, nullptr)(std::move(socket), {});
  socket_ = std::move(socket);
  timer_.expires_after(handshake);
  timer_.async_wait([self = shared_from_this()](boost::system::error_code ended) {
    if (!ended && self->done_) self->fail("it does not answer");
  });
  if (upstream_.speaks == Upstream::Speaks::socks) {
    socks_.emplace(wish_.host, wish_.port, wish_.login);
    say();
  } else {
    const std::string request = connect_request(wish_.host, wish_.port, {});
    ::send(socket_.get(), request.data(), request.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  }
  listen();
}

// Should these few bytes not go, the upstream is gone, and reading tells.
void UpstreamDial::say() {
  const std::vector<std::uint8_t> out = socks_->output();
  if (!out.empty()) ::send(socket_.get(), out.data(), out.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

void UpstreamDial::listen() {
  socket_.wait(loop_, Watched::For::reading, [self = shared_from_this()](int error) {
    if (error || !self->done_) return;
    const Peeked peeked = peek(self->socket_.get());
    if (peeked.bytes.empty() && peeked.ended) return self->fail("it hung up");
    // A byte at a time, so that nothing is taken of what the destination says.
    std::size_t at = 0;
    bool open = false, failed = false;
    while (at < peeked.bytes.size() && !open && !failed) {
      const char byte = peeked.bytes[at++];
      if (self->socks_) {
        const auto value = static_cast<std::uint8_t>(byte);
        const SocksClient::State state = self->socks_->feed({&value, 1});
        open = state == SocksClient::State::open;
        failed = state == SocksClient::State::failed;
      } else {
        const ConnectReply::State state = self->reply_.feed({&byte, 1});
        open = state == ConnectReply::State::open;
        failed = state == ConnectReply::State::failed;
      }
    }
    if (!take(self->socket_.get(), at)) return self->fail("it hung up");
    if (failed)
      return self->fail(self->socks_ ? self->socks_->why() : fmt::format("it says {}", self->reply_.status()));
    if (self->socks_) self->say();
    if (!open) return self->listen();
    self->timer_.cancel();
    std::exchange(self->done_, nullptr)(self->socket_.hand_over(), {});
  });
}

void UpstreamDial::fail(const std::string& why) {
  timer_.cancel();
  socket_.reset();
  if (Done done = std::exchange(done_, nullptr)) {
    done({}, fmt::format("{}:{} can't be reached through {}: {}", wish_.host.text, wish_.port, upstream_.text, why));
  }
}

}  // namespace agentbox::gates::network
