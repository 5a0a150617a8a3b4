#pragma once

// The first message of a TLS connection, read and not changed: which server the client names must be the name that was
// ruled on. Every byte is the agent's; what isn't plainly one ClientHello is malformed, so that no server can read a
// name here that this reader did not.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace agentbox::gates::network {

struct ClientHello {
  // As it came, for canonical_host() to judge; never empty, without control characters, and no address (RFC 6066 §3).
  std::optional<std::string> server_name;
  // Asks for an encrypted ClientHello (RFC 9849, or a draft): the real name may be another one. Browsers send this as a
  // decoy (GREASE) to every server, so it alone proves nothing; without HTTPS records from us no honest client has a
  // key for a real one.
  enum class Encrypted { no, asked } encrypted = Encrypted::no;
  std::vector<std::string> protocols;  // ALPN, in the client's order: "h2", "http/1.1"
};

class ClientHelloReader {
 public:
  static constexpr std::size_t most = 16'384;      // bytes of the message; a hybrid key share takes 1,200
  static constexpr std::size_t most_raw = 65'536;  // with the heads of its records

  struct NeedMore {};
  struct NotTls {};  // from the first or second byte
  struct Malformed {
    std::string_view why;
  };  // one clause; holds no byte of the message
  using Result = std::variant<NeedMore, NotTls, Malformed, ClientHello>;

  // The next bytes of the connection, cut anywhere. The caller keeps them, to send them on. After a result other than
  // NeedMore nothing changes any more.
  const Result& feed(std::span<const std::uint8_t> bytes);
  [[nodiscard]] const Result& result() const noexcept { return result_; }

 private:
  static constexpr std::size_t record_head = 5, message_head = 4;

  void take_head(std::uint8_t byte);
  void begin_record();
  std::size_t take_body(std::span<const std::uint8_t> bytes);

  std::array<std::uint8_t, record_head> head_{};
  std::size_t head_size_ = 0, record_left_ = 0, raw_ = 0;
  std::vector<std::uint8_t> message_;
  std::size_t message_size_ = message_head;  // known once the head of the message is there
  Result result_ = NeedMore{};
};

}  // namespace agentbox::gates::network
