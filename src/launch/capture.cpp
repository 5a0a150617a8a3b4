#include "capture.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <span>
#include <string>

#include <arpa/inet.h>
#include <dlfcn.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/policy/room_addresses.hpp"

namespace agentbox::launch {

namespace {

using base::SystemError;
using base::UniqueFd;

// ---- addresses and routes, by rtnetlink(7) --------------------------------------------------------------------------

struct Address {
  int family = AF_INET;
  std::array<unsigned char, 16> bytes{};
  [[nodiscard]] std::size_t size() const { return family == AF_INET ? 4 : 16; }
};

Address address_of(int family, std::string_view text) {
  Address address{.family = family};
  if (::inet_pton(family, std::string(text).c_str(), address.bytes.data()) != 1) {
    throw SystemError(EINVAL, "not an address: " + std::string(text));
  }
  return address;
}

// One request: a header of its own kind and one attribute.
template <class Body>
class Request {
 public:
  Request(std::uint16_t type, Body body) {
    header_.nlmsg_type = type;
    header_.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
    header_.nlmsg_len = NLMSG_LENGTH(sizeof body);
    std::memcpy(bytes_.data() + NLMSG_HDRLEN, &body, sizeof body);
  }
  void add(std::uint16_t type, std::span<const unsigned char> value) {
    rtattr attribute{.rta_len = static_cast<std::uint16_t>(RTA_LENGTH(value.size())), .rta_type = type};
    std::size_t at = NLMSG_ALIGN(header_.nlmsg_len);
    std::memcpy(bytes_.data() + at, &attribute, sizeof attribute);
    std::memcpy(bytes_.data() + at + RTA_LENGTH(0), value.data(), value.size());
    header_.nlmsg_len = static_cast<std::uint32_t>(at + RTA_LENGTH(value.size()));
  }
  std::span<const unsigned char> finish() {
    std::memcpy(bytes_.data(), &header_, sizeof header_);
    return std::span(bytes_).first(header_.nlmsg_len);
  }

 private:
  nlmsghdr header_{};
  alignas(nlmsghdr) std::array<unsigned char, 256> bytes_{};
};

class Routes {
 public:
  Routes() : socket_(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)), loopback_(::if_nametoindex("lo")) {
    if (!socket_ || loopback_ == 0) throw SystemError(errno, "cannot reach the room's network");
  }
  void add_address(const Address& address) {
    ifaddrmsg body{};
    body.ifa_family = static_cast<unsigned char>(address.family);
    body.ifa_prefixlen = static_cast<unsigned char>(address.size() * 8);
    body.ifa_index = loopback_;
    Request request(RTM_NEWADDR, body);
    request.add(IFA_LOCAL, std::span(address.bytes).first(address.size()));
    request.add(IFA_ADDRESS, std::span(address.bytes).first(address.size()));
    send(request.finish(), "cannot give the room an address");
  }
  // Whatever is not for the room itself goes to its loopback device, where the rules wait for it.
  void add_default_route(int family) {
    rtmsg body{};
    body.rtm_family = static_cast<unsigned char>(family);
    body.rtm_table = RT_TABLE_MAIN;
    body.rtm_protocol = RTPROT_STATIC;
    body.rtm_scope = family == AF_INET ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
    body.rtm_type = RTN_UNICAST;
    Request request(RTM_NEWROUTE, body);
    std::array<unsigned char, sizeof loopback_> index{};
    std::memcpy(index.data(), &loopback_, sizeof loopback_);
    request.add(RTA_OIF, index);
    send(request.finish(), "cannot give the room a route");
  }

 private:
  void send(std::span<const unsigned char> request, const char* what) {
    struct {
      nlmsghdr header;
      nlmsgerr error;
      std::array<unsigned char, 512> rest;
    } reply{};
    if (::send(socket_.get(), request.data(), request.size(), 0) < 0) throw SystemError(errno, what);
    ssize_t count = ::recv(socket_.get(), &reply, sizeof reply, 0);
    if (count < static_cast<ssize_t>(sizeof reply.header + sizeof reply.error) ||
        reply.header.nlmsg_type != NLMSG_ERROR) {
      throw SystemError(EPROTO, what);
    }
    if (reply.error.error != 0) throw SystemError(-reply.error.error, what);
  }
  UniqueFd socket_;
  unsigned loopback_;
};

std::uint16_t port_of(const UniqueFd& fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw SystemError(errno, "cannot listen in the room");
  }
  return ntohs(address.ss_family == AF_INET ? reinterpret_cast<sockaddr_in&>(address).sin_port
                                            : reinterpret_cast<sockaddr_in6&>(address).sin6_port);
}

// What is redirected goes to 127.0.0.1 and ::1, so that is where the listeners are. What goes to the proxies goes to no
// other address than it says, and the kernel needn't keep track of it.
constexpr std::string_view rules = R"(table inet agentbox {{
  chain untracked {{
    type filter hook output priority -300; policy accept;
    {untracked}
  }}
  chain capture {{
    type nat hook output priority -100; policy accept;
    ip daddr 127.0.0.0/8 accept
    ip6 daddr ::1 accept
    {proxies}
    udp dport 53 redirect to :{dns}
    tcp dport 53 redirect to :{dns}
    meta l4proto tcp redirect to :{connections}
  }}
  chain rest {{
    type filter hook output priority 0; policy drop;
    ct state established,related,untracked accept
    ip daddr 127.0.0.0/8 accept
    ip6 daddr ::1 accept
    {proxies}
    meta l4proto tcp reject with tcp reset
    reject with icmpx admin-prohibited
  }}
}}
)";

// Empty where the machine has no IPv6 at all.
UniqueFd listen_at(const sockaddr* address, socklen_t size, int type, std::uint16_t port) {
  UniqueFd fd(::socket(address->sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd && address->sa_family == AF_INET6 && errno == EAFNOSUPPORT) return fd;
  int on = 1;
  if (!fd || (type == SOCK_STREAM && ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0)) {
    throw SystemError(errno, "cannot make a socket in the room");
  }
  if (::bind(fd.get(), address, size) != 0) {
    if (address->sa_family == AF_INET6 && errno == EADDRNOTAVAIL) return {};
    throw SystemError(errno, "cannot listen on port " + std::to_string(port) + " in the room");
  }
  if (type == SOCK_STREAM && ::listen(fd.get(), SOMAXCONN) != 0) throw SystemError(errno, "cannot listen in the room");
  return fd;
}

// At the room's own address, which it must have.
Listener listen_at_own(Listener::Use use, int type, std::uint16_t port) {
  sockaddr_in own{};
  own.sin_family = AF_INET;
  own.sin_port = htons(port);
  ::inet_pton(AF_INET, std::string(policy::room_address_v4).c_str(), &own.sin_addr);
  return {use, port, AF_INET, listen_at(reinterpret_cast<const sockaddr*>(&own), sizeof own, type, port)};
}

void add_proxies(std::vector<Listener>& made) {
  made.push_back(listen_at_own(Listener::Use::http_proxy, SOCK_STREAM, policy::http_proxy_port));
  made.push_back(listen_at_own(Listener::Use::socks_proxy, SOCK_STREAM, policy::socks_proxy_port));
}

}  // namespace

UniqueFd listen_inside(int family, int type, std::uint16_t port) {
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  v6.sin6_addr = in6addr_loopback;
  return family == AF_INET ? listen_at(reinterpret_cast<const sockaddr*>(&v4), sizeof v4, type, port)
                           : listen_at(reinterpret_cast<const sockaddr*>(&v6), sizeof v6, type, port);
}

#ifndef AGENTBOX_NFTABLES_LIBRARY
#define AGENTBOX_NFTABLES_LIBRARY "libnftables.so.1"
#endif

Capture::Capture() : library_(::dlopen(AGENTBOX_NFTABLES_LIBRARY, RTLD_NOW | RTLD_LOCAL)) {
  if (library_ != nullptr) return;
  const char* why = ::dlerror();  // NOLINT(concurrency-mt-unsafe): of this thread
  throw SystemError(0,
                    std::string("cannot rule on the room's connections: ") + (why == nullptr ? "" : base::escape(why)),
                    "install libnftables (libnftables1 on Debian); `agentbox doctor` tests the network gate");
}

Capture::~Capture() {
  if (library_ != nullptr) ::dlclose(library_);
}

void Capture::run(const std::string& commands) {
  auto symbol = [this](const char* name) {
    void* address = ::dlsym(library_, name);
    if (address == nullptr) throw SystemError(0, std::string("libnftables has no ") + name);
    return address;
  };
  auto make = reinterpret_cast<void* (*)(std::uint32_t)>(symbol("nft_ctx_new"));
  auto free = reinterpret_cast<void (*)(void*)>(symbol("nft_ctx_free"));
  auto keep_errors = reinterpret_cast<int (*)(void*)>(symbol("nft_ctx_buffer_error"));
  auto errors = reinterpret_cast<const char* (*)(void*)>(symbol("nft_ctx_get_error_buffer"));
  auto execute = reinterpret_cast<int (*)(void*, const char*)>(symbol("nft_run_cmd_from_buffer"));
  std::unique_ptr<void, decltype(free)> context(make(0), free);
  if (!context || keep_errors(context.get()) != 0) throw SystemError(ENOMEM, "cannot start libnftables");
  if (execute(context.get(), commands.c_str()) == 0) return;
  const char* said = errors(context.get());
  std::string why = said == nullptr ? std::string() : std::string(said);
  why = why.substr(0, why.find('\n'));
  throw SystemError(0, "cannot rule on the room's connections: " + base::escape(why),
                    "the kernel needs nf_tables with nat; `agentbox doctor` tests the network gate");
}

std::vector<Listener> Capture::install(policy::Proxy proxy) {
  using Use = Listener::Use;
  std::vector<Listener> made;
  std::uint16_t connections = 0, dns = 0;
  auto listen = [&made](Use use, int family, int type, std::uint16_t port) -> std::uint16_t {
    UniqueFd fd = listen_inside(family, type, port);
    if (!fd) return 0;
    std::uint16_t bound = port_of(fd);
    made.push_back({use, bound, family, std::move(fd)});
    return bound;
  };
  connections = listen(Use::connections, AF_INET, SOCK_STREAM, 0);
  dns = listen(Use::dns_stream, AF_INET, SOCK_STREAM, 0);
  listen(Use::dns_datagram, AF_INET, SOCK_DGRAM, dns);
  bool six = listen(Use::connections, AF_INET6, SOCK_STREAM, connections) != 0;
  if (six) {
    listen(Use::dns_stream, AF_INET6, SOCK_STREAM, dns);
    listen(Use::dns_datagram, AF_INET6, SOCK_DGRAM, dns);
  }
  // First the rules, then the ways that they watch over.
  std::string proxies, untracked;
  if (proxy == policy::Proxy::offered) {
    const std::string ports = fmt::format("{{ {}, {} }}", policy::http_proxy_port, policy::socks_proxy_port);
    proxies = fmt::format("ip daddr {} tcp dport {} accept", policy::room_address_v4, ports);
    untracked = fmt::format(
        "ip saddr {0} ip daddr {0} tcp dport {1} notrack\n    ip saddr {0} ip daddr {0} tcp sport {1} notrack",
        policy::room_address_v4, ports);
  }
  run(fmt::format(rules, fmt::arg("dns", dns), fmt::arg("connections", connections), fmt::arg("proxies", proxies),
                  fmt::arg("untracked", untracked)));
  Routes routes;
  routes.add_address(address_of(AF_INET, policy::room_address_v4));
  routes.add_default_route(AF_INET);
  if (six) {
    routes.add_address(address_of(AF_INET6, policy::room_address_v6));
    routes.add_default_route(AF_INET6);
  }
  if (proxy == policy::Proxy::offered) add_proxies(made);
  return made;
}

std::vector<Listener> install_proxies_alone() {
  Routes().add_address(address_of(AF_INET, policy::room_address_v4));
  std::vector<Listener> made;
  add_proxies(made);
  constexpr std::uint16_t dns = 53;
  made.push_back(listen_at_own(Listener::Use::dns_stream, SOCK_STREAM, dns));
  made.push_back(listen_at_own(Listener::Use::dns_datagram, SOCK_DGRAM, dns));
  return made;
}

}  // namespace agentbox::launch
