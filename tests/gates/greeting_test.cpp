// What clients say to the explicit proxies first, in every piece that it may come in: nothing is taken that belongs to the
// connection, and what is none of it is answered and closed.

#include <chrono>
#include <optional>
#include <string>

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>

#include "network/proxy_greeting.hpp"
#include "sockets.hpp"

using namespace agentbox;
using namespace agentbox::gates::network;
using Speaks = ProxyGreeting::Speaks;
using std::string_literals::operator""s;

namespace {

class Client {
 public:
  explicit Client(Speaks speaks, std::string before = {}) {
    // TCP: of a Unix socket the kernel minds no low-water mark.
    const base::UniqueFd listener = test::listen_at(AF_INET, 0);
    mine_ = test::connect_to(AF_INET, test::port_of(listener));
    const int on = 1;  // each byte at once
    ::setsockopt(mine_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    greeting_ = ProxyGreeting::start(loop, test::accept_from(listener), speaks, std::move(before),
                                     [this](ProxyGreeting::Arrived what) { arrived = std::move(what); });
    run();
  }
  ~Client() { greeting_->cancel(); }

  Client& say(const std::string& text) {
    REQUIRE(::send(mine_.get(), text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
    run();
    return *this;
  }
  Client& say_slowly(const std::string& text) {
    for (char byte : text) say({byte});
    return *this;
  }
  Client& leave() {
    ::shutdown(mine_.get(), SHUT_RDWR);
    run();
    return *this;
  }
  std::string hears() { return received(mine_.get()); }
  // What still lies in the connection for whoever comes next.
  std::string left() { return received(arrived->client.get()); }
  [[nodiscard]] bool turned_away() const { return arrived && !arrived->client; }

  boost::asio::io_context loop;
  std::optional<ProxyGreeting::Arrived> arrived;

 private:
  // Until what was said is on its way: the kernel holds it back while it waits for the other side's acknowledgement.
  void run() {
    int unsent = 0;
    do {
      loop.restart();
      loop.run_for(std::chrono::milliseconds(1));
    } while (::ioctl(mine_.get(), SIOCOUTQNSD, &unsent) == 0 && unsent > 0);
    loop.restart();
    loop.poll();
  }
  static std::string received(int fd) {
    char bytes[4096];
    const auto count = ::recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    return count > 0 ? std::string(bytes, static_cast<std::size_t>(count)) : std::string();
  }

  base::UniqueFd mine_;
  std::shared_ptr<ProxyGreeting> greeting_;
};

const std::string tunnel = "CONNECT Web.Example.:443 HTTP/1.1\r\nHost: web.example:443\r\n\r\n";
const std::string get = "GET http://web.example/x HTTP/1.1\r\nHost: web.example\r\n\r\n";
const std::string hello = "\x05\x01\x00"s;
const std::string request = "\x05\x01\x00\x03\x0bWEB.example\x01\xbb"s;

}  // namespace

TEST_CASE("a request to connect is taken, and not a byte more") {
  Client slow(Speaks::http);
  slow.say_slowly(tunnel.substr(0, tunnel.size() - 1));
  CHECK(!slow.arrived);
  slow.say("\n\x16\x03\x01 the greeting");
  REQUIRE(slow.arrived);
  CHECK(slow.arrived->host.text == "web.example");
  CHECK(slow.arrived->port == 443);
  CHECK(slow.arrived->entrance.kind == Entrance::Kind::connect);
  CHECK(slow.left() == "\x16\x03\x01 the greeting");
  CHECK(slow.hears().empty());
}

TEST_CASE("a request in the absolute form is left for whoever relays it") {
  Client client(Speaks::http);
  client.say(get);
  REQUIRE(client.arrived);
  CHECK(client.arrived->port == 80);
  CHECK(client.arrived->entrance.kind == Entrance::Kind::absolute);
  CHECK(client.left() == get);
  Client again(Speaks::http, get + "GET http://x");
  REQUIRE(again.arrived);
  CHECK(again.arrived->entrance.said == get + "GET http://x");
  Client then_tunnel(Speaks::http, tunnel);
  REQUIRE(then_tunnel.arrived);
  CHECK(then_tunnel.arrived->entrance.kind == Entrance::Kind::connect);
  CHECK(then_tunnel.arrived->entrance.said.empty());
}

TEST_CASE("SOCKS is heard in every piece, and what follows it stays") {
  Client client(Speaks::socks);
  client.say_slowly(hello);
  CHECK(client.hears() == "\x05\x00"s);
  client.say_slowly(request.substr(0, request.size() - 1));
  CHECK(!client.arrived);
  client.say(request.substr(request.size() - 1) + "first words");
  REQUIRE(client.arrived);
  CHECK(client.arrived->host.text == "web.example");
  CHECK(client.arrived->port == 443);
  REQUIRE(client.arrived->entrance.socks);
  CHECK(client.left() == "first words");
  Client at_once(Speaks::socks);
  at_once.say(hello + request + "early");
  REQUIRE(at_once.arrived);
  CHECK(at_once.left() == "early");
  // Who has said all at once hears all at once.
  CHECK(at_once.hears().empty());
  REQUIRE(at_once.arrived->entrance.socks);
  at_once.arrived->entrance.socks->grant();
  const std::vector<std::uint8_t> answers = at_once.arrived->entrance.socks->output();
  CHECK(std::string(answers.begin(), answers.end()).starts_with("\x05\x00\x05\x00"s));
}

TEST_CASE("what is no request for a proxy is answered, and goes nowhere") {
  for (const std::string& text : {"GET / HTTP/1.1\r\nHost: web.example\r\n\r\n"s,                         // to a server
                                  "CONNECT web.example HTTP/1.1\r\nHost: web.example\r\n\r\n"s,           // no port
                                  "CONNECT user@web.example:1 HTTP/1.1\r\nHost: web.example:1\r\n\r\n"s,  // user
                                  "GET http://a.example/ HTTP/1.1\r\nHost: b.example\r\n\r\n"s,           // two hosts
                                  "GET http://a.example/ HTTP/1.1\nHost: a.example\n\n"s,  // bare line breaks
                                  "\x16\x03\x01\x02\x00\x01"s, "SSH-2.0-x\r\n"s, "\x05\x01\x00"s}) {  // TLS, ssh, SOCKS
    CAPTURE(text);
    Client client(Speaks::http);
    client.say(text);
    CHECK(client.hears().substr(0, 10) == "HTTP/1.1 4");
    client.leave();
    CHECK(client.turned_away());
  }
  for (const std::string& text : {hello + "\x05\x01\x00\x03\x03\x00.a\x00\x50"s,
                                  hello + "\x05\x02\x00\x01\x01\x01\x01\x01\x00\x50"s, "\x05\x01\x01"s}) {
    Client client(Speaks::socks);
    client.say(text);
    client.leave();
    CHECK(client.turned_away());
  }
}

TEST_CASE("a client that leaves in the middle is forgotten") {
  for (Speaks speaks : {Speaks::http, Speaks::socks}) {
    for (const std::string& text : {""s, "C"s, tunnel.substr(0, 20)}) {
      Client client(speaks);
      if (!text.empty()) client.say(text);
      client.leave();
      CHECK(client.turned_away());
    }
  }
}
