// Listeners that several loops accept from: each connection is one loop's alone, and none is left waiting while a loop has
// room for it.

#include "network/acceptor.hpp"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <memory>
#include <vector>

#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>

#include "agentbox/base/error.hpp"

#include "network/shared_listener.hpp"
#include "sockets.hpp"

using namespace agentbox;
using namespace agentbox::gates::network;
using namespace agentbox::test;
using namespace std::chrono_literals;

namespace {

// A loop that accepts, and never lets go by itself.
struct Lane {
  explicit Lane(std::size_t most = 100)
      : acceptor(loop, most, [this](UniqueFd client, int family) {
          REQUIRE(family == AF_INET);
          clients.push_back(std::move(client));
        }) {}
  // How many came of all that is there to do.
  std::size_t poll() {
    const std::size_t before = clients.size();
    loop.restart();
    loop.poll();
    return clients.size() - before;
  }
  boost::asio::io_context loop;
  std::vector<UniqueFd> clients;
  Acceptor acceptor;
};

struct Listening {
  UniqueFd socket = listen_at(AF_INET, 0);
  std::uint16_t port = port_of(socket);
  std::shared_ptr<SharedListener> listener = std::make_shared<SharedListener>(std::move(socket));
  std::vector<UniqueFd> clients;
  void connect() { REQUIRE(clients.emplace_back(connect_to(AF_INET, port))); }
};

bool woken(const Seat& seat) {
  epoll_event event{};
  return ::epoll_wait(seat.epoll(), &event, 1, 0) == 1 && event.data.u64 == seat.data();
}

class Deaf final : public Watched::Listener {
 public:
  void on_events(std::uint32_t) override {}
};

}  // namespace

TEST_CASE_METHOD(Listening,
                 "a connection comes to one loop alone, which has the next ones until another has less to do") {
  Lane one, two;
  one.acceptor.serve(listener);
  two.acceptor.serve(listener);
  // As long as it lets go of each it stays awake, and the other asleep.
  for (int i = 0; i < 3; ++i) {
    connect();
    CHECK(two.poll() == 0);
    CHECK(one.poll() == 1);
    one.acceptor.release();
  }
  connect();
  connect();
  CHECK(two.poll() == 0);
  CHECK(one.poll() == 2);
  // It has two more.
  for (int i = 0; i < 3; ++i) connect();
  CHECK(one.poll() == 0);
  CHECK(two.poll() == 3);
  // Of many at once each has its share.
  for (int i = 0; i < 20; ++i) connect();
  std::size_t came = 0;
  for (int i = 0; i < 20; ++i) came += one.poll() + two.poll();
  CHECK(came == 20);
  const auto open_in_one = one.clients.size() - 3, open_in_two = two.clients.size();
  CHECK(open_in_one + open_in_two == 25);
  CHECK(open_in_one >= 12);
  CHECK(open_in_two >= 12);
}

TEST_CASE_METHOD(Listening, "a connection wakes nobody but the one whose turn it is") {
  boost::asio::io_context one, two;
  Deaf deaf;
  const Seat first(one, deaf), second(two, deaf);
  std::atomic<std::size_t> few = 0, many = 2;
  const auto a = listener->join(first, few), b = listener->join(second, many);
  connect();
  CHECK_FALSE(woken(first));
  CHECK_FALSE(woken(second));
  listener->ready(b);
  listener->ready(a);
  CHECK_FALSE(woken(first));
  CHECK(woken(second));
  // It is told once, and nobody else while it has the turn.
  listener->ready(a);
  listener->ready(b);
  CHECK_FALSE(woken(first));
  CHECK_FALSE(woken(second));
  listener->give_up(a, true);
  CHECK_FALSE(woken(first));
  listener->give_up(b, true);
  CHECK(woken(first));
  CHECK_FALSE(woken(second));
  // It is busier, but not clearly.
  few = 3;
  listener->give_up(a, true);
  CHECK(woken(first));
  few = 4;
  listener->give_up(a, true);
  CHECK_FALSE(woken(first));
  CHECK(woken(second));
  // Alone it has all turns.
  listener->leave(b);
  CHECK(woken(first));
  UniqueFd client = listener->accept();
  CHECK(client);
  CHECK_FALSE(listener->accept());
  CHECK(errno == EAGAIN);
  listener->give_up(a, true);
  CHECK_FALSE(woken(first));
  listener->leave(a);
  connect();
  CHECK_FALSE(woken(first));
}

TEST_CASE_METHOD(Listening,
                 "one that leaves hands its turn on, and so does one that is full, until it has room again") {
  Lane one, two(1);
  {
    Lane gone;
    gone.acceptor.serve(listener);
    one.acceptor.serve(listener);
    two.acceptor.serve(listener);
    connect();  // its turn
  }
  CHECK(two.poll() == 0);
  CHECK(one.poll() == 1);
  for (int i = 0; i < 5; ++i) connect();
  for (int i = 0; i < 5; ++i) (void)one.poll(), (void)two.poll();
  CHECK(two.clients.size() == 1);
  CHECK(one.clients.size() == 5);
  two.acceptor.release();
  for (int i = 0; i < 2; ++i) connect();
  for (int i = 0; i < 2; ++i) (void)one.poll(), (void)two.poll();
  CHECK(two.clients.size() == 2);
  CHECK(one.clients.size() == 6);
  one.acceptor.close();
  connect();
  CHECK(one.poll() + two.poll() == 0);
  two.acceptor.release();
  CHECK(two.poll() == 1);
}

TEST_CASE_METHOD(Listening, "where nobody has room a connection waits in the queue, and is not lost") {
  Lane one(2);
  one.acceptor.serve(listener);
  for (int i = 0; i < 4; ++i) connect();
  CHECK(one.poll() == 2);
  one.acceptor.hold();
  one.acceptor.release();
  CHECK(one.poll() == 0);
  one.acceptor.release();
  CHECK(one.poll() == 1);
  one.acceptor.release();
  CHECK(one.poll() == 1);
}

TEST_CASE_METHOD(Listening, "without a descriptor for it a connection waits until there is one") {
  Lane one;
  one.acceptor.serve(listener);
  connect();
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  // What is open is below it.
  rlimit none{.rlim_cur = static_cast<rlim_t>(UniqueFd(::dup(clients.back().get())).get()),
              .rlim_max = before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  const std::size_t without = one.poll();
  const std::size_t at_once = one.poll();
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(without == 0);
  CHECK(at_once == 0);
  one.loop.restart();
  one.loop.run_for(5s);
  CHECK(one.clients.size() == 1);
}

TEST_CASE("what is no listener is refused") {
  UniqueFd plain(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  UniqueFd local(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr nameless{.sa_family = AF_UNIX, .sa_data = {}};
  REQUIRE(::bind(local.get(), &nameless, sizeof nameless.sa_family) == 0);
  REQUIRE(::listen(local.get(), 1) == 0);
  CHECK_THROWS_AS(SharedListener(std::move(plain)), base::SystemError);
  CHECK_THROWS_AS(SharedListener(std::move(local)), base::SystemError);
  CHECK_THROWS_AS(SharedListener(UniqueFd()), base::SystemError);
}
