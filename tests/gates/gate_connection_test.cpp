#include "network/gate_connection.hpp"

#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/post.hpp>
#include <catch2/catch.hpp>

#include "sockets.hpp"

using namespace agentbox;
using namespace agentbox::gates::network;
using namespace agentbox::test;
using namespace std::chrono_literals;

namespace {

// A connection of the room to web.example, which a rule allows or denies, and which leads to a server of the test's.
class Room : public GateConnection::Gate {
 public:
  explicit Room(broker::Verdict::Kind verdict = broker::Verdict::Kind::allow, std::chrono::milliseconds silence = 10s)
      : silence_(silence), verdict_(verdict), server_(listen_at(AF_INET, 0)) {
    UniqueFd listener = listen_at(AF_INET, 0);
    client = connect_to(AF_INET, port_of(listener));
    UniqueFd inside = accept_from(listener);
    const timeval none{};
    ::setsockopt(inside.get(), SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none);
    const std::uint16_t port = port_of(server_);
    lookup_.emplace(loop_.context, [port](const std::string&, std::uint16_t) {
      return std::vector<Target>{Target::loopback(AF_INET, port)};
    });
    connection_ = std::make_shared<GateConnection>(
        loop_.context, *this, std::move(inside),
        Wanted{.action = {.host = "web.example", .port = port}, .name = {}, .kind = Wanted::Kind::name});
    running_ = loop_.start();
    boost::asio::post(loop_.context, [this] { connection_->start(); });
  }
  ~Room() override { loop_.stop(); }

  UniqueFd accept() { return accept_from(server_); }
  // Once the client has heard the end.
  std::optional<Ended> what_came() {
    for (int i = 0; i < 500 && !ended_flag_; ++i) std::this_thread::sleep_for(10ms);
    loop_.stop();
    return ended_;
  }

  UniqueFd client;

 private:
  void decide(GateConnection&, Heard heard) override {
    heard({.kind = verdict_, .by = broker::Verdict::By::rule, .reason = "no rule"});
  }
  policy::Ruling rule(const policy::Connect&) const override { return {.decision = policy::Decision::allow}; }
  std::shared_ptr<const broker::Verdict> known(const policy::Connect&) override { return nullptr; }
  // The test's server is on this machine.
  bool grants(const policy::Connect&) const override { return true; }
  profile::Speech speech(const policy::Connect&) const override { return profile::Speech::any; }
  std::optional<std::string> via(const policy::Connect&) const override { return std::nullopt; }
  SocksLogin login(const Host&) const override { return {}; }
  void moves_on(GateConnection&, Watched, std::string) override {}
  Meter::Tallies tallies(const policy::Connect&) override { return {}; }
  std::uint64_t reserve(const Meter::Tallies&, std::uint64_t most) override { return most; }
  void took(const Meter::Tallies&, std::uint64_t, std::uint64_t) override {}
  std::shared_ptr<Meter::Tally> pace(const policy::Connect&) override { return nullptr; }
  void hold(GateConnection&, const std::shared_ptr<Meter::Tally>&) override {}
  void identify(GateConnection&) override {}
  Lookup& lookup() override { return *lookup_; }
  Splicer& splicer() override { return splicer_; }
  std::chrono::milliseconds connect_patience() const override { return 5s; }
  std::chrono::milliseconds silence() const override { return silence_; }
  void ended(GateConnection&, Ended what) override {
    ended_ = std::move(what);
    ended_flag_ = true;
  }

  std::chrono::milliseconds silence_;
  broker::Verdict::Kind verdict_;
  UniqueFd server_;
  Loop loop_;
  Splicer splicer_{loop_.context};
  std::optional<Lookup> lookup_;
  std::optional<Ended> ended_;
  std::atomic<bool> ended_flag_ = false;
  std::shared_ptr<GateConnection> connection_;
  Loop::Running running_;
};

}  // namespace

TEST_CASE("a connection on which nobody speaks is ended; one word of either side keeps it") {
  Room silent(broker::Verdict::Kind::allow, 200ms);
  const UniqueFd server = silent.accept();
  CHECK(hear(silent.client).error == ECONNRESET);
  CHECK(hear(server).text.empty());
  const auto came = silent.what_came();
  REQUIRE(came);
  CHECK(came->why == "neither side said anything");

  Room greeted(broker::Verdict::Kind::allow, 200ms);
  const UniqueFd greeter = greeted.accept();
  say(greeter, "220 hello\r\n");
  CHECK(hear(greeted.client, 11).text == "220 hello\r\n");
  std::this_thread::sleep_for(400ms);  // the limit is over
  say(greeted.client, "EHLO\r\n");
  CHECK(hear(greeter, 6).text == "EHLO\r\n");
}

TEST_CASE("a client that goes on sending while it is refused hears why") {
  Room room(broker::Verdict::Kind::deny);
  const std::string head = "POST / HTTP/1.1\r\nHost: web.example\r\nContent-Length: 3000000\r\n\r\n";
  say(room.client, head + std::string(3'000'000, 'x'));
  end_of_speech(room.client);
  const Heard heard = hear(room.client);
  CHECK(heard.error == 0);
  CHECK(heard.text.starts_with("HTTP/1.1 403 Forbidden\r\n"));
  CHECK(heard.text.ends_with("agentbox: no rule\n"));
  REQUIRE(room.what_came());
}
