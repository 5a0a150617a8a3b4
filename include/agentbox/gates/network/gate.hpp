#pragma once

// The network gate (DESIGN §5): every connection of the room, ruled on by name, asked for if need be, made outside to an
// address that was checked, and relayed. The resolver in the room hands out an address for each name, so that the name is
// known when the connection comes; no question of the room's leaves the machine.
//
// The room is hostile: it chooses names, ports, times and bytes. What it sends is seen to on threads of its own (lanes),
// so that the loop of the questions, the terminal and the guard has nothing to do with it.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <sys/socket.h>

#include "agentbox/base/unique_fd.hpp"
#include "agentbox/broker/decider.hpp"
#include "agentbox/gates/network/splicer.hpp"
#include "agentbox/policy/ruling.hpp"

namespace agentbox::gates::network {

// Which program made a connection, as far as that can be found out from outside: by the time it is looked up the program
// may have become another one. Never a ground for a ruling.
struct Requester {
  std::uint32_t pid = 0;             // as the host numbers it
  std::string program;               // raw: its executable
  std::vector<std::string> parents;  // raw: executables, from its parent up to the agent
};

// A connection as the program in the room has it.
struct Ends {
  sockaddr_storage own, other;
};

struct GateSetup {
  policy::Rules rules;
  // Who holds the room's end of this connection; nothing if it can't be found. From any lane, one at a time.
  std::function<std::optional<Requester>(const Ends& ends)> who;
  // Addresses of a name, in the order of preference; called on a thread of its own. Throws base::SystemError.
  std::function<std::vector<Target>(const std::string& name, std::uint16_t port)> look_up;
  std::string secret;              // of this session, for telling streams apart; never shown
  std::size_t lanes = 0;           // threads; 0: the loop does it all
  std::size_t connections = 1024;  // open or held at once; the next ones wait in the listener's queue
  std::size_t names = 65536;       // that have an address at once
  std::chrono::milliseconds connect_patience{10'000};
  // How long a connection that was ruled on may stay open while neither side has said a byte.
  std::chrono::milliseconds silence{120'000};
  // How long a yes for one connection holds for the same name and port, so that a program which gave up can try again.
  std::chrono::seconds once_holds{600};
};

struct GateCounters {
  std::uint64_t connections = 0;  // that came to the gate
  std::uint64_t refused = 0;      // of these: by a verdict, a check, or because nobody answered there
  Bytes bytes;                    // of those that ended
};

class Gate {
 public:
  // Decider and splicer must outlive it.
  Gate(boost::asio::io_context& loop, broker::Decider& decider, Splicer& splicer, GateSetup setup);
  ~Gate();
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  // Sockets that belong to the room's network namespace. Throw base::SystemError.
  void serve_connections(base::UniqueFd listener);                   // what was redirected
  void serve_loopback(base::UniqueFd listener, std::uint16_t port);  // a port of the host's loopback that asks
  enum class Proxy : std::uint8_t { http, socks };
  void serve_proxy(base::UniqueFd listener, Proxy what);  // for programs that are told of it
  void serve_dns_stream(base::UniqueFd listener);
  void serve_dns_datagrams(base::UniqueFd socket);
  // The lanes begin: after all that is served. Throws base::SystemError: there can be no thread.
  void start();
  // No new ones; the open ones are broken off.
  void stop();

  [[nodiscard]] GateCounters counters() const noexcept;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// getaddrinfo(3): the host's own files, resolver and order.
[[nodiscard]] std::vector<Target> look_up_by_system(const std::string& name, std::uint16_t port);

}  // namespace agentbox::gates::network
