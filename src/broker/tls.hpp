#pragma once

// TLS as the client of one server, from bytes to bytes: whoever has the socket carries them. OpenSSL does it, and is loaded
// when the first such connection is made: linked, it would cost every start of `agentbox` a millisecond.
//
// Trust. Version 1.2 at least; a chain to the roots of this machine, as OpenSSL finds them (SSL_CERT_FILE and SSL_CERT_DIR
// count); a certificate for the very name that is asked. Nothing of ours is sent before all of that holds.

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>

namespace agentbox::broker {

class Tls {
 public:
  // `host`: a name or an address, without brackets. The error: why there is no TLS on this machine.
  [[nodiscard]] static std::expected<std::unique_ptr<Tls>, std::string> to(const std::string& host);
  ~Tls();
  Tls(const Tls&) = delete;
  Tls& operator=(const Tls&) = delete;

  // Goes out once the server has shown who it is. Once.
  void say(std::string text);
  // What came from the server, as it came.
  void take(std::string_view wire);

  enum class State : std::uint8_t {
    more,    // something must come first
    closed,  // the server has said that it says no more
    wrong    // `problem` says why
  };
  // As far as it goes with what was taken. What the server said comes behind `heard`, and `wire` is to be sent to it, also
  // when it is wrong.
  [[nodiscard]] State go_on(std::string& heard, std::string& wire);
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

 private:
  class Impl;
  explicit Tls(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
  std::string problem_;
};

}  // namespace agentbox::broker
