// What a tap lets go, to the byte, through both relays; nothing is lost while they are held.

#include <atomic>
#include <memory>
#include <string>

#include <boost/asio/post.hpp>
#include <catch2/catch.hpp>

#include "agentbox/gates/network/splicer.hpp"

#include "network/http_relay.hpp"
#include "sockets.hpp"

using namespace agentbox;
using namespace agentbox::gates::network;
using namespace agentbox::test;

namespace {

class Allowance final : public Tap {
 public:
  explicit Allowance(std::uint64_t left) : left_(left) {}
  std::uint64_t reserve(std::uint64_t most) override { return std::min(most, left_); }
  void took(std::uint64_t reserved, std::uint64_t bytes) override {
    if (bytes > left_ || bytes > reserved) overdrawn = true;
    left_ -= std::min<std::uint64_t>(left_, bytes);
    all += bytes;
  }
  void wants_more() override { ++asked; }
  void add(std::uint64_t more) { left_ += more; }

  std::atomic<std::uint64_t> all = 0;
  std::atomic<int> asked = 0;
  std::atomic<bool> overdrawn = false;

 private:
  std::uint64_t left_;
};

struct Pair {
  UniqueFd ours, theirs;
};
Pair pair() {
  const UniqueFd listener = listen_at(AF_INET, 0);
  UniqueFd ours = connect_to(AF_INET, port_of(listener));
  UniqueFd theirs = accept_from(listener);
  never_block(theirs);
  return {std::move(ours), std::move(theirs)};
}

void wait_for(const std::atomic<int>& number) {
  for (int i = 0; i < 1000 && number == 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  REQUIRE(number > 0);
}

}  // namespace

TEST_CASE("a splicer takes from the client what the tap lets go, and goes on when it lets go more") {
  const std::size_t first = GENERATE(std::size_t{1}, std::size_t{100}, std::size_t{9000}, std::size_t{300'000});
  Pair room = pair(), outside = pair();
  const auto tap = std::make_shared<Allowance>(first);
  Loop loop;
  Splicer splicer(loop.context);
  std::atomic<int> done = 0;
  Bytes bytes;
  const Splicer::Id id = splicer.relay(
      std::move(room.theirs), std::move(outside.theirs),
      [&](Outcome, Bytes all) {
        bytes = all;
        ++done;
      },
      tap);
  const auto running = loop.start();
  std::thread client([&] {
    say(room.ours, std::string(1'000'000, 'x'));
    end_of_speech(room.ours);
  });
  CHECK(hear(outside.ours, first).text.size() == first);
  wait_for(tap->asked);
  // Nothing more comes; the other way is open.
  char byte = 0;
  CHECK(::recv(outside.ours.get(), &byte, 1, MSG_DONTWAIT) == -1);
  say(outside.ours, "hello");
  CHECK(hear(room.ours, 5).text == "hello");
  boost::asio::post(loop.context, [&] {
    tap->add(2'000'000);
    splicer.go_on(id);
    splicer.go_on(id + 1);  // nobody's
  });
  CHECK(hear(outside.ours).text.size() == 1'000'000 - first);
  client.join();
  end_of_speech(outside.ours);
  wait_for(done);
  CHECK(tap->all == 1'000'000);
  CHECK_FALSE(tap->overdrawn);
  CHECK(bytes.to_upstream == 1'000'000);
  CHECK(bytes.to_client == 5);
}

TEST_CASE("who says nothing more is not held, though nothing is left") {
  Pair room = pair(), outside = pair();
  const auto tap = std::make_shared<Allowance>(5);
  Loop loop;
  Splicer splicer(loop.context);
  std::atomic<int> done = 0;
  splicer.relay(std::move(room.theirs), std::move(outside.theirs), [&](Outcome, Bytes) { ++done; }, tap);
  const auto running = loop.start();
  say(room.ours, "hello");
  CHECK(hear(outside.ours, 5).text == "hello");
  end_of_speech(room.ours);
  CHECK(hear(outside.ours).error == 0);
  end_of_speech(outside.ours);
  wait_for(done);
  CHECK(tap->asked == 0);
}

TEST_CASE("a held connection that is stopped is reset on both sides") {
  Pair room = pair(), outside = pair();
  const auto tap = std::make_shared<Allowance>(0);
  Loop loop;
  Splicer splicer(loop.context);
  std::atomic<int> done = 0;
  const Splicer::Id id =
      splicer.relay(std::move(room.theirs), std::move(outside.theirs), [&](Outcome, Bytes) { ++done; }, tap);
  const auto running = loop.start();
  say(room.ours, "hello");
  wait_for(tap->asked);
  boost::asio::post(loop.context, [&] { splicer.stop(id); });
  CHECK(hear(room.ours).error == ECONNRESET);
  CHECK(hear(outside.ours).text.empty());
  wait_for(done);
  CHECK(tap->all == 0);
}

TEST_CASE("a request is held in its middle, goes on, and is counted to the byte") {
  const std::size_t body = GENERATE(std::size_t{1000}, std::size_t{2'000'000});
  Pair room = pair(), outside = pair();
  const auto tap = std::make_shared<Allowance>(500);
  Loop loop;
  std::atomic<int> done = 0;
  const std::string head =
      "POST / HTTP/1.1\r\nHost: web.example\r\nContent-Length: " + std::to_string(body) + "\r\n\r\n";
  HttpRequests::Passing passing;
  passing.authority = "web.example";
  std::optional<HttpRelay> relay;
  for (UniqueFd* fd : {&room.theirs, &outside.theirs}) ::fcntl(fd->get(), F_SETFL, O_NONBLOCK);
  relay.emplace(
      loop.context, std::move(room.theirs), std::move(outside.theirs), "", passing, HttpRelay::Judge{},
      [&](HttpRelay::End) { ++done; }, tap);
  const auto running = loop.start();
  std::thread client([&] { say(room.ours, head + std::string(body, 'x')); });
  wait_for(tap->asked);
  CHECK(tap->all == 500);
  boost::asio::post(loop.context, [&] {
    tap->add(10'000'000);
    relay->go_on();
  });
  CHECK(hear(outside.ours, head.size() + body).text.size() == head.size() + body);
  client.join();
  CHECK(tap->all == head.size() + body);
  CHECK_FALSE(tap->overdrawn);
  say(outside.ours, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  CHECK(hear(room.ours, 40).text.ends_with("ok"));
  loop.stop();
  relay.reset();
}

TEST_CASE("what the client had said before there was a relay is held and counted like all else") {
  const std::size_t allowed = GENERATE(std::size_t{0}, std::size_t{30}, std::size_t{5000});
  const std::size_t body = GENERATE(std::size_t{20'000}, std::size_t{600'000});
  Pair room = pair(), outside = pair();
  const auto tap = std::make_shared<Allowance>(allowed);
  Loop loop;
  const std::string all = "POST / HTTP/1.1\r\nHost: web.example\r\nContent-Length: " + std::to_string(body) +
                          "\r\n\r\n" + std::string(body, 'x');
  // More than is read at once.
  const std::size_t before = std::min<std::size_t>(all.size(), 100'000);
  HttpRequests::Passing passing;
  passing.authority = "web.example";
  std::optional<HttpRelay> relay;
  relay.emplace(
      loop.context, std::move(room.theirs), std::move(outside.theirs), all.substr(0, before), passing,
      HttpRelay::Judge{}, [](const HttpRelay::End&) {}, tap);
  const auto running = loop.start();
  std::thread client([&] { say(room.ours, all.substr(before)); });
  wait_for(tap->asked);
  CHECK(tap->all == allowed);
  boost::asio::post(loop.context, [&] {
    tap->add(10'000'000);
    relay->go_on();
  });
  CHECK(hear(outside.ours, all.size()).text == all);
  client.join();
  CHECK(tap->all == all.size());
  CHECK_FALSE(tap->overdrawn);
  loop.stop();
  relay.reset();
}

TEST_CASE("a request that may not be sent is refused in words, one that is half sent is broken off") {
  const bool half = GENERATE(false, true);
  Pair room = pair(), outside = pair();
  const auto tap = std::make_shared<Allowance>(half ? 100 : 0);
  Loop loop;
  std::atomic<int> done = 0;
  std::string why;
  HttpRequests::Passing passing;
  passing.authority = "web.example";
  std::optional<HttpRelay> relay;
  for (UniqueFd* fd : {&room.theirs, &outside.theirs}) ::fcntl(fd->get(), F_SETFL, O_NONBLOCK);
  relay.emplace(
      loop.context, std::move(room.theirs), std::move(outside.theirs), "", passing, HttpRelay::Judge{},
      [&](HttpRelay::End end) {
        why = end.why;
        ++done;
      },
      tap);
  const auto running = loop.start();
  say(room.ours, "POST / HTTP/1.1\r\nHost: web.example\r\nContent-Length: 500\r\n\r\n" + std::string(500, 'x'));
  wait_for(tap->asked);
  boost::asio::post(loop.context, [&] { relay->stop("the owner said no"); });
  const Heard heard = hear(room.ours);
  CHECK((heard.text.find("the owner said no") != std::string::npos) == !half);
  room.ours.reset();
  wait_for(done);
  CHECK(why == "the owner said no");
  loop.stop();
  relay.reset();
}

TEST_CASE("a refusal that must wait for an earlier answer still says why") {
  Pair room = pair(), outside = pair();
  Loop loop;
  std::atomic<int> done = 0;
  HttpRequests::Passing passing;
  passing.authority = "web.example";
  std::optional<HttpRelay> relay;
  for (UniqueFd* fd : {&room.theirs, &outside.theirs}) ::fcntl(fd->get(), F_SETFL, O_NONBLOCK);
  relay.emplace(loop.context, std::move(room.theirs), std::move(outside.theirs), "", passing, HttpRelay::Judge{},
                [&](HttpRelay::End) { ++done; });
  const auto running = loop.start();
  const std::string request = "GET / HTTP/1.1\r\nHost: web.example\r\n\r\n";
  say(room.ours, request);
  CHECK(hear(outside.ours, request.size()).text.size() == request.size());
  std::atomic<int> stopped = 0;
  boost::asio::post(loop.context, [&] {
    relay->stop(std::string(40, 'n') + "o");
    ++stopped;
  });
  wait_for(stopped);
  say(outside.ours, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  const std::string said = hear(room.ours).text;
  CHECK(said.starts_with("HTTP/1.1 200 OK"));
  CHECK(said.ends_with(std::string(40, 'n') + "o\n"));
  room.ours.reset();
  wait_for(done);
  loop.stop();
  relay.reset();
}

TEST_CASE("a sink that is full before the relay begins gets the rest when it has room") {
  Pair room = pair(), outside = pair();
  const std::string much(65536, 'x');
  std::size_t before = 0;
  for (ssize_t count = 0; (count = ::send(outside.theirs.get(), much.data(), much.size(), MSG_DONTWAIT)) > 0;) {
    before += static_cast<std::size_t>(count);
  }
  say(room.ours, "hello");
  Loop loop;
  Splicer splicer(loop.context);
  std::atomic<int> done = 0;
  const auto running = loop.start();
  boost::asio::post(loop.context, [&] {
    splicer.relay(std::move(room.theirs), std::move(outside.theirs), [&](Outcome what, Bytes) {
      CHECK(what == Outcome::finished);
      ++done;
    });
  });
  CHECK(hear(outside.ours, before + 5).text.substr(before) == "hello");
  end_of_speech(room.ours);
  end_of_speech(outside.ours);
  wait_for(done);
}
