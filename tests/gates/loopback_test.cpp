#include "agentbox/gates/network/loopback.hpp"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <poll.h>
#include <sys/resource.h>

#include <catch2/catch.hpp>

#include "agentbox/base/error.hpp"

#include "sockets.hpp"

using namespace agentbox::gates::network;
using namespace agentbox::test;
using agentbox::base::SystemError;

namespace {

// A server's port on the host, and the gate to it with listeners that stand for the room's.
struct Grant {
  std::optional<UniqueFd> server_four, server_six;
  std::uint16_t port = 0, room_four = 0, room_six = 0;
  std::optional<Loop> loop{std::in_place};
  std::optional<Splicer> splicer{std::in_place, loop->context};
  std::optional<LoopbackGate> gate;
  Loop::Running running;

  enum class Server { none, four, six, both };
  explicit Grant(Server server = Server::four, Limits limits = {}) {
    port = free_port();
    if (server == Server::four || server == Server::both) server_four = listen_at(AF_INET, port);
    if (server == Server::six || server == Server::both) server_six = listen_at(AF_INET6, port);
    UniqueFd four = listen_at(AF_INET, 0), six = listen_at(AF_INET6, 0);
    room_four = port_of(four);
    room_six = port_of(six);
    gate.emplace(loop->context, *splicer, port, limits);
    gate->serve(std::move(four));
    gate->serve(std::move(six));
    running = loop->start();
  }

  struct Pair {
    UniqueFd client, server;
  };
  Pair connected() const {
    Pair pair;
    pair.client = connect_to(AF_INET, room_four);
    pair.server = accept_from(*server_four);
    return pair;
  }
  Counters counters() {
    loop->stop();
    return gate->counters();
  }
};

std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  std::uint32_t state = 1;
  for (auto& c : text) {
    state = state * 1664525 + 1013904223;
    c = static_cast<char>(state >> 24);
  }
  return text;
}

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator begin("/proc/self/fd"), end;
  return static_cast<std::size_t>(std::distance(begin, end));
}

}  // namespace

TEST_CASE("a connection in the room reaches the host's server, both ways") {
  Grant grant;
  auto [client, server] = grant.connected();
  say(client, "question");
  CHECK(hear(server, 8).text == "question");
  say(server, "answer");
  CHECK(hear(client, 6).text == "answer");
}

TEST_CASE("the end of one side is passed on, and the other side may go on speaking") {
  Grant grant;
  auto [client, server] = grant.connected();
  say(client, "all of it");
  end_of_speech(client);
  const Heard question = hear(server);
  CHECK(question.text == "all of it");
  CHECK(question.error == 0);
  const std::string answer = pattern(3'000'000);
  std::thread speaker([&] {
    say(server, answer);
    server.reset();
  });
  const Heard heard = hear(client);
  speaker.join();
  CHECK((heard.text == answer));
  CHECK(heard.error == 0);
}

TEST_CASE("where no server listens the client is reset at once") {
  Grant grant(Grant::Server::none);
  for (std::uint16_t port : {grant.room_four, grant.room_six}) {
    const UniqueFd client = connect_to(port == grant.room_four ? AF_INET : AF_INET6, port);
    CHECK(hear(client).error == ECONNRESET);
  }
  CHECK(grant.counters().refused == 2);
}

TEST_CASE("a server that listens on one family only is reached from both") {
  const bool six = GENERATE(false, true);
  Grant grant(six ? Grant::Server::six : Grant::Server::four);
  for (int family : {AF_INET, AF_INET6}) {
    const UniqueFd client = connect_to(family, family == AF_INET ? grant.room_four : grant.room_six);
    const UniqueFd server = accept_from(six ? *grant.server_six : *grant.server_four);
    say(client, "x");
    CHECK(hear(server, 1).text == "x");
  }
}

TEST_CASE("where servers listen on both families each client gets the one of its own") {
  Grant grant(Grant::Server::both);
  const UniqueFd four = connect_to(AF_INET, grant.room_four), six = connect_to(AF_INET6, grant.room_six);
  say(four, "4");
  say(six, "6");
  CHECK(hear(accept_from(*grant.server_four), 1).text == "4");
  CHECK(hear(accept_from(*grant.server_six), 1).text == "6");
}

TEST_CASE("a client that breaks off resets the server") {
  Grant grant;
  auto [client, server] = grant.connected();
  say(client, "x");
  REQUIRE(hear(server, 1).text == "x");
  break_off(std::move(client));
  CHECK(hear(server).error == ECONNRESET);
}

TEST_CASE("a server that breaks off resets the client") {
  Grant grant;
  auto [client, server] = grant.connected();
  break_off(std::move(server));
  CHECK(hear(client).error == ECONNRESET);
}

// HTTP servers do it: 413, and close with the rest of the upload unread.
TEST_CASE("what was said before a reset arrives before it") {
  Grant grant;
  auto [client, server] = grant.connected();
  say(client, std::string(100'000, 'u'));
  REQUIRE(hear(server, 1).text == "u");
  const std::string answer = pattern(100'000);
  say(server, answer);
  server.reset();  // unread bytes make it a reset
  const Heard heard = hear(client);
  CHECK((heard.text == answer));
  CHECK(heard.error == ECONNRESET);
}

TEST_CASE("a client that vanishes while the server speaks ends the server") {
  Grant grant;
  auto [client, server] = grant.connected();
  client.reset();
  int error = 0;
  const std::string text(65536, 'x');
  for (int i = 0; i < 10'000 && error == 0; ++i) {
    if (::send(server.get(), text.data(), text.size(), MSG_NOSIGNAL) < 0) error = errno;
  }
  CHECK((error == ECONNRESET || error == EPIPE));
}

TEST_CASE("a reader that does not read holds the writer back, and loses nothing") {
  Grant grant;
  auto [client, server] = grant.connected();
  const std::string text = pattern(65536);
  std::size_t written = 0;
  // Until the kernel's buffers and the pipe are full.
  for (;;) {
    pollfd ready{server.get(), POLLOUT, 0};
    if (::poll(&ready, 1, 200) == 0) break;
    const auto count = ::send(server.get(), text.data() + written % text.size(), text.size() - written % text.size(),
                              MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count > 0) written += static_cast<std::size_t>(count);
  }
  CHECK(written < 64'000'000);
  server.reset();
  const Heard heard = hear(client);
  REQUIRE(heard.text.size() == written);
  CHECK(heard.error == 0);
  for (std::size_t at = 0; at < written; at += text.size()) {
    const auto part = std::min(text.size(), written - at);
    REQUIRE((heard.text.compare(at, part, text, 0, part) == 0));
  }
}

TEST_CASE("a large transfer both ways at once arrives byte for byte, and is counted") {
  Grant grant;
  auto [client, server] = grant.connected();
  const std::string up = pattern(48'000'001), down = pattern(32'000'003);
  std::thread client_speaks([&] {
    say(client, up);
    end_of_speech(client);
  });
  std::thread server_speaks([&] {
    say(server, down);
    end_of_speech(server);
  });
  Heard at_server;
  std::thread server_hears([&] { at_server = hear(server); });
  const Heard at_client = hear(client);
  client_speaks.join();
  server_speaks.join();
  server_hears.join();
  CHECK((at_server.text == up));
  CHECK((at_client.text == down));
  client.reset();
  server.reset();
  const Counters counters = grant.counters();
  CHECK(counters.connections == 1);
  CHECK(counters.refused == 0);
  CHECK(counters.bytes.to_upstream == up.size());
  CHECK(counters.bytes.to_client == down.size());
}

TEST_CASE("a thousand connections at once are served, and idle ones hold no pipe") {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = std::min<rlim_t>(files.rlim_max, 20'000);
  ::setrlimit(RLIMIT_NOFILE, &files);
  REQUIRE(files.rlim_cur > 5000);
  Grant grant;
  const std::size_t before = open_descriptors();
  std::vector<Grant::Pair> pairs;
  for (int i = 0; i < 1000; ++i) {
    pairs.push_back(grant.connected());
    REQUIRE(pairs.back().client);
    REQUIRE(pairs.back().server);
  }
  for (std::size_t i = 0; i < pairs.size(); ++i) say(pairs[i].client, "question " + std::to_string(i) + "\n");
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const std::string question = "question " + std::to_string(i) + "\n";
    REQUIRE(hear(pairs[i].server, question.size()).text == question);
    say(pairs[i].server, "answer " + question);
  }
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const std::string answer = "answer question " + std::to_string(i) + "\n";
    REQUIRE(hear(pairs[i].client, answer.size()).text == answer);
  }
  // Of each: client, its accepted end, upstream, server's accepted end. And a few idle pipes in the pool.
  CHECK(open_descriptors() <= before + 4 * 1000 + 2 * 16);
}

TEST_CASE("beyond the limit connections wait their turn") {
  Grant grant(Grant::Server::four, Limits{.connections = 2});
  auto first = grant.connected();
  auto second = grant.connected();
  const UniqueFd third = connect_to(AF_INET, grant.room_four);  // the kernel's queue takes it
  REQUIRE(third);
  say(third, "third");
  pollfd arrives{grant.server_four->get(), POLLIN, 0};
  CHECK(::poll(&arrives, 1, 100) == 0);
  first.client.reset();
  first.server.reset();
  CHECK(hear(accept_from(*grant.server_four), 5).text == "third");
}

TEST_CASE("what goes away in the midst of connections resets them") {
  Grant grant;
  auto [client, server] = grant.connected();
  grant.loop->stop();
  grant.gate.reset();
  grant.splicer.reset();
  CHECK(hear(client).error == ECONNRESET);
  CHECK(hear(server).error == ECONNRESET);
}

TEST_CASE("a published port of the room is reached from both loopback addresses of the host") {
  Loop loop;
  Splicer splicer(loop.context);
  const UniqueFd server = listen_at(AF_INET, 0);
  const std::uint16_t port = free_port();
  std::vector<int> asked_for;
  PublishGate gate(loop.context, splicer, port, port_of(server), [&](int family) {
    asked_for.push_back(family);
    return own_socket(family);
  });
  const auto running = loop.start();
  for (int family : {AF_INET, AF_INET6}) {
    const UniqueFd client = connect_to(family, port);
    const UniqueFd inside = accept_from(server);
    say(client, "in");
    CHECK(hear(inside, 2).text == "in");
    say(inside, "out");
    CHECK(hear(client, 3).text == "out");
  }
  loop.stop();
  CHECK(asked_for == std::vector<int>{AF_INET, AF_INET6, AF_INET});
}

TEST_CASE("a published port whose room has gone is reset") {
  Loop loop;
  Splicer splicer(loop.context);
  const std::uint16_t port = free_port();
  PublishGate gate(loop.context, splicer, port, 3000,
                   [](int) -> UniqueFd { throw SystemError(EPIPE, "the room is gone"); });
  const auto running = loop.start();
  CHECK(hear(connect_to(AF_INET, port)).error == ECONNRESET);
}

TEST_CASE("a port that is in use is not published, and the message says what to do") {
  boost::asio::io_context context;
  Splicer splicer(context);
  const UniqueFd four = listen_at(AF_INET, 0);
  const std::string port = std::to_string(port_of(four));
  try {
    const PublishGate gate(context, splicer, port_of(four), 3000, own_socket);
    FAIL("it was published");
  } catch (const SystemError& error) {
    CHECK(error.code() == EADDRINUSE);
    CHECK(error.what() == "cannot publish a port on 127.0.0.1:" + port + ": Address already in use");
    CHECK(error.hint() == "another program listens there (`ss -ltnp sport = :" + port +
                              "` shows it); publish = [\"PORT:3000\"] takes another port of the host");
  }
  const std::uint16_t free = free_port();
  const UniqueFd six = listen_at(AF_INET6, free);
  CHECK_THROWS_WITH(PublishGate(context, splicer, free, 3000, own_socket),
                    "cannot publish a port on [::1]:" + std::to_string(free) + ": Address already in use");
}

TEST_CASE("a socket that does not listen is refused") {
  boost::asio::io_context context;
  Splicer splicer(context);
  LoopbackGate gate(context, splicer, 8080);
  CHECK_THROWS_WITH(gate.serve(own_socket(AF_INET)), "cannot accept connections: Invalid argument");
}
