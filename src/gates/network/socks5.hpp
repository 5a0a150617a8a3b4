#pragma once

// SOCKS5 (RFC 1928), both ends: what a client in the room says to our proxy, and what we say to an upstream (`via`).
// CONNECT alone. Every byte of the first is the agent's, every byte of the second the upstream's; what isn't exactly
// the protocol ends it.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host_name.hpp"

namespace agentbox::gates::network {

// Codes of RFC 1928 §6.
enum class SocksReply : std::uint8_t {
  granted = 0,
  failure = 1,
  not_allowed = 2,
  network_unreachable = 3,
  host_unreachable = 4,
  refused = 5,
  expired = 6,
  command_unknown = 7,
  address_unknown = 8,
};
[[nodiscard]] std::string_view text_of(SocksReply reply) noexcept;

class SocksServer {
 public:
  enum class State {
    need_bytes,
    request,  // for host() and port(): grant() or refuse() it
    granted,  // raw; rest() holds what the client said already
    refused,  // send output(), then close
  };

  // After every call: send output() to the client.
  State feed(std::span<const std::uint8_t> bytes);
  // A host in its canonical form. One that has none is refused without asking: fault() says why.
  [[nodiscard]] const Host& host() const noexcept { return host_; }
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  [[nodiscard]] std::optional<HostFault> fault() const noexcept { return fault_; }

  // The connection outside stands.
  State grant();
  State refuse(SocksReply reply);

  // Empty, or bytes for the client; they are handed out once.
  [[nodiscard]] std::vector<std::uint8_t> output();
  [[nodiscard]] std::vector<std::uint8_t> rest();

 private:
  enum class Step { greeting, login, request, done };
  bool take_greeting();
  bool take_login();
  bool take_request();
  void take_host(std::uint8_t kind, std::span<const std::uint8_t> bytes);
  void reply(SocksReply code);

  Step step_ = Step::greeting;
  State state_ = State::need_bytes;
  std::vector<std::uint8_t> in_, out_;
  Host host_;
  std::uint16_t port_ = 0;
  std::optional<HostFault> fault_;
};

// User and password of one connection to the upstream. Tor keeps streams with different ones on different circuits
// (IsolateSOCKSAuth, on unless switched off): one pair for each destination keeps them from being tied together.
struct SocksLogin {
  std::string user, password;  // 1 to 255 bytes each (RFC 1929)
  // An upstream that doesn't ask for it (ssh -D) may be used without.
  enum class Needed { no, yes } needed = Needed::no;
};

class SocksClient {
 public:
  enum class State { need_bytes, open, failed };

  // Names go as names: they are resolved at the other end, never here.
  SocksClient(const Host& host, std::uint16_t port, std::optional<SocksLogin> login);

  State feed(std::span<const std::uint8_t> bytes);
  // Bytes for the upstream, handed out once; the first before anything is fed.
  [[nodiscard]] std::vector<std::uint8_t> output();
  // After open: the first bytes from the destination.
  [[nodiscard]] std::vector<std::uint8_t> rest();
  // After failed: one clause, "the upstream says: host unreachable".
  [[nodiscard]] const std::string& why() const noexcept { return why_; }
  // After failed: what the upstream said, or failure.
  [[nodiscard]] SocksReply said() const noexcept { return said_; }

 private:
  enum class Step { method, login, reply, done };
  bool take_method();
  bool take_login();
  bool take_reply();
  void send_request();
  void fail(std::string why);

  Host host_;
  std::uint16_t port_;
  std::optional<SocksLogin> login_;
  Step step_ = Step::method;
  State state_ = State::need_bytes;
  std::vector<std::uint8_t> in_, out_;
  std::string why_;
  SocksReply said_ = SocksReply::failure;
};

}  // namespace agentbox::gates::network
