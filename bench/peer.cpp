// Both ends of bench/network.py, and the bare relay between them that others are measured against.
//
//   peer serve                    answers HTTP/1.1 on a port of 127.0.0.1, which it prints
//   peer relay PORT               the least that a relay can do: splice(2), a thread for a connection; prints its port
//   peer drive HOST PORT [WAY PROXY PROXY-PORT]   WAY: connect | absolute | socks
//                                 carries out what stdin says, a line each, and answers with a line:
//     down BYTES METHOD           seconds
//     up BYTES METHOD             seconds
//     small COUNT KEEP METHOD     microseconds of each, one request after the other; KEEP: keep | new
//     rate SECONDS THREADS KEEP METHOD    requests
//     hold COUNT                  seconds until all have had an answer; they stay open until the next line
//
// METHOD is GET or POST for HTTP, or BENCH, which is said without a version and so looks like no protocol: then a relay
// has no heads to read.

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/core.h>

#include "agentbox/base/unique_fd.hpp"

using agentbox::base::UniqueFd;

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t chunk = 256 * 1024;

[[noreturn]] void give_up(std::string_view what) {
  fmt::print(stderr, "peer: cannot {}: {}\n", what, std::strerror(errno));  // NOLINT(concurrency-mt-unsafe)
  std::exit(1);                                                             // NOLINT(concurrency-mt-unsafe)
}

void no_delay(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

UniqueFd listen_anywhere(int more) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | more, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* any = reinterpret_cast<sockaddr*>(&address);
  if (::bind(fd.get(), any, size) != 0 || ::listen(fd.get(), 4096) != 0 || ::getsockname(fd.get(), any, &size) != 0) {
    give_up("listen");
  }
  fmt::print("{}\n", ntohs(address.sin_port));
  std::fflush(stdout);
  return fd;
}

std::uint64_t number_in(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::uint64_t field(std::string_view head, std::string_view name) {
  const auto at = head.find(name);
  return at == std::string_view::npos ? 0 : number_in(head.substr(at + name.size()));
}

// ---- the server -----------------------------------------------------------------------------------------------------

struct Client {
  UniqueFd socket;
  std::string head;
  std::uint64_t body_left = 0;  // of a request
  std::string answer;           // the beginning of what is to be said
  std::uint64_t to_send = 0;    // and so many bytes after it
  std::uint64_t wanted = 0;     // by the request whose body comes in
  bool in_body = false, writing = false;
};

class Server {
 public:
  Server() : epoll_(::epoll_create1(EPOLL_CLOEXEC)), listener_(listen_anywhere(SOCK_NONBLOCK)), buffer_(chunk, 'x') {
    epoll_event event{.events = EPOLLIN, .data = {.ptr = nullptr}};
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, listener_.get(), &event);
  }
  [[noreturn]] void run() {
    std::array<epoll_event, 256> events{};
    for (;;) {
      const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(), -1);
      for (int i = 0; i < count; ++i) {
        auto* client = static_cast<Client*>(events.at(static_cast<std::size_t>(i)).data.ptr);
        if (client == nullptr) {
          accept();
        } else if (!serve(*client)) {
          clients_.erase(client);
        }
      }
    }
  }

 private:
  void accept() {
    for (;;) {
      auto client = std::make_unique<Client>();
      client->socket.reset(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!client->socket) return;
      no_delay(client->socket.get());
      watch(*client, EPOLL_CTL_ADD, EPOLLIN);
      clients_.emplace(client.get(), std::move(client));
    }
  }
  void watch(Client& client, int how, std::uint32_t events) const {
    epoll_event event{.events = events, .data = {.ptr = &client}};
    ::epoll_ctl(epoll_.get(), how, client.socket.get(), &event);
  }
  bool serve(Client& client) { return (client.writing || read(client)) && write(client); }
  bool read(Client& client) {
    const auto count = ::recv(client.socket.get(), buffer_.data(), buffer_.size(), 0);
    if (count < 0) return errno == EAGAIN;
    if (count == 0) return false;
    std::string_view bytes(buffer_.data(), static_cast<std::size_t>(count));
    while (!bytes.empty()) {
      if (!client.in_body) {
        client.head += bytes;
        const auto end = client.head.find("\r\n\r\n");
        if (end == std::string::npos) return client.head.size() < 65536;
        bytes.remove_prefix(bytes.size() - (client.head.size() - end - 4));
        client.wanted = field(client.head, " /");
        client.body_left = field(client.head, "Content-Length: ");
        client.in_body = true;
        client.head.clear();
      }
      const auto taken = std::min<std::uint64_t>(client.body_left, bytes.size());
      client.body_left -= taken;
      bytes.remove_prefix(taken);
      if (client.body_left != 0) break;
      client.in_body = false;
      client.answer +=
          fmt::format("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n", client.wanted);
      client.to_send += client.wanted;
    }
    return true;
  }
  bool write(Client& client) {
    for (int turn = 0; turn < 8; ++turn) {
      if (client.answer.empty() && client.to_send == 0) break;
      if (!client.answer.empty() && client.to_send != 0 && client.answer.size() < 4096) {
        const auto more = std::min<std::uint64_t>(client.to_send, 4096);
        client.answer.append(more, 'x');
        client.to_send -= more;
      }
      const bool head = !client.answer.empty();
      const auto count = head ? ::send(client.socket.get(), client.answer.data(), client.answer.size(), MSG_NOSIGNAL)
                              : ::send(client.socket.get(), buffer_.data(),
                                       std::min<std::uint64_t>(client.to_send, buffer_.size()), MSG_NOSIGNAL);
      if (count < 0 && errno != EAGAIN) return false;
      if (count < 0) break;
      if (head) {
        client.answer.erase(0, static_cast<std::size_t>(count));
      } else {
        client.to_send -= static_cast<std::uint64_t>(count);
      }
    }
    const bool more = !client.answer.empty() || client.to_send != 0;
    if (more != client.writing) watch(client, EPOLL_CTL_MOD, more ? EPOLLOUT : EPOLLIN);
    client.writing = more;
    return true;
  }

  UniqueFd epoll_, listener_;
  std::string buffer_;
  std::unordered_map<Client*, std::unique_ptr<Client>> clients_;
};

// ---- the bare relay -------------------------------------------------------------------------------------------------

UniqueFd connect_to(const char* host, const char* port) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  if (::getaddrinfo(host, port, &hints, &found) != 0) give_up(std::string("find ") + host);
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const bool connected = ::connect(fd.get(), found->ai_addr, found->ai_addrlen) == 0;
  ::freeaddrinfo(found);
  if (!connected) give_up(std::string("connect to ") + host);
  no_delay(fd.get());
  return fd;
}

bool pass(int from, int to, const std::array<int, 2>& pipe) {
  auto count = ::splice(from, nullptr, pipe[1], nullptr, 1 << 20, SPLICE_F_MOVE);
  while (count > 0) {
    const auto written = ::splice(pipe[0], nullptr, to, nullptr, static_cast<std::size_t>(count), SPLICE_F_MOVE);
    if (written <= 0) return false;
    count -= written;
    if (count == 0) return true;
  }
  return false;
}

void relay_one(UniqueFd client, const char* port) {
  const UniqueFd upstream = connect_to("127.0.0.1", port);
  no_delay(client.get());
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) return;
  std::array<pollfd, 2> both = {{{client.get(), POLLIN, 0}, {upstream.get(), POLLIN, 0}}};
  for (bool open = true; open;) {
    ::poll(both.data(), both.size(), -1);
    if (both[0].revents != 0) open = pass(client.get(), upstream.get(), pipe);
    if (open && both[1].revents != 0) open = pass(upstream.get(), client.get(), pipe);
  }
  ::close(pipe[0]);
  ::close(pipe[1]);
}

[[noreturn]] void relay(const char* port) {
  const UniqueFd listener = listen_anywhere(0);
  for (;;) {
    UniqueFd client(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!client) continue;
    std::thread([client = std::move(client), port]() mutable { relay_one(std::move(client), port); }).detach();
  }
}

// ---- the client -----------------------------------------------------------------------------------------------------

struct Route {
  std::string host, port, way, proxy, proxy_port;
  sockaddr_storage address{};  // that is connected to: of the proxy, if there is one
  socklen_t size = 0;

  void look_up() {
    addrinfo hints{}, *found = nullptr;
    hints.ai_family = AF_INET;
    hints.ai_socktype = SOCK_STREAM;
    const bool direct = way.empty();
    if (::getaddrinfo((direct ? host : proxy).c_str(), (direct ? port : proxy_port).c_str(), &hints, &found) != 0) {
      give_up("find " + host);
    }
    std::memcpy(&address, found->ai_addr, found->ai_addrlen);
    size = found->ai_addrlen;
    ::freeaddrinfo(found);
  }
};

class Link {
 public:
  explicit Link(const Route& route) : route_(&route), socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&route.address), route.size) != 0)
      give_up("connect");
    no_delay(socket_.get());
    if (route.way == "connect") {
      say(fmt::format("CONNECT {0}:{1} HTTP/1.1\r\nHost: {0}:{1}\r\n\r\n", route.host, route.port));
      if (head().find(" 200 ") == std::string::npos) give_up("get a 200 for CONNECT");
    } else if (route.way == "socks") {
      std::string hello("\5\1\0\5\1\0\3", 7);
      const auto port = static_cast<unsigned>(number_in(route.port));
      hello += static_cast<char>(route.host.size());
      hello += route.host;
      hello += static_cast<char>(port >> 8U);
      hello += static_cast<char>(port & 255U);
      say(hello);
      std::array<char, 12> reply{};
      if (::recv(socket_.get(), reply.data(), reply.size(), MSG_WAITALL) != 12 || reply[3] != 0) give_up("talk SOCKS");
    }
  }

  // The seconds that it took; negative: the connection is over.
  double request(std::string_view method, std::uint64_t down, std::uint64_t up) {
    const auto begin = Clock::now();
    const std::string at = fmt::format("{}:{}", route_->host, route_->port);
    say(fmt::format("{} {}/{}{}\r\nHost: {}\r\nContent-Length: {}\r\n\r\n", method,
                    route_->way == "absolute" ? "http://" + at : "", down, method == "BENCH" ? "" : " HTTP/1.1", at,
                    up));
    static const std::string bytes(chunk, 'x');
    for (std::uint64_t left = up; left != 0;) {
      const auto part = std::min<std::uint64_t>(left, bytes.size());
      say(std::string_view(bytes).substr(0, part));
      left -= part;
    }
    const std::string answer = head();
    if (answer.empty()) return -1;
    if (!answer.starts_with("HTTP/1.1 200 ")) {
      fmt::print(stderr, "peer: {}\n", answer.substr(0, 400));
      give_up("get an answer");
    }
    if (field(answer, "Content-Length: ") != down) give_up("get the right answer");
    thread_local std::vector<char> buffer(chunk);
    for (std::uint64_t left = down - std::min<std::uint64_t>(down, rest_.size()); left != 0;) {
      const auto count = ::recv(socket_.get(), buffer.data(), std::min<std::uint64_t>(left, buffer.size()), 0);
      if (count <= 0) give_up("read an answer");
      left -= static_cast<std::uint64_t>(count);
    }
    rest_.clear();
    return std::chrono::duration<double>(Clock::now() - begin).count();
  }

 private:
  void say(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto count = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0) return;  // and there is no answer
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
  }
  std::string head() {
    std::string text;
    std::array<char, 8192> buffer{};
    for (;;) {
      const auto count = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
      if (count <= 0) return {};
      text.append(buffer.data(), static_cast<std::size_t>(count));
      const auto end = text.find("\r\n\r\n");
      if (end == std::string::npos) continue;
      rest_ = text.substr(end + 4);
      return text.substr(0, end + 4);
    }
  }

  const Route* route_;
  UniqueFd socket_;
  std::string rest_;  // of the body, read with the head
};

constexpr std::uint64_t small_answer = 100;

double one_small(const Route& route, std::unique_ptr<Link>& link, bool keep, std::string_view method) {
  const auto begin = Clock::now();
  if (!link || !keep) link = std::make_unique<Link>(route);
  // tinyproxy keeps no connection, and doesn't say so.
  if (link->request(method, small_answer, 0) < 0) {
    link = std::make_unique<Link>(route);
    if (link->request(method, small_answer, 0) < 0) give_up("get an answer");
  }
  return std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
}

std::string small(const Route& route, std::istringstream& words) {
  int count = 0;
  std::string keep, method, text;
  words >> count >> keep >> method;
  std::unique_ptr<Link> link;
  if (keep == "keep") one_small(route, link, true, method);
  for (int i = 0; i < count; ++i) text += fmt::format("{:.1f} ", one_small(route, link, keep == "keep", method));
  return text;
}

std::string rate(const Route& route, std::istringstream& words) {
  double seconds = 0;
  int threads = 0;
  std::string keep, method;
  words >> seconds >> threads >> keep >> method;
  std::atomic<std::uint64_t> done = 0;
  const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  std::vector<std::thread> all;
  for (int i = 0; i < threads; ++i) {
    all.emplace_back([&] {
      std::unique_ptr<Link> link;
      while (Clock::now() < end) {
        one_small(route, link, keep == "keep", method);
        ++done;
      }
    });
  }
  for (auto& thread : all) thread.join();
  return fmt::format("{}", done.load());
}

void drive(const Route& route) {
  std::vector<std::unique_ptr<Link>> held;
  for (std::string line; std::getline(std::cin, line);) {
    held.clear();
    std::istringstream words(line);
    std::string verb, method;
    std::uint64_t count = 0;
    words >> verb;
    if (verb == "down" || verb == "up") {
      words >> count >> method;
      Link link(route);
      const double seconds = verb == "down" ? link.request(method, count, 0) : link.request(method, 0, count);
      if (seconds < 0) give_up("transfer");
      fmt::print("{}\n", seconds);
    } else if (verb == "small") {
      fmt::print("{}\n", small(route, words));
    } else if (verb == "rate") {
      fmt::print("{}\n", rate(route, words));
    } else if (verb == "hold") {
      words >> count >> method;
      const auto begin = Clock::now();
      for (std::uint64_t i = 0; i < count; ++i) held.push_back(std::make_unique<Link>(route));
      for (auto& link : held) {
        if (link->request(method, small_answer, 0) < 0) give_up("hold connections");
      }
      fmt::print("{}\n", std::chrono::duration<double>(Clock::now() - begin).count());
    } else {
      fmt::print("\n");
    }
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() == 1 && words[0] == "serve") Server().run();
  if (words.size() == 2 && words[0] == "relay") relay(argv[2]);
  if (words.size() != 3 && words.size() != 6) give_up("tell what to do");
  Route route{.host = words[1], .port = words[2], .way = {}, .proxy = {}, .proxy_port = {}};
  if (words.size() == 6) {
    route.way = words[3];
    route.proxy = words[4];
    route.proxy_port = words[5];
  }
  route.look_up();
  drive(route);
}
