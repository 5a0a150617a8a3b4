// A relayed connection against a bare splice relay and against none, in one run (DESIGN §10). Prints a table;
// the ratios count, not the numbers.

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <fmt/core.h>

#include "agentbox/base/unique_fd.hpp"
#include "agentbox/gates/network/loopback.hpp"

using agentbox::base::UniqueFd;
using namespace agentbox::gates::network;

namespace {

double seconds_of(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

[[noreturn]] void give_up(const char* what) {
  fmt::print(stderr, "relay: cannot {}\n", what);
  std::exit(1);
}

UniqueFd listen_anywhere(std::uint16_t& port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Target any = Target::loopback(AF_INET, 0);
  sockaddr_in address{};
  socklen_t size = sizeof address;
  if (::bind(fd.get(), any.address(), any.size()) != 0 || ::listen(fd.get(), 128) != 0 ||
      ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    give_up("listen");
  }
  port = ntohs(address.sin_port);
  return fd;
}

UniqueFd connect_to(std::uint16_t port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Target target = Target::loopback(AF_INET, port);
  if (::connect(fd.get(), target.address(), target.size()) != 0) give_up("connect");
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

UniqueFd accept_from(const UniqueFd& listener) {
  UniqueFd fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!fd) give_up("accept");
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

// The least that a relay can do: one direction, blocking, a pipe of the usual size.
void bare_splice(int from, int to) {
  int pipe[2];
  if (::pipe2(pipe, O_CLOEXEC) != 0) give_up("make a pipe");
  for (;;) {
    auto count = ::splice(from, nullptr, pipe[1], nullptr, 1 << 20, SPLICE_F_MOVE);
    if (count <= 0) break;
    while (count > 0) {
      const auto written = ::splice(pipe[0], nullptr, to, nullptr, static_cast<std::size_t>(count), SPLICE_F_MOVE);
      if (written <= 0) break;
      count -= written;
    }
  }
  ::shutdown(to, SHUT_WR);
  ::close(pipe[0]);
  ::close(pipe[1]);
}

double transfer(std::uint16_t port, const UniqueFd& server, std::uint64_t total) {
  return seconds_of([&] {
    std::thread receiver([&] {
      const UniqueFd end = accept_from(server);
      std::vector<char> buffer(256 * 1024);
      while (::recv(end.get(), buffer.data(), buffer.size(), 0) > 0) {
      }
    });
    const UniqueFd client = connect_to(port);
    const std::vector<char> buffer(256 * 1024, 'x');
    for (std::uint64_t sent = 0; sent < total;) {
      const auto count = ::send(client.get(), buffer.data(), buffer.size(), 0);
      if (count <= 0) give_up("send");
      sent += static_cast<std::uint64_t>(count);
    }
    ::shutdown(client.get(), SHUT_WR);
    receiver.join();
  });
}

// A connection, one small question, one small answer; microseconds.
double small_request(std::uint16_t port, const UniqueFd& server, int times) {
  std::thread answers([&] {
    for (int i = 0; i < times; ++i) {
      const UniqueFd end = accept_from(server);
      char question[128];
      if (::recv(end.get(), question, sizeof question, 0) > 0) ::send(end.get(), question, sizeof question, 0);
    }
  });
  std::vector<double> all;
  for (int i = 0; i < times; ++i) {
    all.push_back(seconds_of([&] {
      const UniqueFd client = connect_to(port);
      char text[128] = {};
      ::send(client.get(), text, sizeof text, 0);
      ::recv(client.get(), text, sizeof text, MSG_WAITALL);
    }));
  }
  answers.join();
  std::ranges::nth_element(all, all.begin() + times / 2);
  return all[static_cast<std::size_t>(times / 2)] * 1e6;
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  const std::uint64_t total = (argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1000) * 1'000'000;
  std::uint16_t server_port = 0, bare_port = 0, gate_port = 0;
  const UniqueFd server = listen_anywhere(server_port), bare = listen_anywhere(bare_port);

  boost::asio::io_context loop;
  Splicer splicer(loop);
  LoopbackGate gate(loop, splicer, server_port);
  gate.serve(listen_anywhere(gate_port));
  std::thread runner([&] { loop.run(); });

  constexpr int rounds = 5;
  std::vector<double> direct, through_bare, through_gate;
  for (int round = 0; round < rounds; ++round) {
    direct.push_back(transfer(server_port, server, total));
    std::thread relay([&] {
      const UniqueFd client = accept_from(bare), upstream = connect_to(server_port);
      bare_splice(client.get(), upstream.get());
    });
    through_bare.push_back(transfer(bare_port, server, total));
    relay.join();
    through_gate.push_back(transfer(gate_port, server, total));
  }
  const auto rate = [total](double seconds) { return static_cast<double>(total) / seconds / 1e6; };
  const double d = rate(median(direct)), b = rate(median(through_bare)), g = rate(median(through_gate));
  fmt::print("{} MB, median of {}\n", total / 1'000'000, rounds);
  fmt::print("  direct        {:8.0f} MB/s\n", d);
  fmt::print("  bare splice   {:8.0f} MB/s  {:3.0f} % of direct\n", b, b / d * 100);
  fmt::print("  gate          {:8.0f} MB/s  {:3.0f} % of direct  {:3.0f} % of bare splice (bar: 90)\n", g, g / d * 100,
             g / b * 100);
  const double small_direct = small_request(server_port, server, 500);
  const double small_gate = small_request(gate_port, server, 500);
  fmt::print("small request, median of 500\n");
  fmt::print("  direct        {:8.1f} us\n", small_direct);
  fmt::print("  gate          {:8.1f} us  {:.1f} us more (bar: 100)\n", small_gate, small_gate - small_direct);
  loop.stop();
  runner.join();
}
