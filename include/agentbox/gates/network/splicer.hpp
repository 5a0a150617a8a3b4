#pragma once

// Relays bytes between pairs of stream sockets, in the kernel: socket to pipe to socket by splice(2). No
// thread and no buffer for a connection; an idle one costs two descriptors and half a kilobyte, for as long
// as it likes.
//
// Faithful: the end of one side's stream is passed on when all before it has been (half-close), a reset
// becomes a reset after what was said before it (a server that refuses an upload answers, and closes with the
// rest unread), and who does not read holds the other back. Either side may be hostile.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <sys/socket.h>

#include "agentbox/base/unique_fd.hpp"
#include "agentbox/gates/network/watched.hpp"

namespace boost::asio {
class io_context;
}

namespace agentbox::gates::network {

struct Bytes {
  std::uint64_t to_upstream = 0;
  std::uint64_t to_client = 0;
};

enum class Outcome : std::uint8_t {
  finished,  // both sides have said all
  reset,     // one side has broken off, and so has the other then
  refused,   // no target could be reached; the client is reset
};

class Target {
 public:
  [[nodiscard]] static Target loopback(int family, std::uint16_t port) noexcept;     // AF_INET or AF_INET6
  [[nodiscard]] static Target of(const sockaddr* address, socklen_t size) noexcept;  // sockaddr_in or sockaddr_in6
  [[nodiscard]] int family() const noexcept { return address_.ss_family; }
  [[nodiscard]] const sockaddr* address() const noexcept { return reinterpret_cast<const sockaddr*>(&address_); }
  [[nodiscard]] std::uint16_t port() const noexcept;
  // As inet_ntop(3) writes it, without the port; of an IPv4-mapped address its IPv4 form.
  [[nodiscard]] std::string text() const;
  [[nodiscard]] socklen_t size() const noexcept { return size_; }

 private:
  sockaddr_storage address_{};
  socklen_t size_ = 0;
};

// What may go out through one connection. It is asked before bytes are taken from the client, never after.
class Tap {
 public:
  virtual ~Tap() = default;
  // So many of `most` may be taken now, and are nobody else's until `took`; 0: none, until Splicer::go_on or
  // HttpRelay::go_on.
  [[nodiscard]] virtual std::uint64_t reserve(std::uint64_t most) = 0;
  // At once after it: so many were.
  virtual void took(std::uint64_t reserved, std::uint64_t bytes) = 0;
  // The client has something to say, and nothing is left. More than once, maybe.
  virtual void wants_more() = 0;
};

class Splicer {
 public:
  using Done = std::function<void(Outcome, Bytes)>;
  // A stream socket of that family, non-blocking, not connected: of this process's network namespace, or of a room's.
  // An empty one, or base::SystemError, counts as a target that can't be reached.
  using MakeSocket = std::function<base::UniqueFd(int family)>;

  // Takes SIGPIPE from its default, for the whole process but not for what it executes. Throws base::SystemError.
  explicit Splicer(boost::asio::io_context& loop);
  // Resets what is still open; no Done is called.
  ~Splicer();
  Splicer(const Splicer&) = delete;
  Splicer& operator=(const Splicer&) = delete;

  // Connects to the first target that can be reached, in their order, and relays. `client` is non-blocking.
  void connect(base::UniqueFd client, std::vector<Target> targets, const MakeSocket& make_socket, Done done = {});
  using Id = std::uint64_t;  // never used again
  // Both are connected and non-blocking. `tap`: for what the client says; none: no limit.
  Id relay(Watched client, Watched upstream, Done done = {}, std::shared_ptr<Tap> tap = {});
  // The tap lets something go again. An unknown id is no error.
  void go_on(Id id);
  // Resets both sides; Done is called, from within.
  void stop(Id id);

  [[nodiscard]] std::size_t open() const noexcept;

  class Impl;

 private:
  std::shared_ptr<Impl> impl_;
};

// A socket of this process's own network namespace.
[[nodiscard]] base::UniqueFd own_socket(int family);

}  // namespace agentbox::gates::network
