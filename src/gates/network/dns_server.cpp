#include "dns_server.hpp"

#include <algorithm>
#include <chrono>
#include <span>
#include <utility>

#include <sys/socket.h>

#include <boost/asio/io_context.hpp>

namespace agentbox::gates::network {

namespace {

using Descriptor = boost::asio::posix::stream_descriptor;
using Error = boost::system::error_code;

constexpr std::size_t most_streams = 32;
constexpr std::chrono::seconds stream_patience{10};
constexpr int most_at_once = 64;         // datagrams, then others of the loop have their turn
constexpr std::size_t most_bytes = 512;  // of a question that we answer: a name of 255 bytes, and EDNS

// Single labels and names below .local mean a machine nearby: only by a rule that names it, or its domain.
bool is_named_by(const policy::Rules& rules, std::string_view name) {
  auto names = [name](const profile::Located<profile::HostRule>& rule) {
    return (rule.value.kind == profile::HostKind::name || rule.value.kind == profile::HostKind::below) &&
           policy::matches(rule.value,
                           {.host = std::string(name),
                            .port = rule.value.ports == profile::PortSet::one ? rule.value.port : std::uint16_t{443}});
  };
  return std::ranges::any_of(rules.network.allow, names) || std::ranges::any_of(rules.network.ask, names);
}

}  // namespace

class DnsServer::Stream : public std::enable_shared_from_this<Stream> {
 public:
  Stream(boost::asio::io_context& loop, DnsServer& server, base::UniqueFd client)
      : server_(server), alive_(server.alive_), socket_(loop, client.release()), timer_(loop) {}

  void start() {
    timer_.expires_after(stream_patience);
    timer_.async_wait([self = shared_from_this()](Error error) {
      if (!error) self->finish();
    });
    wait();
  }

 private:
  void wait() {
    socket_.async_wait(Descriptor::wait_read, [self = shared_from_this()](Error error) {
      if (!error) self->read();
    });
  }

  void read() {
    if (!*alive_) return;
    std::array<std::uint8_t, 2 + most_bytes> bytes{};
    const ssize_t count = ::recv(socket_.native_handle(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (count <= 0) return finish();
    held_.insert(held_.end(), bytes.begin(), bytes.begin() + count);
    while (held_.size() >= 2) {
      const std::size_t size = held_[0] * std::size_t{256} + held_[1];
      if (size > most_bytes) return finish();
      if (held_.size() < 2 + size) break;
      if (!reply(std::span(held_).subspan(2, size))) return finish();
      held_.erase(held_.begin(), held_.begin() + 2 + static_cast<std::ptrdiff_t>(size));
    }
    wait();
  }

  // An answer is small: whoever doesn't read his is not waited for.
  bool reply(std::span<const std::uint8_t> query) {
    auto said = answer(query, server_.resolver_, std::chrono::steady_clock::now());
    if (!said) return false;
    std::vector<std::uint8_t> framed = {static_cast<std::uint8_t>(said->size() / 256),
                                        static_cast<std::uint8_t>(said->size() % 256)};
    framed.insert(framed.end(), said->begin(), said->end());
    return ::send(socket_.native_handle(), framed.data(), framed.size(), MSG_NOSIGNAL | MSG_DONTWAIT) ==
           static_cast<ssize_t>(framed.size());
  }

  void finish() {
    if (!socket_.is_open()) return;
    timer_.cancel();
    Error ignored;
    socket_.close(ignored);
    if (*alive_) server_.streams_.release();
  }

  DnsServer& server_;
  std::shared_ptr<bool> alive_;
  Descriptor socket_;
  boost::asio::steady_timer timer_;
  std::vector<std::uint8_t> held_;
};

DnsServer::DnsServer(boost::asio::io_context& loop, NameTable& names, const policy::Rules& rules)
    : loop_(loop),
      resolver_{names, [&rules](std::string_view name) { return is_named_by(rules, name); }},
      streams_(loop, most_streams, [this](base::UniqueFd client, int) {
        std::make_shared<Stream>(loop_, *this, std::move(client))->start();
      }) {}

DnsServer::~DnsServer() {
  close();
}

void DnsServer::close() {
  *alive_ = false;
  streams_.close();
  Error ignored;
  for (Socket& socket : sockets_) socket.descriptor.close(ignored);
}

void DnsServer::serve_stream(base::UniqueFd listener) {
  streams_.serve(std::move(listener));
}

void DnsServer::serve_datagrams(base::UniqueFd socket) {
  Socket& added = sockets_.emplace_back(loop_);
  added.descriptor.assign(socket.release());
  wait(added);
}

void DnsServer::wait(Socket& socket) {
  socket.descriptor.async_wait(Descriptor::wait_read, [this, alive = alive_, &socket](Error error) {
    if (error || !*alive) return;
    answer_datagrams(socket);
    wait(socket);
  });
}

void DnsServer::answer_datagrams(Socket& socket) {
  for (int i = 0; i < most_at_once; ++i) {
    std::array<std::uint8_t, most_bytes> bytes{};
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    const ssize_t count = ::recvfrom(socket.descriptor.native_handle(), bytes.data(), bytes.size(),
                                     MSG_DONTWAIT | MSG_TRUNC, reinterpret_cast<sockaddr*>(&from), &size);
    if (count < 0) return;
    if (count > static_cast<ssize_t>(bytes.size())) continue;
    auto said =
        answer(std::span(bytes).first(static_cast<std::size_t>(count)), resolver_, std::chrono::steady_clock::now());
    if (!said) continue;
    (void)::sendto(socket.descriptor.native_handle(), said->data(), said->size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                   reinterpret_cast<const sockaddr*>(&from), size);
  }
}

}  // namespace agentbox::gates::network
