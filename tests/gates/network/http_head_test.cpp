#include "network/http_head.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "agentbox/base/escape.hpp"

using namespace agentbox;
using namespace agentbox::gates::network;
using namespace std::string_literals;
using Target = HttpRequest::Target;

namespace {

HttpRequest parse(const std::string& head) {
  auto request = parse_request_head(head);
  if (!request) FAIL(base::escape(head) << ": " << request.error().text);
  return *request;
}

std::string refusal(const std::string& head) {
  const auto request = parse_request_head(head);
  return request ? "(taken)" : std::to_string(request.error().status) + " " + std::string(request.error().text);
}
std::string with_field(const std::string& field) {
  return refusal("POST / HTTP/1.1\r\nHost: example.org\r\n" + field + "\r\n\r\n");
}
std::string with_target(const std::string& target, const std::string& method = "GET") {
  return refusal(method + " " + target + " HTTP/1.1\r\nHost: example.org\r\n\r\n");
}
std::string said(const HttpRequest& request) {
  return request.authority ? http_authority(request.authority->host, request.authority->port.value_or(80)) : "(none)";
}

}  // namespace

TEST_CASE("a request's head is read") {
  const HttpRequest request = parse(
      "POST /a/b?c=d HTTP/1.1\r\nHost: Example.ORG:8080\r\nAccept:\t*/* \r\nX-Empty:\r\nContent-Length: 12\r\n\r\n");
  CHECK(request.method == "POST");
  CHECK(request.target == Target::origin);
  CHECK(request.path == "/a/b?c=d");
  CHECK(said(request) == "example.org:8080");
  CHECK(request.fields.size() == 4);
  CHECK(request.fields[1] == HttpField{"Accept", "*/*"});
  CHECK(request.field("x-empty") == "");
  CHECK_FALSE(request.field("x-other"));
  CHECK(request.body == HttpBody::length);
  CHECK(request.length == 12);
  CHECK(request.after == HttpRequest::After::keep_alive);
  CHECK(request.upgrade.empty());
}

TEST_CASE("every form of a target says which host it is for") {
  HttpRequest request = parse("GET http://Example.org:81/a?b HTTP/1.1\r\nHost: example.org:81\r\n\r\n");
  CHECK(request.target == Target::absolute);
  CHECK(request.path == "/a?b");
  CHECK(said(request) == "example.org:81");
  CHECK(parse("GET HTTP://example.org HTTP/1.1\r\nHost: example.org:80\r\n\r\n").path == "/");
  CHECK(parse("GET http://example.org?q HTTP/1.1\r\nHost: example.org\r\n\r\n").path == "/?q");
  CHECK(parse("OPTIONS http://example.org HTTP/1.1\r\nHost: example.org\r\n\r\n").path == "*");
  request = parse("OPTIONS * HTTP/1.1\r\nHost: example.org\r\n\r\n");
  CHECK(request.target == Target::asterisk);
  CHECK(request.path == "*");
  request = parse("CONNECT [2001:DB8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]\r\n\r\n");
  CHECK(request.target == Target::authority);
  CHECK(said(request) == "[2001:db8::1]:443");
  CHECK(said(parse("GET http://example.org/ HTTP/1.0\r\n\r\n")) == "example.org");
  CHECK(said(parse("GET / HTTP/1.0\r\n\r\n")) == "(none)");
  CHECK(said(parse("GET / HTTP/1.0\r\nHost: a.example\r\n\r\n")) == "a.example");
}

TEST_CASE("a request for two hosts, or none, is refused") {
  CHECK(refusal("GET / HTTP/1.1\r\n\r\n") == "400 it has no Host");
  CHECK(refusal("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n") == "400 it has more than one Host");
  CHECK(refusal("GET / HTTP/1.1\r\nHost: a\r\nhOST: b\r\n\r\n") == "400 it has more than one Host");
  CHECK(refusal("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n") == "400 its Host is not the host of its target");
  CHECK(refusal("GET http://a/ HTTP/1.1\r\nHost: a:81\r\n\r\n") == "400 its Host is not the host of its target");
  CHECK(refusal("GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n") == "400 its Host is not the host of its target");
  CHECK(refusal("GET http://a:80/ HTTP/1.1\r\nHost: A.\r\n\r\n") == "(taken)");
  CHECK(refusal("CONNECT a:443 HTTP/1.1\r\nHost: b:443\r\n\r\n") == "400 its Host is not the host of its target");
  CHECK(refusal("CONNECT a:443 HTTP/1.1\r\nHost: a:444\r\n\r\n") == "400 its Host is not the host of its target");
  CHECK(refusal("CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n") == "400 CONNECT needs a port");
  const std::vector<std::pair<std::string, std::string>> hosts{
      {"", "400 the host name is empty"},
      {"a,b", "400 the host name holds a byte that no host name has"},
      {"a b", "400 the host name holds a byte that no host name has"},
      {"user@a", "400 the host name holds a user name"},
      {"0x7f.1", "400 the host name is an odd spelling of an address"},
      {"a:80:81", "400 the port is not a number from 1 to 65535"},
      {"a/", "400 the host name holds a byte that no host name has"},
      {"http://a", "400 the port is not a number from 1 to 65535"},
      {"a%00", "400 the host name holds a '%'"},
      {"\xff", "400 the host name is not plain ASCII; it must come in punycode"},
  };
  for (const auto& [host, text] : hosts) {
    CHECK(refusal("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n") == text);
  }
}

TEST_CASE("a first line that is none is refused") {
  const std::vector<std::pair<std::string, std::string>> lines{
      {"", "400 an empty line stands before the request"},
      {"GET /", "400 the first line is not METHOD TARGET HTTP/1.1"},
      {"GET", "400 the first line is not METHOD TARGET HTTP/1.1"},
      {"GET / http/1.1", "400 the first line does not end in HTTP/1.1"},
      {"GET / HTTP/1.1 ", "400 the first line does not end in HTTP/1.1"},
      {"GET / HTTP/1.2", "505 only HTTP/1.0 and HTTP/1.1 are spoken here"},
      {"GET / HTTP/0.9", "505 only HTTP/1.0 and HTTP/1.1 are spoken here"},
      {"GET / HTTP/11", "505 only HTTP/1.0 and HTTP/1.1 are spoken here"},
      {"PRI * HTTP/2.0", "505 only HTTP/1.0 and HTTP/1.1 are spoken here"},
      {"GET  / HTTP/1.1", "400 the target holds a byte that must be escaped in it"},
      {"GET /a b HTTP/1.1", "400 the target holds a byte that must be escaped in it"},
      {"GET /\t HTTP/1.1", "400 the target holds a byte that must be escaped in it"},
      {"GET\t/ HTTP/1.1", "400 the first line is not METHOD TARGET HTTP/1.1"},
      {"GET /\xc3\xbc HTTP/1.1", "400 the target holds a byte that must be escaped in it"},
      {"GET /\0 HTTP/1.1"s, "400 the target holds a byte that must be escaped in it"},
      {"GET  HTTP/1.1", "400 the target is missing"},
      {" GET / HTTP/1.1", "400 the target holds a byte that must be escaped in it"},
      {"G(T / HTTP/1.1", "400 the method is not a word"},
      {"G\0T / HTTP/1.1"s, "400 the method is not a word"},
      {std::string(33, 'A') + " / HTTP/1.1", "400 the method is not a word"},
  };
  for (const auto& [line, text] : lines) {
    INFO(base::escape(line));
    const std::string got = refusal(line + "\r\nHost: a\r\n\r\n");
    if (line == " GET / HTTP/1.1") {
      CHECK(got == "400 the method is not a word");
    } else {
      CHECK(got == text);
    }
    CHECK(problem_of_request_line(line));
  }
  CHECK_FALSE(problem_of_request_line("GET / HTTP/1.1"));
}

TEST_CASE("a target that another parser could read as another host is refused") {
  for (const std::string target : {"https://example.org/", "ftp://example.org/", "example.org", "example.org:80",
                                   "file:///etc/passwd", "http:/example.org", "\\\\example.org"}) {
    CHECK(with_target(target) == "400 the target is neither a path nor an http address");
  }
  CHECK(with_target("/a#b") == "400 the target holds a fragment");
  CHECK(with_target("http://a@example.org/") == "400 the host name holds a user name");
  CHECK(with_target("http://example.org@evil.example/") == "400 the host name holds a user name");
  CHECK(with_target("http:///a") == "400 the host name is empty");
  CHECK(with_target("http://example.org:/") == "400 the port is not a number from 1 to 65535");
  CHECK(with_target("http://example.org\\@evil.example/") == "400 the host name holds a user name");
  CHECK(with_target("*") == "400 only OPTIONS can ask for '*'");
  CHECK(with_target("/", "CONNECT") == "400 the host name holds a byte that no host name has");
  CHECK(with_target("/a|b{c}\"<>\\^`") == "(taken)");
}

TEST_CASE("a body has one length, said in one way") {
  CHECK(with_field("Content-Length: 5\r\nContent-Length: 5") == "400 it says how long its body is more than once");
  CHECK(with_field("Content-Length: 5\r\ncontent-length: 6") == "400 it says how long its body is more than once");
  CHECK(with_field("Content-Length: 5, 5") == "400 the length of its body is not a number");
  CHECK(with_field("Content-Length: 5\r\nTransfer-Encoding: chunked") ==
        "400 it says how long its body is in two ways");
  for (const std::string length : {"", "-1", "+5", "5 ", "0x5", "5a", "1e3", "9999999999999999999", "5;", "\"5\""}) {
    if (length == "5 ") continue;  // white space at the end is none of the value
    CHECK(with_field("Content-Length: " + length) == "400 the length of its body is not a number");
  }
  for (const std::string coding : {"xchunked", "gzip, chunked", "chunked, gzip", "identity", "chunked, chunked", "",
                                   "chunked;a=b", "\"chunked\"", "chunked\x0b",
                                   "\x0b"
                                   "chunked"}) {
    INFO(base::escape(coding));
    const bool control = coding.find('\x0b') != std::string::npos;
    CHECK(with_field("Transfer-Encoding: " + coding) ==
          (control ? "400 one of its fields holds a control character"
                   : "501 the only coding of a body that passes here is chunked"));
  }
  CHECK(with_field("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked") ==
        "400 it says how its body is coded more than once");
  CHECK(with_field("Transfer-Encoding: Chunked") == "(taken)");
  CHECK(refusal("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n") ==
        "400 HTTP/1.0 knows no chunked body");
  CHECK(refusal("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 1\r\n\r\n") == "400 CONNECT has no body");
  CHECK(parse("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 000000000000000007\r\n\r\n").length == 7);
}

TEST_CASE("fields that parsers read in different ways are refused") {
  CHECK(with_field("A : b") == "400 the name of one of its fields is not a word");
  CHECK(with_field("A\t: b") == "400 the name of one of its fields is not a word");
  CHECK(with_field(": b") == "400 the name of one of its fields is not a word");
  CHECK(with_field("A\0: b"s) == "400 the name of one of its fields is not a word");
  CHECK(with_field("A\xc3\xbc: b") == "400 the name of one of its fields is not a word");
  CHECK(with_field("A") == "400 one of its fields has no ':'");
  CHECK(with_field("A: b\r\n c") == "400 one of its fields goes on over a second line");
  CHECK(with_field("A: b\r\n\tTransfer-Encoding: chunked") == "400 one of its fields goes on over a second line");
  CHECK(with_field("A: b\0c"s) == "400 one of its fields holds a control character");
  CHECK(with_field("A: b\x7f") == "400 one of its fields holds a control character");
  CHECK(with_field("A: b\x1b[2J") == "400 one of its fields holds a control character");
  CHECK(with_field("A: \xc3\xbc") == "(taken)");
  CHECK(refusal("GET / HTTP/1.1\r\n Host: a\r\n\r\n") == "400 one of its fields goes on over a second line");
  std::string many;
  for (int i = 0; i < 127; ++i) many += "A: b\r\n";
  CHECK(refusal("GET / HTTP/1.1\r\nHost: a\r\n" + many + "\r\n") == "(taken)");
  CHECK(refusal("GET / HTTP/1.1\r\nHost: a\r\nB: c\r\n" + many + "\r\n") == "431 it has more than 128 fields");
}

TEST_CASE("an upgrade is asked for only where it is asked for plainly") {
  const auto upgrade = [](const std::string& fields, const std::string& version = "1.1") {
    return parse("GET / HTTP/" + version + "\r\nHost: a\r\n" + fields + "\r\n").upgrade;
  };
  CHECK(upgrade("Connection: Upgrade\r\nUpgrade: websocket\r\n") == "websocket");
  CHECK(upgrade("Connection: keep-alive, upgrade\r\nUpgrade: WebSocket\r\n") == "WebSocket");
  CHECK(upgrade("Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n") == "SPDY/3.1");
  CHECK(upgrade("Upgrade: websocket\r\n").empty());
  CHECK(upgrade("Connection: Upgrade\r\n").empty());
  CHECK(upgrade("Connection: Upgrade\r\nUpgrade: websocket\r\n", "1.0").empty());
  CHECK(upgrade("Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: x\r\n").empty());
  for (const std::string hidden :
       {"h2c", "H2C", "websocket, h2c", "HTTP/2.0", "TLS/1.2", "h2c-14", "h2", "a b", "/1"}) {
    INFO(hidden);
    CHECK(upgrade("Connection: Upgrade\r\nUpgrade: " + hidden + "\r\n").empty());
  }
}

TEST_CASE("what the client wants of the connection is read") {
  const auto request = [](const std::string& fields, const std::string& version) {
    return parse("POST / HTTP/" + version + "\r\nHost: a\r\n" + fields + "\r\n");
  };
  using After = HttpRequest::After;
  using Continue = HttpRequest::Continue;
  CHECK(request("", "1.1").after == After::keep_alive);
  CHECK(request("Connection: foo, Close\r\n", "1.1").after == After::close);
  CHECK(request("", "1.0").after == After::close);
  CHECK(request("Connection: Keep-Alive\r\n", "1.0").after == After::keep_alive);
  CHECK(request("Content-Length: 1\r\nExpect: 100-Continue\r\n", "1.1").continues == Continue::expected);
  CHECK(request("Content-Length: 0\r\nExpect: 100-continue\r\n", "1.1").continues == Continue::no);
  CHECK(request("Content-Length: 1\r\nExpect: 100-continue\r\n", "1.0").continues == Continue::no);
  CHECK(with_field("Expect: fish") == "417 the only thing to be expected here is 100-continue");
}

TEST_CASE("an answer's head says how long its body is") {
  const auto body = [](const std::string& head, AnswerTo to = AnswerTo::other) {
    const auto answer = parse_answer_head(head, to);
    if (!answer) return "(lost)"s;
    static const std::vector<std::string> kinds{"none", "length", "chunked", "until close"};
    return std::to_string(answer->status) + " " + kinds[static_cast<std::size_t>(answer->body)] +
           (answer->length > 0 ? " " + std::to_string(answer->length) : "");
  };
  CHECK(body("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n") == "200 length 5");
  CHECK(body("HTTP/1.1 200\r\nContent-Length: 5\r\n\r\n") == "200 length 5");
  CHECK(body("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", AnswerTo::head) == "200 none");
  CHECK(body("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n") == "200 chunked");
  CHECK(body("HTTP/1.0 200 OK\r\n\r\n") == "200 until close");
  CHECK(body("HTTP/1.1 204 No\r\n\r\n") == "204 none");
  CHECK(body("HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n") == "304 none");
  CHECK(body("HTTP/1.1 101 Go\r\n\r\n") == "101 none");
  for (const std::string head : {"HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 abc\r\n\r\n",
                                 "200 OK\r\n\r\n", "HTTP/1.1 099 x\r\n\r\n", "HTTP/1.1 600 x\r\n\r\n", "\r\n",
                                 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
                                 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"}) {
    INFO(base::escape(head));
    CHECK(body(head) == "(lost)");
  }
}

TEST_CASE("our own answer is whole, and harmless to show") {
  CHECK(
      http_answer(403, "evil.example: denied by \x1b[2J\r\nX: y") ==
      "HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 50\r\nConnection: close\r\n"
      "\r\nagentbox: evil.example: denied by \\x1b[2J\\r\\nX: y\n");
}
