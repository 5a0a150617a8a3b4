// Looking up names when the system has no more threads to give.

#include "network/lookup.hpp"

#include <chrono>
#include <csignal>
#include <cstddef>
#include <optional>
#include <string>

#include <pthread.h>

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>

#include "agentbox/broker/thread.hpp"

using namespace agentbox;
using gates::network::Lookup;

namespace {

// While one lives there can be no thread: no machine has an address space for such a stack.
class NoThreads {
 public:
  NoThreads() {
    ::pthread_getattr_default_np(&before_);
    pthread_attr_t huge;
    ::pthread_attr_init(&huge);
    ::pthread_attr_setstacksize(&huge, std::size_t{1} << 56);
    REQUIRE(::pthread_setattr_default_np(&huge) == 0);
    ::pthread_attr_destroy(&huge);
  }
  ~NoThreads() {
    ::pthread_setattr_default_np(&before_);
    ::pthread_attr_destroy(&before_);
  }
  NoThreads(const NoThreads&) = delete;
  NoThreads& operator=(const NoThreads&) = delete;

 private:
  pthread_attr_t before_{};
};

}  // namespace

TEST_CASE("a thread that can't be started is said to be none, and the signals are as they were") {
  const auto is_blocked = [] {
    sigset_t now;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &now);
    return ::sigismember(&now, SIGTERM) == 1;
  };
  int in_thread = -1;
  const auto work = [&] { in_thread = is_blocked() ? 1 : 0; };
  {
    const NoThreads none;
    CHECK_FALSE(broker::start_without_signals(work).has_value());
    CHECK_FALSE(is_blocked());
  }
  auto thread = broker::start_without_signals(work);
  REQUIRE(thread);
  thread->join();
  CHECK(in_thread == 1);
  CHECK_FALSE(is_blocked());
}

TEST_CASE("a name that no thread can look up is refused, and the next one has its turn again") {
  boost::asio::io_context loop;
  Lookup lookup(loop, [](const std::string&, std::uint16_t port) {
    return std::vector{gates::network::Target::loopback(AF_INET, port)};
  });
  std::optional<Lookup::Found> found;
  const auto ask = [&] {
    found.reset();
    lookup.find("example.org", 443, [&](const Lookup::Found& one) { found = one; });
    const auto work = boost::asio::make_work_guard(loop);
    loop.restart();
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!found && std::chrono::steady_clock::now() < end) loop.run_one_for(std::chrono::seconds(1));
    REQUIRE(found);
  };
  {
    const NoThreads none;
    for (int i = 0; i < 6; ++i) {  // more than there may be threads: none of them is counted
      ask();
      CHECK(found->targets.empty());
      CHECK(found->error == "there is no thread to look it up");
    }
  }
  ask();
  CHECK(found->targets.size() == 1);
}
