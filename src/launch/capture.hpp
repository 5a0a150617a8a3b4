#pragma once

// Makes every connection of the room come to the gate (DESIGN §4.3): default routes to the loopback device, and nftables
// rules that turn each TCP connection and each DNS question to listeners of ours. Everything else is rejected, not
// dropped, so that programs fall back at once. Where the machine can't do that there are only proxies, for programs that
// are told of them, and nothing else leads anywhere. Works in the helper, in the room's network namespace, before the agent
// starts; the agent has no right over routes or rules.

#include <cstdint>
#include <string>
#include <vector>

#include "agentbox/base/unique_fd.hpp"
#include "agentbox/policy/policy.hpp"

namespace agentbox::launch {

// A socket that was made in the room's network namespace, for whoever accepts from outside.
struct Listener {
  enum class Use : std::uint8_t {
    loopback,      // a granted port of the loopback
    connections,   // every other TCP connection: getsockopt(SO_ORIGINAL_DST) says where to
    dns_stream,    // DNS over TCP
    dns_datagram,  // DNS over UDP
    http_proxy,    // for programs that are told of it
    socks_proxy,
    socket_table,  // whose connection is it (socket_table.hpp)
  } use = Use::loopback;
  std::uint16_t port = 0;
  int family = 0;  // AF_INET or AF_INET6
  base::UniqueFd fd;
};

// A listening stream socket, or a datagram socket, on the loopback address of that family. `port` 0: any. Empty where the
// machine has no IPv6 at all. Throws base::SystemError.
[[nodiscard]] base::UniqueFd listen_inside(int family, int type, std::uint16_t port);

// libnftables, loaded while there is time: the agent's start waits for it otherwise.
class Capture {
 public:
  // Throws base::SystemError, with a hint, where the machine has no libnftables.
  Capture();
  ~Capture();
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  // In the room's network namespace, whose loopback device is up. Throws base::SystemError; nothing leads anywhere then.
  [[nodiscard]] std::vector<Listener> install(policy::Proxy proxy);

 private:
  void run(const std::string& commands);
  void* library_ = nullptr;
};

// Instead: the proxies, and the resolver. There is no route to anywhere. Throws base::SystemError: the room must then not
// start.
[[nodiscard]] std::vector<Listener> install_proxies_alone();

}  // namespace agentbox::launch
