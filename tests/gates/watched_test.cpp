// Sockets that the loop watches: told to the kernel once, edge-triggered, and yet a wait is answered whenever there is
// something to read, however it came to lie there.

#include "agentbox/gates/network/watched.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>

#include "agentbox/base/unique_fd.hpp"

using namespace agentbox;
using namespace std::chrono_literals;
using gates::network::Watched;
using For = Watched::For;

namespace {

struct Ends {
  Watched watched;
  base::UniqueFd other;
};
Ends ends() {
  std::array<int, 2> pair{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair.data()) == 0);
  return {.watched = base::UniqueFd(pair[0]), .other = base::UniqueFd(pair[1])};
}

void say(const base::UniqueFd& socket, std::string_view text) {
  REQUIRE(::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
}

std::string read_some(const Watched& socket, std::size_t most) {
  std::string text(most, '\0');
  const auto count = ::recv(socket.get(), text.data(), most, MSG_DONTWAIT);
  text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  return text;
}

struct Heard {
  int times = 0;
  int error = 0;
  Watched::Then then() {
    return [this](int what) {
      ++times;
      error = what;
    };
  }
};

class Listener : public Watched::Listener {
 public:
  void on_events(std::uint32_t events) override { heard.push_back(events); }
  std::vector<std::uint32_t> heard;
};

// All that is ready, and a little more: of what must not come nothing comes.
void run(boost::asio::io_context& loop) {
  loop.restart();
  loop.run_for(std::chrono::milliseconds(5));
}

}  // namespace

TEST_CASE("a wait is answered once, when there is something to read") {
  boost::asio::io_context loop;
  auto [socket, other] = ends();
  Heard heard;
  socket.wait(loop, For::reading, heard.then());
  run(loop);
  CHECK(heard.times == 0);
  say(other, "a");
  run(loop);
  CHECK(heard.times == 1);
  CHECK(heard.error == 0);
  say(other, "b");
  run(loop);
  CHECK(heard.times == 1);
}

TEST_CASE("what lay there before the wait answers it, though it is no event any more") {
  boost::asio::io_context loop;
  auto [socket, other] = ends();
  Heard heard;
  say(other, "abc");
  for (int i = 1; i <= 3; ++i) {
    socket.wait(loop, For::reading, heard.then());
    CHECK(heard.times == i - 1);  // never from within
    run(loop);
    CHECK(heard.times == i);
    CHECK(read_some(socket, 1).size() == 1);
  }
  socket.wait(loop, For::reading, heard.then());
  run(loop);
  CHECK(heard.times == 3);
}

TEST_CASE("who has read all waits for more, and hears of it and of the end") {
  boost::asio::io_context loop;
  auto [socket, other] = ends();
  Heard heard;
  socket.wait(loop, For::reading, heard.then());
  say(other, "abc");
  run(loop);
  CHECK(read_some(socket, 10) == "abc");
  socket.dry();
  CHECK_FALSE(socket.may_be_readable());
  socket.wait(loop, For::reading, heard.then());
  run(loop);
  CHECK(heard.times == 1);
  say(other, "d");
  run(loop);
  CHECK(heard.times == 2);
  CHECK(read_some(socket, 10) == "d");
  socket.dry();
  // Said and ended before anybody waits.
  say(other, "e");
  other.reset();
  socket.wait(loop, For::reading, heard.then());
  run(loop);
  CHECK(heard.times == 3);
  CHECK(socket.hung_up());
  CHECK(read_some(socket, 1) == "e");
  // No event follows the end: that one still has to be read isn't forgotten.
  socket.dry();
  CHECK(socket.may_be_readable());
  socket.wait(loop, For::reading, heard.then());
  run(loop);
  CHECK(heard.times == 4);
}

TEST_CASE("room to write answers at once, and else when the other side has read") {
  boost::asio::io_context loop;
  auto [socket, other] = ends();
  Heard reading, writing;
  socket.wait(loop, For::reading, reading.then());
  socket.wait(loop, For::writing, writing.then());
  run(loop);
  CHECK(writing.times == 1);
  const std::string much(65536, 'x');
  while (::send(socket.get(), much.data(), much.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
  }
  socket.wait(loop, For::writing, writing.then());
  run(loop);
  CHECK(writing.times == 1);
  std::string taken(much.size(), '\0');
  while (::recv(other.get(), taken.data(), taken.size(), MSG_DONTWAIT) > 0) {
  }
  run(loop);
  CHECK(writing.times == 2);
  CHECK(writing.error == 0);
  CHECK(reading.times == 0);
}

TEST_CASE("what waits hears of the end of waiting: given up, closed, no socket") {
  boost::asio::io_context loop;
  Heard heard;
  {
    auto [socket, other] = ends();
    socket.wait(loop, For::reading, heard.then());
    socket.cancel();
    CHECK(heard.times == 0);
    run(loop);
    CHECK(heard.times == 1);
    CHECK(heard.error != 0);
    socket.wait(loop, For::reading, heard.then());
    socket.reset();
    run(loop);
    CHECK(heard.times == 2);
    CHECK(heard.error != 0);
  }
  Watched none;
  none.wait(loop, For::reading, heard.then());
  run(loop);
  CHECK(heard.times == 3);
  CHECK(heard.error != 0);
}

TEST_CASE("what waited is let go when the socket goes to its next owner, who hears what comes, and what came") {
  boost::asio::io_context loop;
  auto [socket, other] = ends();
  Heard heard;
  socket.wait(loop, For::reading, heard.then());
  Watched next = socket.hand_over();
  CHECK_FALSE(next.may_be_readable());
  say(other, "a");
  run(loop);
  CHECK(heard.times == 0);
  CHECK(next.may_be_readable());
  next.wait(loop, For::reading, heard.then());
  run(loop);
  CHECK(heard.times == 1);

  Listener listener;
  Watched last = next.hand_over();
  CHECK(last.listen(loop, listener));
  say(other, "b");
  run(loop);
  REQUIRE(listener.heard.size() == 1);
  CHECK((listener.heard[0] & EPOLLIN) != 0);
  CHECK((listener.heard[0] & EPOLLOUT) == 0);
  CHECK(last.listen_for_room());
  run(loop);
  REQUIRE(listener.heard.size() == 2);
  CHECK((listener.heard[1] & EPOLLOUT) != 0);
  CHECK(heard.times == 1);
}

// A room's socket may have a twin in the helper that made it: closed here, it stays in epoll.
TEST_CASE("what comes of a socket that is closed reaches nobody, though the kernel still tells of it") {
  boost::asio::io_context loop;
  auto [socket, other] = ends();
  Heard heard;
  socket.wait(loop, For::reading, heard.then());
  const base::UniqueFd twin(::dup(socket.get()));
  socket.reset();
  run(loop);
  CHECK(heard.times == 1);
  CHECK(heard.error != 0);
  // It gets the other's place.
  auto [second, its_other] = ends();
  Heard second_heard;
  second.wait(loop, For::reading, second_heard.then());
  say(other, "a");
  run(loop);
  CHECK(second_heard.times == 0);
  say(its_other, "b");
  run(loop);
  CHECK(second_heard.times == 1);
}

TEST_CASE("one event that two hear: the first may close the socket, or give it away") {
  boost::asio::io_context loop;
  auto [socket, other] = ends();
  Heard writing;
  const bool closes = GENERATE(true, false);
  Watched elsewhere;
  socket.wait(loop, For::reading, [&socket, &elsewhere, closes](int) {
    if (closes) return socket.reset();
    elsewhere = socket.hand_over();
  });
  other.reset();  // readable and writable at once
  socket.wait(loop, For::writing, writing.then());
  run(loop);
  CHECK(writing.times == (closes ? 1 : 0));
  CHECK((writing.error == ECANCELED) == closes);
  CHECK(static_cast<bool>(elsewhere) != closes);
}

TEST_CASE("a loop that goes away lets go of what still waits") {
  std::weak_ptr<Watched> seen;
  {
    boost::asio::io_context loop;
    auto [socket, other] = ends();
    auto owner = std::make_shared<Watched>(std::move(socket));
    seen = owner;
    owner->wait(loop, For::reading, [owner](int) {});
    owner.reset();
    CHECK_FALSE(seen.expired());
  }
  CHECK(seen.expired());
}

TEST_CASE("a socket that is no longer young is asked for a silent end of its other side, whoever has it by then") {
  const auto asked = [](const Watched& socket) {
    int on = 0, probes = 0;
    socklen_t size = sizeof on;
    REQUIRE(::getsockopt(socket.get(), SOL_SOCKET, SO_KEEPALIVE, &on, &size) == 0);
    REQUIRE(::getsockopt(socket.get(), IPPROTO_TCP, TCP_KEEPCNT, &probes, &size) == 0);
    return on == 1 && probes == 4;
  };
  const auto tcp = [] { return Watched(base::UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))); };
  boost::asio::io_context loop;
  Watched::prepare(loop, {.young = 10ms});
  Heard heard;
  Watched before = tcp(), after = tcp(), never = tcp(), unknown = tcp();
  before.notice_silent_end();
  Watched moved = std::move(before);
  for (Watched* socket : {&moved, &after, &never}) socket->wait(loop, For::reading, heard.then());
  after.notice_silent_end();
  unknown.notice_silent_end();
  Watched handed_over = after.hand_over();
  CHECK_FALSE(asked(moved));
  loop.run_for(200ms);
  CHECK(asked(moved));
  CHECK(asked(handed_over));
  CHECK_FALSE(asked(never));
  CHECK_FALSE(asked(unknown));
}

TEST_CASE("who has said all is seen to after those who go on, also those who come meanwhile, if they are looked for") {
  const std::size_t rounds = GENERATE(std::size_t{1}, std::size_t{2});
  boost::asio::io_context loop;
  Watched::prepare(loop, {.rounds = rounds});
  Ends gone = ends(), here = ends(), late = ends();
  std::string order;
  const auto note = [&order](char who) { return [&order, who](int) { order += who; }; };
  gone.watched.wait(loop, For::reading, note('g'));
  late.watched.wait(loop, For::reading, note('l'));
  here.watched.wait(loop, For::reading, [&](int) {
    order += 'h';
    say(late.other, "x");
  });
  gone.other.reset();
  say(here.other, "x");
  loop.poll();
  CHECK(order == (rounds == 1 ? "hgl" : "hlg"));
}
