#pragma once

// Plain sockets on the loopback for the tests of the gates: the test plays client and server, blocking, with
// limits in time, while the gate runs on a loop of its own.

#include <cerrno>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include "agentbox/base/unique_fd.hpp"
#include "agentbox/gates/network/splicer.hpp"

namespace agentbox::test {

using base::UniqueFd;
using gates::network::Target;

inline void limit_time(int fd) {
  const timeval ten_seconds{10, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &ten_seconds, sizeof ten_seconds);
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &ten_seconds, sizeof ten_seconds);
}

inline void never_block(const UniqueFd& fd) {
  ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
}

// `port` 0: any.
inline UniqueFd listen_at(int family, std::uint16_t port) {
  UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (family == AF_INET6) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const Target target = Target::loopback(family, port);
  if (::bind(fd.get(), target.address(), target.size()) != 0 || ::listen(fd.get(), 4096) != 0) {
    throw std::runtime_error("listen");
  }
  limit_time(fd.get());
  return fd;
}

inline std::uint16_t port_of(const UniqueFd& fd) {
  sockaddr_in6 address{};
  socklen_t size = sizeof address;
  ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin6_port);  // at the same place in sockaddr_in
}

// A port that nobody listens at, on either address.
inline std::uint16_t free_port() {
  const UniqueFd four = listen_at(AF_INET, 0);
  return port_of(four);
}

inline UniqueFd connect_to(int family, std::uint16_t port) {
  UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  limit_time(fd.get());
  const Target target = Target::loopback(family, port);
  if (::connect(fd.get(), target.address(), target.size()) != 0) fd.reset();
  return fd;
}

// Empty after ten seconds.
inline UniqueFd accept_from(const UniqueFd& listener) {
  UniqueFd fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (fd) limit_time(fd.get());
  return fd;
}

inline void say(const UniqueFd& fd, std::string_view text) {
  while (!text.empty()) {
    const auto count = ::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL);
    if (count <= 0) throw std::runtime_error("send");
    text.remove_prefix(static_cast<std::size_t>(count));
  }
}

// What comes up to the end of the stream; `error` is the errno of an end that is none.
struct Heard {
  std::string text;
  int error = 0;
};
inline Heard hear(const UniqueFd& fd, std::size_t limit = SIZE_MAX) {
  Heard heard;
  char buffer[65536];
  while (heard.text.size() < limit) {
    const auto count = ::recv(fd.get(), buffer, std::min(sizeof buffer, limit - heard.text.size()), 0);
    if (count == 0) break;
    if (count < 0) {
      heard.error = errno;
      break;
    }
    heard.text.append(buffer, static_cast<std::size_t>(count));
  }
  return heard;
}

inline void end_of_speech(const UniqueFd& fd) {
  ::shutdown(fd.get(), SHUT_WR);
}

inline void break_off(UniqueFd fd) {
  const linger abort{1, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
}

// A loop on a thread of its own. Make the gates before `start`, look at them after `stop`.
class Loop {
 public:
  ~Loop() { stop(); }
  boost::asio::io_context context;
  // The gates must go after the loop has come to rest: keep what this gives below them.
  struct Stop {
    void operator()(Loop* loop) const { loop->stop(); }
  };
  using Running = std::unique_ptr<Loop, Stop>;
  [[nodiscard]] Running start() {
    thread_ = std::thread([this] { context.run(); });
    return Running(this);
  }
  void stop() {
    context.stop();
    if (thread_.joinable()) thread_.join();
  }

 private:
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{context.get_executor()};
  std::thread thread_;
};

}  // namespace agentbox::test
