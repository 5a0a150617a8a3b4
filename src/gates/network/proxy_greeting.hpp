#pragma once

// What a client of the explicit proxies says before anything goes anywhere: where it wants to go, over HTTP (a request in
// the absolute form, or CONNECT) or SOCKS5. Whatever is said in no known form is answered and closed here. Every byte is
// the agent's.

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/steady_timer.hpp>

#include "agentbox/gates/network/watched.hpp"

#include "host_name.hpp"
#include "socks5.hpp"

namespace agentbox::gates::network {

// How a connection came to the gate, and with it in which words its client hears what became of it.
struct Entrance {
  enum class Kind : std::uint8_t {
    transparent,  // to the address itself: the client knows of no proxy
    connect,      // HTTP CONNECT: it waits for our 200
    absolute,     // HTTP: the request itself names the host; it is still to be read
    socks,        // it waits for our reply
  } kind = Kind::transparent;
  std::optional<SocksServer> socks;
  std::string said;  // by an `absolute` client before what its socket holds; whole heads first
};

class ProxyGreeting : public std::enable_shared_from_this<ProxyGreeting> {
 public:
  enum class Speaks : std::uint8_t { http, socks };
  struct Arrived {
    Watched client;  // non-blocking; empty: it was answered and closed, and the rest means nothing
    Host host;
    std::uint16_t port = 0;
    Entrance entrance;
  };
  using Done = std::function<void(Arrived arrived)>;

  // `said` was read from the client before. `done` is called once, perhaps from within; not after `cancel`.
  static std::shared_ptr<ProxyGreeting> start(boost::asio::io_context& loop, Watched client, Speaks speaks,
                                              std::string said, Done done);
  void cancel();
  // `done` was called.
  [[nodiscard]] bool is_over() const noexcept { return !done_; }

 private:
  ProxyGreeting(boost::asio::io_context& loop, Watched client, Speaks speaks, std::string said, Done done);
  void listen();
  void listen_to_http();
  void listen_to_socks();
  void wait_for_more(std::size_t have);
  void arrived(Host host, std::uint16_t port, Entrance entrance);
  void turn_away(std::string_view words);
  void finish(Arrived arrived);

  boost::asio::io_context& loop_;
  Watched client_;
  boost::asio::steady_timer timer_;
  Speaks speaks_;
  std::string said_;
  SocksServer socks_;
  Done done_;
  bool waited_ = false;
};

}  // namespace agentbox::gates::network
