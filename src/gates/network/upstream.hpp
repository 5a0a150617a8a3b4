#pragma once

// A connection through an upstream (`via`): a SOCKS5 proxy, Tor above all, or an HTTP proxy. Names go to it as names and are
// resolved at its other end, never here. One that is down is an error, never a direct connection.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include <boost/asio/steady_timer.hpp>

#include "dial.hpp"
#include "host_name.hpp"
#include "http_responses.hpp"
#include "lookup.hpp"
#include "socks5.hpp"

namespace agentbox::gates::network {

struct Upstream {
  enum class Speaks : std::uint8_t { socks, http } speaks = Speaks::socks;
  Host host;
  std::uint16_t port = 0;
  std::string text;  // "socks5h://127.0.0.1:9050", as the profile has it

  // Nothing: the text is not one.
  [[nodiscard]] static std::optional<Upstream> parse(const std::string& text);
};

// User and password for the streams to one host: the same within a session, others for every other host and in every
// other session. Tor gives each pair its own circuit, so that what is done at two hosts can't be tied together.
[[nodiscard]] SocksLogin isolating_login(const std::string& secret, const Host& host);

class UpstreamDial : public std::enable_shared_from_this<UpstreamDial> {
 public:
  // Through it to where?
  struct Wish {
    Host host;
    std::uint16_t port = 0;
    // none, for HTTP alone: requests in the absolute form follow, and no tunnel is asked for.
    enum class Tunnel : std::uint8_t { wanted, none } tunnel = Tunnel::wanted;
    SocksLogin login;
  };
  // `socket` is non-blocking; empty: `why` there is none.
  using Done = std::function<void(Watched socket, std::string why)>;

  // `done` is called once, perhaps from within; not after `cancel`. `patience` is for reaching the upstream. `lookup` must
  // outlive the call of `done` or `cancel`.
  [[nodiscard]] static std::shared_ptr<UpstreamDial> start(boost::asio::io_context& loop, Lookup& lookup,
                                                           const Upstream& upstream, Wish wish,
                                                           std::chrono::milliseconds patience, Done done);
  void cancel();

 private:
  UpstreamDial(boost::asio::io_context& loop, const Upstream& upstream, Wish wish, std::chrono::milliseconds patience,
               Done done);
  void look_up(Lookup& lookup);
  void dial(std::vector<Target> targets);
  void dialled(Watched socket, int error);
  void say();
  void listen();
  void fail(const std::string& why);

  boost::asio::io_context& loop_;
  Upstream upstream_;
  Wish wish_;
  std::chrono::milliseconds patience_;
  Done done_;
  std::shared_ptr<Dial> dial_;
  Watched socket_;
  boost::asio::steady_timer timer_;
  std::optional<SocksClient> socks_;
  ConnectReply reply_;
};

}  // namespace agentbox::gates::network
