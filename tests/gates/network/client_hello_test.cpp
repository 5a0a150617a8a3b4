#include "network/client_hello.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

using namespace agentbox::gates::network;
using namespace std::string_literals;

namespace {

using Bytes = std::vector<std::uint8_t>;
using Reader = ClientHelloReader;

Bytes bytes_of(std::string_view text) {
  return {text.begin(), text.end()};
}
Bytes operator+(Bytes left, const Bytes& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}
Bytes number(std::size_t value, std::size_t size) {
  Bytes bytes;
  while (size-- > 0) bytes.push_back(static_cast<std::uint8_t>(value >> (8 * size)));
  return bytes;
}
Bytes counted(std::size_t length_bytes, const Bytes& bytes) {
  return number(bytes.size(), length_bytes) + bytes;
}

struct Extension {
  std::size_t type;
  Bytes data;
};
Extension sni(std::string_view name, std::uint8_t kind = 0) {
  return {0, counted(2, Bytes{kind} + counted(2, bytes_of(name)))};
}
Extension alpn(const std::vector<std::string>& protocols) {
  Bytes list;
  for (const std::string& protocol : protocols) list = list + counted(1, bytes_of(protocol));
  return {16, counted(2, list)};
}

struct Message {
  Bytes version{3, 3}, session = Bytes(32, 7), suites{0x13, 0x01}, compressions{0}, after;
  std::vector<Extension> extensions;
  std::uint8_t type = 1;
  [[nodiscard]] Bytes bytes() const {
    Bytes list;
    for (const auto& [kind, data] : extensions) list = list + number(kind, 2) + counted(2, data);
    Bytes body = version + Bytes(32, 9) + counted(1, session) + counted(2, suites) + counted(1, compressions);
    if (!extensions.empty()) body = body + counted(2, list);
    return Bytes{type} + counted(3, body + after);
  }
};
Message with(std::vector<Extension> extensions) {
  Message message;
  message.extensions = std::move(extensions);
  return message;
}

Bytes record(const Bytes& body, std::uint8_t type = 22) {
  return Bytes{type, 3, 1} + counted(2, body);
}
Bytes records(const Bytes& message, std::size_t each) {
  Bytes result;
  for (std::size_t at = 0; at < message.size(); at += each) {
    const auto begin = message.begin() + static_cast<std::ptrdiff_t>(at);
    result = result + record(Bytes(begin, begin + static_cast<std::ptrdiff_t>(std::min(each, message.size() - at))));
  }
  return result;
}

std::string said(const Reader::Result& result) {
  if (std::holds_alternative<Reader::NeedMore>(result)) return "more";
  if (std::holds_alternative<Reader::NotTls>(result)) return "not tls";
  if (const auto* wrong = std::get_if<Reader::Malformed>(&result)) return std::string(wrong->why);
  const auto& hello = std::get<ClientHello>(result);
  std::string text = hello.server_name.value_or("(none)");
  for (const std::string& protocol : hello.protocols) text += " " + protocol;
  if (hello.encrypted == ClientHello::Encrypted::asked) text += " ech";
  return text;
}

// However the bytes are cut, the result is one.
std::string read(const Bytes& bytes) {
  Reader whole;
  std::string result = said(whole.feed(bytes));
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}}) {
    Reader reader;
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      reader.feed(std::span(bytes).subspan(at, std::min(piece, bytes.size() - at)));
    }
    CHECK(said(reader.result()) == result);
  }
  return result;
}
std::string read(const Message& message) {
  return read(record(message.bytes()));
}

// As OpenSSL 3 sends it.
constexpr std::string_view openssl_hello =
    "1603010200010001fc030352a017edb6fb04401b63540800aaa44152f58bfb5818b655f9171124a3bc377920a620c225adab202976cf52fbe3"
    "ab"
    "ec7c642036d6b5b8417a6b53085d18d0d8930024130213031301c02cc030c02bc02fcca9cca8c024c028c023c027009f009e006b006700ff01"
    "00"
    "018f00000014001200000f6170692e6578616d706c652e6f7267000b000403000102000a00160014001d0017001e0019001801000101010201"
    "03"
    "01040023000000"
    "10000e000c02683208687474702f312e310016000000170000000d002a0028040305030603080708080809080a080b08040805080604010501"
    "0601"
    "030303010302040205020602002b00050403040303002d00020101003300260024001d0020012838ea1a6abbc13a98fe221313ead749c5cb28"
    "18"
    "35a41e7f207327d641eb20001500cc";

Bytes from_hex(std::string_view text) {
  Bytes bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    bytes.push_back(static_cast<std::uint8_t>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

}  // namespace

TEST_CASE("the server's name is read from a real ClientHello") {
  const Bytes hello = from_hex(openssl_hello) + Bytes(0xcc, 0);
  CHECK(hello.size() == 517);
  CHECK(read(hello) == "api.example.org h2 http/1.1");
  for (std::size_t size = 0; size < hello.size(); ++size) {
    Reader reader;
    reader.feed(std::span(hello).first(size));
    CHECK(said(reader.result()) == "more");
  }
  CHECK(read(hello + bytes_of("early data")) == "api.example.org h2 http/1.1");
}

TEST_CASE("a ClientHello in many records is one") {
  const Bytes message = with({sni("api.example.org"), alpn({"h2"})}).bytes();
  for (std::size_t each = 1; each <= message.size(); ++each)
    CHECK(read(records(message, each)) == "api.example.org h2");
}

TEST_CASE("no name, no extensions and an encrypted ClientHello are told apart") {
  CHECK(read(with({})) == "(none)");
  CHECK(read(with({alpn({"http/1.1"})})) == "(none) http/1.1");
  CHECK(read(with({{0xfe0d, Bytes{0, 1, 2}}, sni("public.example")})) == "public.example ech");
  CHECK(read(with({{0xffce, Bytes{1}}})) == "(none) ech");
  CHECK(read(with({sni("a.example"), {0xfe0d, Bytes{1}}})) == "its encrypted ClientHello is not an outer one");
  CHECK(read(with({sni("a.example"), {0xfe0d, {}}})) == "its encrypted ClientHello is not an outer one");
}

TEST_CASE("what is not TLS is so from its first bytes") {
  CHECK(read(bytes_of("GET / HTTP/1.1\r\n")) == "not tls");
  CHECK(read(bytes_of("S")) == "not tls");
  CHECK(read(Bytes{22}) == "more");
  CHECK(read(Bytes{22, 2}) == "not tls");
  CHECK(read(Bytes{0x80, 0x2e, 1}) == "not tls");  // SSL 2
  CHECK(read(Bytes{}) == "more");
  CHECK(read(Bytes{21, 3, 1, 0, 2}) == "not tls");
}

TEST_CASE("a server that is named in another way than once is refused") {
  CHECK(read(with({sni("a.example"), sni("b.example")})) == "one of its extensions comes twice");
  CHECK(read(with({sni("a.example"), sni("a.example")})) == "one of its extensions comes twice");
  CHECK(read(with({{23, {}}, {23, {}}})) == "one of its extensions comes twice");
  const Bytes one = Bytes{0} + counted(2, bytes_of("a.example"));
  CHECK(read(with({{0, counted(2, one + one)}})) == "it names more than one server");
  CHECK(read(with({{0, counted(2, one + Bytes{0})}})) == "it names more than one server");
  CHECK(read(with({{0, counted(2, one) + Bytes{0}}})) == "its list of server names is cut");
  CHECK(read(with({{0, counted(2, one + Bytes{})}})) == "a.example");  // the control
  CHECK(read(with({sni("a.example", 1)})) == "it names a server in an unknown way");
}

TEST_CASE("a server name that is none is refused") {
  CHECK(read(with({sni("")})) == "its server name is empty");
  CHECK(read(with({sni("good.example\0.evil.example"s)})) == "its server name holds a control character");
  CHECK(read(with({sni("a\r\nb")})) == "its server name holds a control character");
  CHECK(read(with({sni("a b")})) == "its server name holds a control character");
  for (const std::string_view address : {"127.0.0.1", "::1", "[::1]", "::ffff:10.0.0.1", "8.8.8.8"}) {
    CHECK(read(with({sni(address)})) == "its server name is an address");
  }
  CHECK(read(with({{0, {}}})) == "its list of server names is cut");
  CHECK(read(with({{0, Bytes{0, 0}}})) == "its list of server names is cut");
  CHECK(read(with({{0, Bytes{0, 9, 0, 0, 1}}})) == "its list of server names is cut");
  CHECK(read(with({{16, Bytes{0, 0}}})) == "its list of protocols is cut");
  CHECK(read(with({{16, Bytes{0, 1, 0}}})) == "its list of protocols is cut");
  CHECK(read(with({{16, Bytes{0, 2, 5, 'h'}}})) == "its list of protocols is cut");
}

TEST_CASE("lengths that don't agree are refused") {
  Message message = with({sni("a.example")});
  message.after = {0};
  CHECK(read(message) == "something follows its extensions");
  message.after.clear();
  message.session = Bytes(33, 0);
  CHECK(read(message) == "one of its fields has a wrong length");
  message.session.clear();
  CHECK(read(message) == "a.example");  // the control
  message.suites = {1};
  CHECK(read(message) == "one of its fields has a wrong length");
  message.suites.clear();
  CHECK(read(message) == "one of its fields has a wrong length");
  message.suites = {1, 2};
  message.compressions.clear();
  CHECK(read(message) == "one of its fields has a wrong length");
  message.compressions = {0};
  message.version = {2, 0};
  CHECK(read(message) == "it is of no known version of TLS");

  // Cut at each byte, with the message's own length put right.
  const Bytes whole = with({sni("a.example"), alpn({"h2"})}).bytes();
  for (std::size_t size = 5; size < whole.size(); ++size) {
    Bytes cut(whole.begin() + 4, whole.begin() + static_cast<std::ptrdiff_t>(size));
    const bool without_extensions = size == 4 + 2 + 32 + 33 + 4 + 2;
    INFO(size);
    CHECK((read(record(Bytes{1} + counted(3, cut))) == "(none)") == without_extensions);
  }
}

TEST_CASE("records that hold anything else are refused") {
  const Bytes message = with({sni("a.example")}).bytes();
  CHECK(read(record(message + Bytes{1})) == "something follows it in its record");
  CHECK(read(record(message + message)) == "something follows it in its record");
  CHECK(read(record(message) + record(message)) == "a.example");
  Message other = with({sni("a.example")});
  other.type = 2;
  CHECK(read(other) == "the first message is no ClientHello");
  CHECK(read(record({})) == "one of its records is empty");
  CHECK(read(Bytes{22, 3, 1, 0x40, 0x01}) == "one of its records is too long");
  const Bytes half(message.begin(), message.begin() + 20);
  CHECK(read(record(half) + record({1, 0}, 21)) == "it is interrupted by another record");
  CHECK(read(record(half) + record({}) + record(message)) == "one of its records is empty");
  CHECK(read(record(half) + Bytes{22, 2}) == "it is interrupted by another record");
  CHECK(read(record(Bytes{1, 0, 0, 0})) == "it is cut");
}

TEST_CASE("a ClientHello has an end") {
  CHECK(read(record(Bytes{1, 0, 0x40, 0x00})) == "it is too long");
  CHECK(read(record(Bytes{1, 0xff, 0xff, 0xff})) == "it is too long");
  const Bytes big = with({sni("a.example"), {21, Bytes(16'000, 0)}}).bytes();
  CHECK(read(records(big, 4000)) == "a.example");
  CHECK(read(records(big, 2)) == "a.example");
  CHECK(read(records(big, 1)) == "it is too long");  // 6 bytes for each one
}
