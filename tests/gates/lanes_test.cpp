// The gate's lanes: what several ask is asked once, and each hears of it in his own loop.

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <sys/socket.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <catch2/catch.hpp>

#include "agentbox/base/error.hpp"
#include "agentbox/gates/network/gate.hpp"
#include "agentbox/profile/parse.hpp"

#include "network/lane.hpp"
#include "network/lane_decider.hpp"
#include "sockets.hpp"

using namespace agentbox;
using namespace agentbox::gates::network;
using namespace agentbox::test;
using namespace std::chrono_literals;

namespace {

// Answers when the test says so; a cancelled one at once.
class Questions final : public broker::Decider {
 public:
  Ticket ask(broker::Asked what, std::function<void(const broker::Verdict&)> done) override {
    asked.push_back(policy::summary(what.action));
    open[asked.size()] = std::move(done);
    return asked.size();
  }
  void cancel(Ticket ticket) override {
    cancelled.insert(ticket);
    answer(ticket, broker::Verdict::Kind::cancelled);
  }
  void answer(Ticket ticket, broker::Verdict::Kind kind) {
    auto node = open.extract(ticket);
    if (!node.empty()) node.mapped()({.kind = kind});
  }
  void outcome(const broker::Verdict&, const policy::Action&, const std::string&) override {}
  void outcomes(std::vector<Done> done) override {
    const std::scoped_lock lock(mutex);
    rows += done.size();
  }
  std::vector<policy::Balance> standing(std::span<const policy::Limit>) override { return {}; }
  bool counted(std::span<const policy::Use>, std::span<const policy::Limit>) override { return true; }
  void settle(const broker::Verdict&, const policy::Action&, Paid, const std::string&) override {}

  std::vector<std::string> asked;
  std::map<Ticket, std::function<void(const broker::Verdict&)>> open;
  std::set<Ticket> cancelled;
  std::mutex mutex;
  std::size_t rows = 0;
};

broker::Asked connect(const std::string& host) {
  return {.action = policy::Connect{.host = host, .port = 443}};
}

struct TwoLanes {
  boost::asio::io_context loop, one, two;
  Questions questions;
  KnownYes yes{10s};
  std::shared_ptr<Desk> desk = std::make_shared<Desk>(questions, yes);
  LaneDecider first{one, loop, questions, desk}, second{two, loop, questions, desk};
};

// All that is there to do.
void run(boost::asio::io_context& loop) {
  loop.restart();
  loop.poll();
}

}  // namespace

TEST_CASE_METHOD(TwoLanes, "what several lanes ask at once is asked once, and each hears of it in its own loop") {
  std::vector<std::string> heard;
  const auto note = [&heard](const std::string& who) {
    return [&heard, who](const broker::Verdict& verdict) {
      heard.push_back(who + (verdict.kind == broker::Verdict::Kind::allow ? " yes" : " no"));
    };
  };
  first.ask(connect("a.example"), note("first"));
  second.ask(connect("a.example"), note("second"));
  second.ask(connect("b.example"), note("second"));
  run(loop);
  CHECK(questions.asked == std::vector<std::string>{"a.example:443", "b.example:443"});
  questions.answer(1, broker::Verdict::Kind::allow);
  CHECK(heard.empty());
  run(one);
  CHECK(heard == std::vector<std::string>{"first yes"});
  run(two);
  CHECK(heard == std::vector<std::string>{"first yes", "second yes"});
  // The yes is known, also to whom it was not for; a no is asked anew.
  second.ask(connect("a.example"), note("second"));
  run(loop);
  run(two);
  CHECK(questions.asked.size() == 2);
  CHECK(heard.back() == "second yes");
  questions.answer(2, broker::Verdict::Kind::deny);
  run(two);
  CHECK(heard.back() == "second no");
  first.ask(connect("b.example"), note("first"));
  run(loop);
  CHECK(questions.asked.size() == 3);
}

TEST_CASE_METHOD(
    TwoLanes, "what no lane waits for any more is given up, and its end is not taken for that of what is asked next") {
  int heard = 0;
  const auto count = [&heard](const broker::Verdict&) { ++heard; };
  const auto ticket = first.ask(connect("a.example"), count);
  second.ask(connect("a.example"), count);
  first.cancel(ticket);
  run(loop);
  CHECK(questions.cancelled.empty());
  const auto late = questions.open.extract(1).mapped();
  desk->leave(two);
  CHECK(questions.cancelled == std::set<broker::Decider::Ticket>{1});
  first.ask(connect("a.example"), count);
  run(loop);
  REQUIRE(questions.asked.size() == 2);
  late({.kind = broker::Verdict::Kind::cancelled});
  run(one);
  run(two);
  CHECK(heard == 0);
  questions.answer(2, broker::Verdict::Kind::allow);
  run(one);
  CHECK(heard == 1);
  // Nobody is called when the desk has gone.
  first.ask(connect("c.example"), count);
  desk.reset();
}

TEST_CASE("what is thrown in a lane is thrown in its owner's loop, and a lane that is stopped runs nothing more") {
  boost::asio::io_context owner;
  bool ran = false;
  {
    Lane lane(owner);
    lane.start();
    boost::asio::post(lane.loop(), [] { throw base::SystemError(EIO, "cannot go on"); });
    const auto waits = boost::asio::make_work_guard(owner);
    CHECK_THROWS_AS(owner.run(), base::SystemError);
    lane.stop();
    boost::asio::post(lane.loop(), [&ran] { ran = true; });
  }
  CHECK_FALSE(ran);
}

TEST_CASE("what had come to a lane before it was stopped is still done, and there is an end to that") {
  boost::asio::io_context owner;
  Lane lane(owner);
  lane.start();
  int ran = 0;
  lane.stop();
  std::function<void()> again = [&] {
    ++ran;
    boost::asio::post(lane.loop(), again);
  };
  boost::asio::post(lane.loop(), again);
  lane.finish();
  CHECK(ran > 1);
}

namespace {

constexpr std::string_view no_protocol = "BENCH x\r\n\r\n";

// A gate with lanes, as its rooms meet it over CONNECT: good.example leads to an echo server, bad.example is not granted.
class Lanes {
 public:
  enum class Pours : std::uint8_t { no, yes };
  explicit Lanes(std::int64_t bytes_out = 1'000'000'000, Pours pours = Pours::no) : pours_(pours == Pours::yes) {
    policy::Rules rules;
    const std::string port = std::to_string(port_of(server_));
    for (const std::string& text : {"good.example:" + port, "127.0.0.1:" + port}) {
      rules.network.allow.push_back({.value = profile::parse_host_rule(text, {}).value(), .origin = {}});
    }
    rules.traffic.bytes_out =
        rules.traffic.bytes_out_per_host = {.value = {.text = "t", .amount = bytes_out, .unit = "B"}, .origin = {}};
    GateSetup setup;
    setup.rules = std::move(rules);
    setup.lanes = 3;
    setup.secret = "secret";
    setup.look_up = [port = port_of(server_)](const std::string&, std::uint16_t) {
      return std::vector<Target>{Target::loopback(AF_INET, port)};
    };
    setup.who = [this](const Ends&) {
      ++looks;
      return Requester{.pid = 1, .program = "/bin/x", .parents = {}};
    };
    gate_.emplace(loop_.context, questions, splicer_, std::move(setup));
    UniqueFd listener = listen_at(AF_INET, 0);
    proxy_ = port_of(listener);
    gate_->serve_proxy(std::move(listener), Gate::Proxy::http);
    gate_->start();
    running_ = loop_.start();
    echo_ = std::jthread([this](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        UniqueFd client(::accept4(server_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        std::array<char, 64> bytes{};
        const ssize_t count = client ? ::recv(client.get(), bytes.data(), bytes.size(), 0) : 0;
        if (count > 0) ::send(client.get(), bytes.data(), static_cast<std::size_t>(count), MSG_NOSIGNAL);
        if (pours_) poured_.push_back(std::move(client));
      }
    });
  }
  ~Lanes() {
    end();
    loop_.stop();
    echo_.request_stop();
    connect_to(AF_INET, port_of(server_));
  }
  // The gate goes.
  void end() {
    std::promise<void> gone;
    boost::asio::post(loop_.context, [&] {
      gate_.reset();
      gone.set_value();
    });
    gone.get_future().wait();
  }
  Lanes(const Lanes&) = delete;
  Lanes& operator=(const Lanes&) = delete;

  // What the proxy says to CONNECT, and then the server.
  [[nodiscard]] std::string said(const std::string& host) const {
    const UniqueFd client = connect_to(AF_INET, proxy_);
    const std::string at = host + ":" + std::to_string(port_of(server_));
    say(client, "CONNECT " + at + " HTTP/1.1\r\nHost: " + at + "\r\n\r\n");
    const std::string answer = hear(client);
    if (answer.find(" 200 ") == std::string::npos) return answer.substr(0, answer.find("\r\n"));
    say(client, no_protocol);
    return hear(client);
  }
  // As much as goes, until the gate breaks it off.
  void pour() const {
    const UniqueFd client = hold();
    (void)hear(client);
    const std::string words = std::string(no_protocol) + std::string(4'000'000, 'x');
    for (std::string_view rest = words; !rest.empty();) {
      const ssize_t count = ::send(client.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
      if (count <= 0) break;
      rest.remove_prefix(static_cast<std::size_t>(count));
    }
  }
  // Connections that are still held when the gate goes.
  [[nodiscard]] UniqueFd hold() const {
    UniqueFd client = connect_to(AF_INET, proxy_);
    const std::string at = "good.example:" + std::to_string(port_of(server_));
    say(client, "CONNECT " + at + " HTTP/1.1\r\nHost: " + at + "\r\n\r\n");
    return client;
  }

  std::atomic<int> looks = 0;
  // By rule, from the loop.
  class Rules final : public broker::Decider {
   public:
    explicit Rules(boost::asio::io_context& loop) : loop_(loop) {}
    Ticket ask(broker::Asked what, std::function<void(const broker::Verdict&)> done) override {
      const bool good = policy::summary(what.action).starts_with("good.example");
      ++(good ? good_asked : bad_asked);
      boost::asio::post(loop_, [done = std::move(done), good] {
        done({.kind = good ? broker::Verdict::Kind::allow : broker::Verdict::Kind::deny,
              .by = broker::Verdict::By::rule,
              .reason = "no rule"});
      });
      return 1;
    }
    void cancel(Ticket) override {}
    void outcome(const broker::Verdict&, const policy::Action&, const std::string&) override {}
    void outcomes(std::vector<Done> done) override {
      const std::scoped_lock lock(mutex);
      for (const Done& one : done) sent += one.traffic ? one.traffic->sent : 0;
      rows += done.size();
    }
    std::vector<policy::Balance> standing(std::span<const policy::Limit>) override { return {}; }
    bool counted(std::span<const policy::Use> uses, std::span<const policy::Limit>) override {
      const std::scoped_lock lock(mutex);
      for (const policy::Use& use : uses) used += static_cast<std::uint64_t>(use.amount);
      return true;
    }
    void settle(const broker::Verdict&, const policy::Action&, Paid, const std::string&) override {}
    int good_asked = 0, bad_asked = 0;
    std::mutex mutex;
    std::size_t rows = 0;
    std::uint64_t sent = 0, used = 0;

   private:
    boost::asio::io_context& loop_;
  };

 private:
  static void say(const UniqueFd& client, std::string_view words) {
    ::send(client.get(), words.data(), words.size(), MSG_NOSIGNAL);
  }
  static std::string hear(const UniqueFd& client) {
    std::array<char, 1024> bytes{};
    const ssize_t count = ::recv(client.get(), bytes.data(), bytes.size(), 0);
    return count > 0 ? std::string(bytes.data(), static_cast<std::size_t>(count)) : "nothing";
  }

  UniqueFd server_ = listen_at(AF_INET, 0);
  std::uint16_t proxy_ = 0;
  Loop loop_;

 public:
  Rules questions{loop_.context};

 private:
  Splicer splicer_{loop_.context};
  std::optional<Gate> gate_;
  bool pours_;
  std::vector<UniqueFd> poured_;
  std::jthread echo_;
  Loop::Running running_;
};

}  // namespace

TEST_CASE("all lanes rule alike, ask once, and lose no row and no byte of the count") {
  constexpr int clients = 6, times = 40;
  std::atomic<int> echoed = 0, refused = 0;
  std::size_t rows = 0;
  std::uint64_t sent = 0, used = 0;
  int asked = 0;
  {
    std::vector<UniqueFd> held;
    auto lanes = std::make_unique<Lanes>();
    {
      std::vector<std::jthread> all;
      for (int i = 0; i < clients; ++i) {
        all.emplace_back([&] {
          for (int k = 0; k < times; ++k) {
            if (lanes->said("good.example") == no_protocol) ++echoed;
            if (lanes->said("bad.example") == "HTTP/1.1 403 Forbidden") ++refused;
          }
        });
      }
    }
    for (int i = 0; i < 5; ++i) held.push_back(lanes->hold());
    Lanes::Rules& questions = lanes->questions;
    lanes->end();
    {
      const std::scoped_lock lock(questions.mutex);
      rows = questions.rows;
      sent = questions.sent;
      used = questions.used;
    }
    CHECK(lanes->looks > 0);
    asked = questions.good_asked;
  }
  CHECK(echoed == clients * times);
  CHECK(refused == clients * times);
  CHECK(rows >= clients * times);
  CHECK(sent == clients * times * no_protocol.size());
  CHECK(used == sent);
  CHECK(asked == 1);
}

TEST_CASE("however many lanes they go through, no byte goes beyond a limit, and all up to it do") {
  constexpr int clients = 8;
  constexpr std::int64_t limit = 3'000'000;
  Lanes lanes(limit, Lanes::Pours::yes);
  {
    std::vector<std::jthread> all;
    for (int i = 0; i < clients; ++i) all.emplace_back([&] { lanes.pour(); });
  }
  lanes.end();
  CHECK(lanes.questions.sent == limit);
  CHECK(lanes.questions.bad_asked > 0);
}
