#include "client_hello.hpp"

#include <algorithm>
#include <expected>
#include <set>

#include "host_name.hpp"

namespace agentbox::gates::network {

namespace {

using Bytes = std::span<const std::uint8_t>;
using Malformed = ClientHelloReader::Malformed;
using Parsed = std::expected<ClientHello, Malformed>;

enum Type : std::uint16_t { server_name = 0, alpn = 16, encrypted_hello = 0xfe0d, encrypted_name = 0xffce };

std::unexpected<Malformed> malformed(std::string_view why) {
  return std::unexpected(Malformed{why});
}

// Takes from the front of what is left; fails for good once something is missing.
class Cursor {
 public:
  explicit Cursor(Bytes bytes) : bytes_(bytes) {}
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool empty() const { return bytes_.empty(); }
  Bytes take(std::size_t count) {
    ok_ = ok_ && count <= bytes_.size();
    if (!ok_) return {};
    const Bytes taken = bytes_.first(count);
    bytes_ = bytes_.subspan(count);
    return taken;
  }
  std::size_t number(std::size_t bytes) {
    std::size_t value = 0;
    for (const std::uint8_t byte : take(bytes)) value = value << 8U | byte;
    return value;
  }
  // What a length of that many bytes is put before.
  Bytes counted(std::size_t length_bytes) { return take(number(length_bytes)); }

 private:
  Bytes bytes_;
  bool ok_ = true;
};

std::string text_of(Bytes bytes) {
  return {bytes.begin(), bytes.end()};
}

std::optional<Malformed> read_server_name(Bytes data, ClientHello& hello) {
  Cursor outer(data);
  Cursor list(outer.counted(2));
  if (!outer.ok() || !outer.empty() || list.empty()) return Malformed{"its list of server names is cut"};
  const std::size_t kind = list.number(1);
  const Bytes name = list.counted(2);
  if (!list.ok()) return Malformed{"its list of server names is cut"};
  if (!list.empty()) return Malformed{"it names more than one server"};
  if (kind != 0) return Malformed{"it names a server in an unknown way"};
  if (name.empty()) return Malformed{"its server name is empty"};
  if (std::ranges::any_of(name, [](std::uint8_t byte) { return byte <= 0x20 || byte == 0x7f; })) {
    return Malformed{"its server name holds a control character"};
  }
  hello.server_name = text_of(name);
  if (const auto host = canonical_host(*hello.server_name); host && !host->is_name()) {
    return Malformed{"its server name is an address"};
  }
  return std::nullopt;
}

std::optional<Malformed> read_protocols(Bytes data, ClientHello& hello) {
  Cursor outer(data);
  Cursor list(outer.counted(2));
  if (!outer.ok() || !outer.empty() || list.empty()) return Malformed{"its list of protocols is cut"};
  while (!list.empty()) {
    const Bytes protocol = list.counted(1);
    if (!list.ok() || protocol.empty()) return Malformed{"its list of protocols is cut"};
    hello.protocols.push_back(text_of(protocol));
  }
  return std::nullopt;
}

std::optional<Malformed> read_extension(std::size_t type, Bytes data, ClientHello& hello) {
  switch (type) {
    case server_name: return read_server_name(data, hello);
    case alpn: return read_protocols(data, hello);
    case encrypted_hello:
      // 1 is the inner one, which only ever travels encrypted.
      if (data.empty() || data[0] != 0) return Malformed{"its encrypted ClientHello is not an outer one"};
      hello.encrypted = ClientHello::Encrypted::asked;
      return std::nullopt;
    // Drafts before RFC 9849.
    case encrypted_name:
    case 0xfe08:
    case 0xfe09:
    case 0xfe0a:
    case 0xfe0b:
    case 0xfe0c: hello.encrypted = ClientHello::Encrypted::asked; return std::nullopt;
    default: return std::nullopt;
  }
}

// RFC 8446 §4.1.2, and the same fields in RFC 5246 §7.4.1.2.
Parsed read_message(Bytes message) {
  Cursor body(message.subspan(4));
  ClientHello hello;
  if (body.number(1) != 3) return malformed("it is of no known version of TLS");
  body.take(1 + 32);  // the rest of the version; random
  const Bytes session = body.counted(1);
  const Bytes suites = body.counted(2);
  const Bytes compressions = body.counted(1);
  if (!body.ok()) return malformed("it is cut");
  if (session.size() > 32 || suites.empty() || suites.size() % 2 != 0 || compressions.empty()) {
    return malformed("one of its fields has a wrong length");
  }
  if (body.empty()) return hello;
  Cursor extensions(body.counted(2));
  if (!body.ok()) return malformed("it is cut");
  if (!body.empty()) return malformed("something follows its extensions");
  std::set<std::size_t> seen;
  while (!extensions.empty()) {
    const std::size_t type = extensions.number(2);
    const Bytes data = extensions.counted(2);
    if (!extensions.ok()) return malformed("one of its extensions is cut");
    if (!seen.insert(type).second) return malformed("one of its extensions comes twice");
    if (const auto fault = read_extension(type, data, hello)) return std::unexpected(*fault);
  }
  return hello;
}

}  // namespace

const ClientHelloReader::Result& ClientHelloReader::feed(std::span<const std::uint8_t> bytes) {
  while (!bytes.empty() && std::holds_alternative<NeedMore>(result_)) {
    std::size_t taken = 1;
    if (record_left_ == 0) {
      take_head(bytes[0]);
    } else {
      taken = take_body(bytes);
    }
    raw_ += taken;
    bytes = bytes.subspan(taken);
    if (raw_ > most_raw && std::holds_alternative<NeedMore>(result_)) result_ = Malformed{"it is too long"};
  }
  return result_;
}

void ClientHelloReader::take_head(std::uint8_t byte) {
  // A handshake record, of a version that begins with 3: no other protocol of the net begins so.
  const bool fits = head_size_ == 0 ? byte == 22 : head_size_ != 1 || byte == 3;
  if (!fits) {
    if (message_.empty() && raw_ < 2) {
      result_ = NotTls{};
    } else {
      result_ = Malformed{"it is interrupted by another record"};
    }
    return;
  }
  head_[head_size_++] = byte;
  if (head_size_ == record_head) begin_record();
}

void ClientHelloReader::begin_record() {
  head_size_ = 0;
  record_left_ = static_cast<std::size_t>(head_[3] << 8U | head_[4]);
  if (record_left_ == 0) result_ = Malformed{"one of its records is empty"};
  if (record_left_ > 16'384) result_ = Malformed{"one of its records is too long"};
}

std::size_t ClientHelloReader::take_body(std::span<const std::uint8_t> bytes) {
  const std::size_t count = std::min({bytes.size(), record_left_, message_size_ - message_.size()});
  message_.insert(message_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
  record_left_ -= count;
  if (message_[0] != 1) {
    result_ = Malformed{"the first message is no ClientHello"};
  } else if (message_.size() == message_head && message_size_ == message_head) {
    message_size_ += static_cast<std::size_t>(message_[1] << 16U | message_[2] << 8U | message_[3]);
    if (message_size_ > most) result_ = Malformed{"it is too long"};
    if (message_size_ == message_head) result_ = Malformed{"it is cut"};
  }
  if (!std::holds_alternative<NeedMore>(result_) || message_.size() < message_size_) return count;
  if (record_left_ > 0) {
    result_ = Malformed{"something follows it in its record"};
    return count;
  }
  Parsed hello = read_message(message_);
  if (hello) {
    result_ = std::move(*hello);
  } else {
    result_ = hello.error();
  }
  return count;
}

}  // namespace agentbox::gates::network
