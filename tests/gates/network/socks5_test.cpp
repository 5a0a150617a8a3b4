#include "network/socks5.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

using namespace agentbox::gates::network;
using namespace std::string_literals;

namespace {

using Bytes = std::vector<std::uint8_t>;
using Server = SocksServer::State;
using Client = SocksClient::State;

Bytes bytes(std::string_view text) {
  return {text.begin(), text.end()};
}
std::string text(const Bytes& from) {
  return {from.begin(), from.end()};
}
std::string name_request(std::string_view name, std::string_view port = "\x01\xbb"s) {
  return "\x05\x01\x00\x03"s + static_cast<char>(name.size()) + std::string(name) + std::string(port);
}

const std::string hello = "\x05\x01\x00"s;
std::string answer(char code) {
  return "\x05"s + code + "\x00\x01\0\0\0\0\0\0"s;
}

// What was asked for, or the code of the refusal; the same, however the bytes are cut.
std::string asked(const std::string& in) {
  std::string result;
  for (const std::size_t piece : {in.size() + 1, std::size_t{1}, std::size_t{3}}) {
    SocksServer server;
    std::string out;
    Server state = Server::need_bytes;
    for (std::size_t at = 0; at < in.size() && state == Server::need_bytes; at += piece) {
      state = server.feed(bytes(std::string_view(in).substr(at, piece)));
      out += text(server.output());
    }
    std::string now = "(more)";
    if (state == Server::request) now = server.host().text + ":" + std::to_string(server.port());
    if (state == Server::refused && out.size() < 10) now = "(closed)";
    if (state == Server::refused && out.size() >= 10) now = "refused " + std::to_string(out[out.size() - 9]);
    if (server.fault()) now += " " + std::string(text_of(*server.fault()));
    if (!result.empty()) CHECK(now == result);
    result = now;
  }
  return result;
}

}  // namespace

TEST_CASE("a SOCKS client says where it wants to go") {
  CHECK(asked(hello + name_request("API.Example.org.")) == "api.example.org:443");
  CHECK(asked(hello + "\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50"s) == "127.0.0.1:80");
  CHECK(asked(hello + "\x05\x01\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\xff\xff"s) == "2001:db8::1:65535");
  CHECK(asked(hello + "\x05\x01\x00\x04\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\x01\0\x50"s) == "10.0.0.1:80");
  CHECK(asked(hello + name_request("127.0.0.1")) == "127.0.0.1:443");
  CHECK(asked("\x05\x02\x02\x00"s + name_request("a.example")) == "a.example:443");
}

TEST_CASE("a user and a password are taken and forgotten") {
  SocksServer server;
  CHECK(server.feed(bytes("\x05\x01\x02"s)) == Server::need_bytes);
  CHECK(text(server.output()) == "\x05\x02"s);
  CHECK(server.feed(bytes("\x01\x04user\x06secret"s + name_request("a.example"))) == Server::request);
  CHECK(text(server.output()) == "\x01\x00"s);
  CHECK(server.host().text == "a.example");
  CHECK(asked("\x05\x01\x02\x01\x00\x00"s + name_request("a.example")) == "a.example:443");
}

TEST_CASE("a granted connection is raw, with what the client said too early") {
  SocksServer server;
  REQUIRE(server.feed(bytes(hello + name_request("a.example") + "early")) == Server::request);
  CHECK(text(server.output()) == "\x05\x00"s);
  CHECK(server.rest().empty());
  CHECK(server.feed(bytes(" data")) == Server::request);
  CHECK(server.grant() == Server::granted);
  CHECK(text(server.output()) == answer(0));
  CHECK(text(server.rest()) == "early data");
  SocksServer refused;
  REQUIRE(refused.feed(bytes(hello + name_request("a.example"))) == Server::request);
  (void)refused.output();
  CHECK(refused.refuse(SocksReply::not_allowed) == Server::refused);
  CHECK(text(refused.output()) == answer(2));
  CHECK(refused.grant() == Server::refused);
  CHECK(refused.output().empty());
}

TEST_CASE("a SOCKS name that is none is refused") {
  CHECK(asked(hello + name_request("evil.example\0.good.example"s)) == "refused 2 the host name holds a NUL");
  CHECK(asked(hello + name_request("a\r\nb")) == "refused 2 the host name holds a line break");
  CHECK(asked(hello + name_request("0x7f.1")) == "refused 2 the host name is an odd spelling of an address");
  CHECK(asked(hello + name_request("2130706433")) == "refused 2 the host name is an odd spelling of an address");
  CHECK(asked(hello + name_request("a@b")) == "refused 2 the host name holds a user name");
  CHECK(asked(hello + name_request("")) == "refused 2 the host name is empty");
  CHECK(asked(hello + name_request(std::string(255, 'a'))) == "refused 2 the host name is longer than 253 bytes");
  CHECK(asked(hello + name_request("a.example", "\0\0"s)) == "refused 2 the port is not a number from 1 to 65535");
  CHECK(asked(hello + "\x05\x01\x00\x01\0\0\0\0\0\x50"s) == "refused 2 the address names no host");
}

TEST_CASE("what is not SOCKS5, or more than CONNECT, is refused") {
  CHECK(asked("\x04\x01"s) == "(closed)");
  CHECK(asked("GET / HTTP/1.1\r\n"s) == "(closed)");
  CHECK(asked("\x05\x01\x01"s) == "(closed)");  // GSSAPI
  CHECK(asked("\x05\x00"s) == "(closed)");
  CHECK(asked("\x05\x01\x02\x05"s) == "(closed)");
  CHECK(asked(hello + "\x05\x02\x00\x01\0\0\0\0\0\0"s) == "refused 7");  // BIND
  CHECK(asked(hello + "\x05\x03\x00\x01\0\0\0\0\0\0"s) == "refused 7");  // UDP ASSOCIATE
  CHECK(asked(hello + "\x05\xf0\x00\x03\x01\x61\0\0"s) == "refused 7");  // Tor's RESOLVE
  CHECK(asked(hello + "\x05\x01\x00\x02\0\0\0\0\0\0"s) == "refused 8");
  CHECK(asked(hello + "\x05\x01\x01\x01\0\0\0\0\0\0"s) == "refused 1");
  CHECK(asked(hello + "\x04\x01"s) == "refused 1");
  CHECK(asked(""s) == "(more)");
  SocksServer server;
  server.feed(bytes("\x05\x02\x01\x03"s));
  CHECK(text(server.output()) == "\x05\xff"s);
}

namespace {

SocksClient client(std::string_view host, std::optional<SocksLogin> login = std::nullopt) {
  return {*canonical_host(host), 443, std::move(login)};
}
const std::string good_reply = "\x05\x00\x00\x01\0\0\0\0\0\0"s;

}  // namespace

TEST_CASE("a name goes to the upstream as a name") {
  SocksClient one = client("api.example.org");
  CHECK(text(one.output()) == "\x05\x01\x00"s);
  CHECK(one.feed(bytes("\x05"s)) == Client::need_bytes);
  CHECK(one.output().empty());
  CHECK(one.feed(bytes("\x00"s)) == Client::need_bytes);
  CHECK(text(one.output()) ==
        "\x05\x01\x00\x03\x0f"
        "api.example.org\x01\xbb"s);
  CHECK(one.feed(bytes(good_reply + "SSH-")) == Client::open);
  CHECK(one.feed(bytes("2.0"s)) == Client::open);
  CHECK(text(one.rest()) == "SSH-2.0");

  SocksClient six = client("2001:db8::1");
  six.feed(bytes("\x05\x00"s));
  CHECK(text(six.output()) == "\x05\x01\x00\x05\x01\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x01\xbb"s);
  for (const std::string& reply : {"\x05\x00\x00\x03\x04host\0\x50"s, "\x05\x00\x00\x04"s + std::string(18, '\0')}) {
    SocksClient cut = client("a");
    cut.feed(bytes("\x05\x00"s));
    for (std::size_t i = 0; i + 1 < reply.size(); ++i) CHECK(cut.feed(bytes(reply.substr(i, 1))) == Client::need_bytes);
    CHECK(cut.feed(bytes(reply.substr(reply.size() - 1) + "x")) == Client::open);
    CHECK(text(cut.rest()) == "x");
  }
}

TEST_CASE("streams are kept apart by a login") {
  SocksClient tor = client("a", SocksLogin{.user = "a", .password = "pw"});
  CHECK(text(tor.output()) == "\x05\x02\x02\x00"s);
  tor.feed(bytes("\x05\x02"s));
  CHECK(text(tor.output()) ==
        "\x01\x01"
        "a\x02pw"s);
  CHECK(tor.feed(bytes("\x01\x00"s)) == Client::need_bytes);
  CHECK(text(tor.output()) ==
        "\x05\x01\x00\x03\x01"
        "a\x01\xbb"s);
  CHECK(tor.feed(bytes(good_reply)) == Client::open);

  SocksClient plain = client("a", SocksLogin{.user = "a", .password = "pw"});
  plain.feed(bytes("\x05\x00"s));
  CHECK(text(plain.output())
            .ends_with("\x05\x01\x00\x03\x01"
                       "a\x01\xbb"s));

  const SocksLogin needed{.user = "a", .password = "pw", .needed = SocksLogin::Needed::yes};
  SocksClient strict = client("a", needed);
  CHECK(text(strict.output()) == "\x05\x01\x02"s);
  CHECK(strict.feed(bytes("\x05\x00"s)) == Client::failed);
  CHECK(strict.why() == "the upstream chose what was not offered to it");
  CHECK(strict.output().empty());
}

TEST_CASE("an upstream that fails is an error with a reason") {
  const auto why = [](const std::string& said, std::optional<SocksLogin> login = std::nullopt) {
    SocksClient one = client("a", std::move(login));
    CHECK(one.feed(bytes(said)) == Client::failed);
    CHECK(one.rest().empty());
    CHECK(one.output().empty());
    return one.why();
  };
  const SocksLogin login{.user = "a", .password = "b"};
  CHECK(why("\x04\x00"s) == "the upstream does not speak SOCKS5");
  CHECK(why("HTTP/1.1 400 Bad"s) == "the upstream does not speak SOCKS5");
  CHECK(why("\x05\xff"s) == "the upstream wants a login");
  CHECK(why("\x05\xff"s, login) == "the upstream does not take the login");
  CHECK(why("\x05\x02\x01\x01"s, login) == "the upstream does not take the login");
  CHECK(why("\x05\x02"s) == "the upstream chose what was not offered to it");
  CHECK(why("\x05\x01"s) == "the upstream chose what was not offered to it");
  CHECK(why("\x05\x00\x05\x04"s) == "the upstream says: host unreachable");
  CHECK(why("\x05\x00\x05\x05\x00\x01"s) == "the upstream says: connection refused");
  CHECK(why("\x05\x00\x05\xf2"s) == "the upstream says: error 0xf2");
  CHECK(why("\x05\x00\x04\x00\x00\x01\x00"s) == "the upstream's answer is not SOCKS5");
  CHECK(why("\x05\x00\x05\x00\x00\x02\x00"s) == "the upstream's answer is not SOCKS5");
  CHECK(why("\x05\x00\x05\x00\x01\x01\x00"s) == "the upstream's answer is not SOCKS5");
  CHECK(why("\x05"s, SocksLogin{.user = std::string(256, 'a'), .password = "b"}) == "the login has a wrong length");
  CHECK(why("\x05"s, SocksLogin{.user = "", .password = "b"}) == "the login has a wrong length");
}
