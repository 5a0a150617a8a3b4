#include "network/http_requests.hpp"

#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

#include "agentbox/base/escape.hpp"

#include "http_support.hpp"
#include "network/http_responses.hpp"

using namespace agentbox;
using namespace agentbox::gates::network;
using namespace std::string_literals;
using Next = HttpRequests::Next;
using test::Filtered;

namespace {

const std::string host = "Host: example.org\r\n";

// The same, however the bytes are cut.
Filtered filter(const std::string& in) {
  Filtered whole = test::filter(in, in.size() + 1);
  for (const std::size_t piece : {std::size_t{1}, std::size_t{3}, std::size_t{50}}) {
    const Filtered cut = test::filter(in, piece);
    CHECK(cut.last == whole.last);
    CHECK(cut.refusal == whole.refusal);
    CHECK(cut.requests == whole.requests);
    // How a chunked body is cut into chunks is no part of what it says.
    if (whole.out.find("chunked") == std::string::npos) CHECK(cut.out == whole.out);
  }
  return whole;
}
std::string refusal(const std::string& in) {
  const Filtered filtered = filter(in);
  return filtered.refusal.empty() ? "(taken)" : filtered.refusal;
}
std::string chunked(const std::string& body) {
  return "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n" + body;
}

HttpRequests fed(const std::string& in) {
  HttpRequests requests;
  requests.feed(in);
  return requests;
}

}  // namespace

TEST_CASE("a request goes on with a head of ours") {
  const Filtered filtered = filter(
      "GET /a?b HTTP/1.1\r\nUser-Agent:curl\r\nhost: EXAMPLE.org.\r\nConnection: keep-alive, X-Hop\r\nX-Hop: secret\r\n"
      "Keep-Alive: 5\r\nProxy-Connection: x\r\nProxy-Authorization: Basic eA==\r\nTE: trailers\r\nUpgrade: h2c\r\n"
      "HTTP2-Settings: AAAA\r\nX-Value:  a b \r\n\r\n");
  CHECK(filtered.out == "GET /a?b HTTP/1.1\r\nHost: example.org\r\nUser-Agent: curl\r\nX-Value: a b\r\n\r\n");
  CHECK(filtered.last == Next::need_bytes);
}

TEST_CASE("the absolute form becomes a path, or stays one for a proxy") {
  const std::string in = "GET http://example.org/a HTTP/1.1\r\n" + host + "\r\n";
  CHECK(filter(in).out == "GET /a HTTP/1.1\r\nHost: example.org\r\n\r\n");
  HttpRequests requests = fed(in);
  REQUIRE(requests.next() == Next::request);
  requests.forward({.form = HttpRequests::Passing::Form::absolute,
                    .authority = "example.org",
                    .add = {{"Proxy-Authorization", "Basic eDp5"}}});
  REQUIRE(requests.next() == Next::bytes);
  CHECK(requests.take() ==
        "GET http://example.org/a HTTP/1.1\r\nHost: example.org\r\nProxy-Authorization: Basic eDp5\r\n\r\n");
  requests = fed("OPTIONS * HTTP/1.1\r\n" + host + "\r\n");
  REQUIRE(requests.next() == Next::request);
  requests.forward({.form = HttpRequests::Passing::Form::absolute, .authority = "example.org"});
  REQUIRE(requests.next() == Next::bytes);
  CHECK(requests.take() == "OPTIONS http://example.org HTTP/1.1\r\nHost: example.org\r\n\r\n");
}

TEST_CASE("every request of a connection waits for its own ruling") {
  HttpRequests requests =
      fed("GET /1 HTTP/1.1\r\nHost: good.example\r\n\r\nGET /2 HTTP/1.1\r\nHost: evil.example\r\n\r\n");
  REQUIRE(requests.next() == Next::request);
  CHECK(requests.request().authority->host.text == "good.example");
  CHECK(requests.next() == Next::request);
  requests.forward({.authority = "good.example"});
  REQUIRE(requests.next() == Next::bytes);
  CHECK(requests.take() == "GET /1 HTTP/1.1\r\nHost: good.example\r\n\r\n");
  REQUIRE(requests.next() == Next::request);
  CHECK(requests.request().authority->host.text == "evil.example");
  requests.refuse({403, "denied"});
  CHECK(requests.next() == Next::refused);
  CHECK_FALSE(requests.in_body());
  requests.feed("GET /3 HTTP/1.1\r\nHost: good.example\r\n\r\n");
  CHECK(requests.next() == Next::refused);
}

TEST_CASE("a body is as long as it says, and what follows is the next request") {
  const std::string hidden = "GET /smuggled HTTP/1.1\r\nHost: evil.example\r\n\r\n";
  HttpRequests requests = fed("POST /1 HTTP/1.1\r\n" + host + "Content-Length: " + std::to_string(hidden.size()) +
                              "\r\n\r\n" + hidden + "GET /2 HTTP/1.1\r\n" + host + "\r\n");
  REQUIRE(requests.next() == Next::request);
  requests.forward({.authority = "example.org"});
  REQUIRE(requests.next() == Next::bytes);
  CHECK(requests.take().ends_with("Content-Length: 46\r\n\r\n" + hidden));
  REQUIRE(requests.next() == Next::request);
  CHECK(requests.request().path == "/2");
  const std::string good =
      "POST / HTTP/1.1\r\n" + host + "Content-Length: 5\r\n\r\nhelloGET /2 HTTP/1.1\r\n" + host + "\r\n";
  CHECK(filter(good).requests == 2);
  CHECK(filter(good).out ==
        "POST / HTTP/1.1\r\nHost: example.org\r\nContent-Length: 5\r\n\r\nhello"
        "GET /2 HTTP/1.1\r\nHost: example.org\r\n\r\n");
}

TEST_CASE("a chunked body is written anew") {
  const Filtered filtered =
      test::filter(chunked("5\r\nhello\r\n00A;name=value\r\n, world...\r\n0\r\nTrailer: x\r\n\r\n") +
                       "GET /2 HTTP/1.1\r\n" + host + "\r\n",
                   100'000);
  CHECK(filtered.requests == 2);
  CHECK(filtered.out ==
        "POST / HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\na\r\n, world...\r\n"
        "0\r\n\r\nGET /2 HTTP/1.1\r\nHost: example.org\r\n\r\n");
  CHECK(test::filter(chunked("3\r\nabc\r\n0\r\n\r\n"), 1).out ==
        "POST / HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: "
        "chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n");
}

TEST_CASE("a chunked body that parsers read in different ways is refused") {
  for (const std::string& body : {"\r\n"s,
                                  "g\r\n"s,
                                  "-1\r\n"s,
                                  "+5\r\n"s,
                                  "0x5\r\n"s,
                                  " 5\r\n"s,
                                  "5 \r\nhello\r\n0\r\n\r\n"s,
                                  "5\nhello"s,
                                  "5\r\nhelloX\r\n"s,
                                  "5\r\nhello\n0\r\n\r\n"s,
                                  "5\r\nhello\r0\r\n\r\n"s,
                                  "5\r\nhello0\r\n\r\n"s,
                                  "5;a\nb\r\n"s,
                                  "5;\0\r\n"s,
                                  "fffffffffffffffff\r\n"s,
                                  "0000000000000000\r\n"s,
                                  "5\rhello"s,
                                  "0\r\nA\nB\r\n\r\n"s,
                                  "0\r\nA\rB\r\n\r\n"s,
                                  ";\r\n"s,
                                  "0\r\nx\0\r\n\r\n"s,
                                  "5;" + std::string(5000, 'a')}) {
    INFO(base::escape(body.substr(0, 40)));
    CHECK(refusal(chunked(body)) == "400 its chunked body is malformed");
  }
  HttpRequests requests = fed(chunked("zz"));
  REQUIRE(requests.next() == Next::request);
  requests.forward({.authority = "example.org"});
  REQUIRE(requests.next() == Next::bytes);
  CHECK_FALSE(requests.take().empty());
  REQUIRE(requests.next() == Next::refused);
  CHECK(requests.in_body());
}

TEST_CASE("a line that ends in another way is refused as soon as it is there") {
  for (const std::string& in : {"GET / HTTP/1.1\n"s, "GET / HTTP/1.1\r\r\n"s, "GET / HTTP/1.1\r\nHost: a\n\r\n"s,
                                "GET / HTTP/1.1\r\nA: b\rHost: a\r\n\r\n"s, "\n"s}) {
    INFO(base::escape(in));
    CHECK(refusal(in) == "400 one of its lines does not end in CR LF");
  }
  CHECK(refusal("GET /\r\n") == "400 the first line is not METHOD TARGET HTTP/1.1");
  CHECK(refusal("PRI * HTTP/2.0\r\n") == "505 only HTTP/1.0 and HTTP/1.1 are spoken here");
  CHECK(refusal("\r\nGET / HTTP/1.1\r\n") == "400 an empty line stands before the request");
  CHECK(refusal("GET / HTTP/1.1\r\n" + host) == "(taken)");  // the control: it waits for more
}

TEST_CASE("a head has an end") {
  const std::string begin = "GET / HTTP/1.1\r\n" + host + "A: ";
  const std::size_t room = 65'536 - begin.size() - 4;
  CHECK(test::filter(begin + std::string(room, 'a') + "\r\n\r\n", 1000).refusal.empty());
  CHECK(test::filter(begin + std::string(room + 1, 'a') + "\r\n\r\n", 1000).refusal ==
        "431 its head is longer than 64 KiB");
  CHECK(test::filter(begin + std::string(70'000, 'a'), 1000).refusal == "431 its head is longer than 64 KiB");
}

TEST_CASE("what follows the last request goes nowhere") {
  Filtered filtered =
      filter("GET /1 HTTP/1.1\r\n" + host + "Connection: close\r\n\r\nGET /2 HTTP/1.1\r\n" + host + "\r\n");
  CHECK(filtered.requests == 1);
  CHECK(filtered.last == Next::finished);
  CHECK(filtered.out == "GET /1 HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n");
  filtered = filter("GET /1 HTTP/1.0\r\n\r\nGET /2 HTTP/1.0\r\n\r\n");
  CHECK(filtered.requests == 1);
  CHECK(filtered.out == "GET /1 HTTP/1.0\r\nHost: example.org\r\nConnection: close\r\n\r\n");
  filtered = filter("GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /2 HTTP/1.0\r\n\r\n");
  CHECK(filtered.requests == 2);
}

TEST_CASE("a body that waits to be asked for is not held back") {
  HttpRequests requests = fed("PUT / HTTP/1.1\r\n" + host + "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  REQUIRE(requests.next() == Next::request);
  CHECK(requests.request().continues == HttpRequest::Continue::expected);
  requests.forward({.authority = "example.org"});
  REQUIRE(requests.next() == Next::bytes);
  CHECK(requests.take() == "PUT / HTTP/1.1\r\nHost: example.org\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  CHECK(requests.next() == Next::need_bytes);
  CHECK_FALSE(requests.between());
  requests.feed("abc");
  REQUIRE(requests.next() == Next::bytes);
  CHECK(requests.take() == "abc");
  CHECK(requests.next() == Next::need_bytes);
  CHECK(requests.between());
}

TEST_CASE("a big body may pass by this reader, to its last byte") {
  HttpRequests requests = fed("PUT / HTTP/1.1\r\n" + host + "Content-Length: 1000\r\n\r\nabc");
  CHECK(requests.plain() == 0);
  REQUIRE(requests.next() == Next::request);
  requests.forward({.authority = "example.org"});
  CHECK(requests.plain() == 0);  // what is here goes first
  REQUIRE(requests.next() == Next::bytes);
  CHECK(requests.take().ends_with("\r\n\r\nabc"));
  REQUIRE(requests.next() == Next::need_bytes);
  CHECK(requests.plain() == 997);
  requests.spliced(990);
  CHECK(requests.plain() == 7);
  requests.feed("12");
  REQUIRE(requests.next() == Next::bytes);
  CHECK(requests.take() == "12");
  requests.spliced(5);
  CHECK(requests.plain() == 0);
  CHECK(requests.next() == Next::need_bytes);
  CHECK(requests.between());
  requests.feed("GET / HTTP/1.1\r\n" + host + "\r\n");
  CHECK(requests.next() == Next::request);
}

TEST_CASE("a body can be had before the request goes on") {
  const auto collected = [](HttpRequests& requests, std::size_t most) {
    REQUIRE(requests.next() == Next::request);
    requests.collect(most);
    return requests.next();
  };
  HttpRequests requests = fed(chunked("5\r\nhello\r\n6\r\n world\r\n0\r\nX: y\r\n\r\nGET /2 HTTP/1.1\r\n"));
  REQUIRE(collected(requests, 11) == Next::collected);
  CHECK(requests.body() == "hello world");
  requests.forward({.authority = "example.org"});
  REQUIRE(requests.next() == Next::bytes);
  CHECK(requests.take() == "POST / HTTP/1.1\r\nHost: example.org\r\nContent-Length: 11\r\n\r\nhello world");
  CHECK(requests.next() == Next::need_bytes);

  requests = fed(chunked("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"));
  CHECK(collected(requests, 10) == Next::refused);
  CHECK(requests.refusal().status == 413);
  CHECK_FALSE(requests.in_body());
  requests = fed("POST / HTTP/1.1\r\n" + host + "Content-Length: 11\r\n\r\n");
  CHECK(collected(requests, 10) == Next::refused);
  requests = fed("POST / HTTP/1.1\r\n" + host + "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  CHECK(collected(requests, 10) == Next::need_bytes);
  requests.feed("abc");
  CHECK(requests.next() == Next::collected);
  requests.forward({.authority = "example.org"});
  REQUIRE(requests.next() == Next::bytes);
  CHECK(requests.take() == "POST / HTTP/1.1\r\nHost: example.org\r\nContent-Length: 3\r\n\r\nabc");
  requests = fed("GET / HTTP/1.1\r\n" + host + "\r\n");
  CHECK(collected(requests, 0) == Next::collected);
  requests.forward({.authority = "example.org"});
  REQUIRE(requests.next() == Next::bytes);
  CHECK(requests.take() == "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n");
}

TEST_CASE("CONNECT opens a tunnel only when the caller says so") {
  const std::string in = "CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n\x16\x03";
  HttpRequests requests = fed(in);
  REQUIRE(requests.next() == Next::request);
  CHECK(requests.request().target == HttpRequest::Target::authority);
  requests.tunnel();
  REQUIRE(requests.next() == Next::raw);
  CHECK(requests.take() == "\x16\x03");
  requests.feed("more");
  REQUIRE(requests.next() == Next::raw);
  CHECK(requests.take() == "more");
  CHECK(filter(in).refusal == "405 CONNECT is not passed on");
  requests = fed("GET / HTTP/1.1\r\n" + host + "\r\n");
  REQUIRE(requests.next() == Next::request);
  requests.tunnel();
  CHECK(requests.next() == Next::request);
}

namespace {

const std::string websocket = "GET /chat HTTP/1.1\r\n" + host + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

struct Upgrading {
  HttpRequests requests;
  HttpResponses responses;
  explicit Upgrading(const std::string& in) {
    requests.feed(in);
    while (requests.next() == Next::request) {
      responses.expect(requests.request(), requests.request().upgrade.empty() ? HttpResponses::Upgrade::none
                                                                              : HttpResponses::Upgrade::asked);
      requests.forward({.authority = "example.org"});
      REQUIRE(requests.next() == Next::bytes);
      out += requests.take();
    }
  }
  std::string out;
};

}  // namespace

TEST_CASE("after an upgrade everything is raw, and before it nothing is") {
  Upgrading both(websocket + "\x81\x05hello");
  CHECK(both.out == "GET /chat HTTP/1.1\r\nHost: example.org\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  REQUIRE(both.requests.next() == Next::held);
  both.requests.feed("more");
  CHECK(both.requests.next() == Next::held);
  CHECK(both.responses.observe("HTTP/1.1 101 Switching") == HttpResponses::Seen::going_on);
  CHECK(both.responses.observe(" Protocols\r\n\r\n\x82") == HttpResponses::Seen::upgraded);
  both.requests.answered(HttpRequests::Upgraded::yes);
  REQUIRE(both.requests.next() == Next::raw);
  CHECK(both.requests.take() == "\x81\x05hellomore");
  CHECK(both.responses.plain() > 1'000'000'000);
}

TEST_CASE("an upgrade that the server declines leaves a connection of requests") {
  Upgrading both(websocket + "GET /2 HTTP/1.1\r\nHost: evil.example\r\n\r\n");
  REQUIRE(both.requests.next() == Next::held);
  CHECK(both.responses.observe("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi") == HttpResponses::Seen::declined);
  CHECK(both.responses.idle());
  both.requests.answered(HttpRequests::Upgraded::no);
  REQUIRE(both.requests.next() == Next::request);
  CHECK(both.requests.request().authority->host.text == "evil.example");
}

TEST_CASE("an upgrade that the caller drops is not asked for") {
  HttpRequests requests = fed(websocket);
  REQUIRE(requests.next() == Next::request);
  requests.forward({.authority = "example.org", .upgrade = HttpRequests::Passing::Upgrade::drop});
  REQUIRE(requests.next() == Next::bytes);
  CHECK(requests.take() == "GET /chat HTTP/1.1\r\nHost: example.org\r\n\r\n");
  CHECK(requests.next() == Next::need_bytes);
}

TEST_CASE("an upgrade counts only as the answer to the request that asked") {
  // The body of the answer before looks like a 101.
  Upgrading both("GET /1 HTTP/1.1\r\n" + host + "\r\n" + websocket);
  REQUIRE(both.requests.next() == Next::held);
  const std::string fake = "HTTP/1.1 101 Go\r\n\r\n";
  CHECK(both.responses.observe("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(fake.size()) + "\r\n\r\n" +
                               fake) == HttpResponses::Seen::going_on);
  CHECK(both.responses.observe("HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n") ==
        HttpResponses::Seen::going_on);
  CHECK(both.responses.observe(fake) == HttpResponses::Seen::upgraded);

  Upgrading plain("GET /1 HTTP/1.1\r\n" + host + "\r\n");
  CHECK(plain.responses.observe(fake) == HttpResponses::Seen::lost);
  CHECK(plain.responses.observe("anything") == HttpResponses::Seen::lost);
}

TEST_CASE("answers are followed whatever frames them") {
  HttpResponses responses;
  const auto expect = [&](const std::string& method) {
    HttpRequest request;
    request.method = method;
    responses.expect(request, HttpResponses::Upgrade::none);
  };
  expect("HEAD");
  expect("GET");
  expect("GET");
  CHECK_FALSE(responses.idle());
  const std::string bytes =
      "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n"
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nA: b\r\n\r\n"
      "HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n";
  for (const char c : bytes) CHECK(responses.observe({&c, 1}) == HttpResponses::Seen::going_on);
  CHECK(responses.idle());
  expect("GET");
  CHECK(responses.observe("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nab") == HttpResponses::Seen::going_on);
  CHECK(responses.plain() == 998);
  responses.spliced(998);
  CHECK(responses.idle());
  CHECK(responses.observe("HTTP/1.1 408 Too Late\r\n\r\n") == HttpResponses::Seen::lost);
}

namespace {

struct Rewritten {
  HttpResponses responses{HttpResponses::Rewriting{
      .add = {{"X-Ours", "1"}}, .removes = [](const HttpField& field) { return same_word(field.name, "x-bad"); }}};
  void expect(const std::string& method, HttpResponses::Upgrade upgrade = HttpResponses::Upgrade::none) {
    HttpRequest request;
    request.method = method;
    responses.expect(request, upgrade);
  }
  std::string in_pieces(const std::string& bytes) {
    for (const char c : bytes) CHECK(responses.observe({&c, 1}) == HttpResponses::Seen::going_on);
    return responses.take();
  }
};

}  // namespace

TEST_CASE("answers that are written anew hold our fields, not those that are taken out, and the same body") {
  Rewritten both;
  for (const char* method : {"GET", "GET", "HEAD", "GET", "GET"}) both.expect(method);
  CHECK(both.in_pieces("HTTP/1.1 200 Very Well\r\nX-Bad: x\r\nx-BAD: y\r\nA:  b \r\nContent-Length: 2\r\n\r\nhi") ==
        "HTTP/1.1 200 Very Well\r\nA: b\r\nX-Ours: 1\r\nContent-Length: 2\r\n\r\nhi");
  CHECK(both.in_pieces("HTTP/1.1 200 \x01\r\nConnection: close, X-Hop\r\nX-Hop: h\r\nKeep-Alive: 5\r\nTrailer: "
                       "T\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nhi\r\n0\r\nT: t\r\n\r\n") ==
        "HTTP/1.1 200 \r\nX-Ours: 1\r\nTransfer-Encoding: chunked\r\nConnection: "
        "close\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n");
  CHECK(both.in_pieces("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n") ==
        "HTTP/1.1 200 OK\r\nX-Ours: 1\r\nContent-Length: 50\r\n\r\n");
  CHECK(both.in_pieces(
            "HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 100 Go on\r\nX: y\r\n\r\nHTTP/1.1 204 No\r\n\r\n") ==
        "HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 204 No\r\nX-Ours: 1\r\n\r\n");
  CHECK(both.in_pieces("HTTP/1.0 200 OK\r\n\r\nto the end") ==
        "HTTP/1.1 200 OK\r\nX-Ours: 1\r\nConnection: close\r\n\r\nto the end");
}

TEST_CASE("an answer that can't be written anew does not pass") {
  for (const char* text : {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", "hello\r\n\r\n",
                           "HTTP/1.1 200 OK\nA: b\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
                           "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "HTTP/1.1 101 Go\r\n\r\n"}) {
    Rewritten both;
    both.expect("GET");
    CHECK(both.responses.observe(text) == HttpResponses::Seen::lost);
    CHECK(both.responses.take().empty());
    CHECK_FALSE(both.responses.in_body());
    CHECK(both.responses.observe("more") == HttpResponses::Seen::lost);
    CHECK(both.responses.take().empty());
  }
  Rewritten begun;
  begun.expect("GET");
  CHECK(begun.responses.observe("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab") ==
        HttpResponses::Seen::lost);
  CHECK(begun.responses.in_body());
  Rewritten unasked;
  CHECK(unasked.responses.observe("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") == HttpResponses::Seen::lost);
}

TEST_CASE("an upgrade that is answered goes through as it is") {
  Rewritten both;
  both.expect("GET", HttpResponses::Upgrade::asked);
  CHECK(both.responses.observe("HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nS: t\r\n\r\n\x82") ==
        HttpResponses::Seen::upgraded);
  CHECK(both.responses.take() ==
        "HTTP/1.1 101 Go\r\nS: t\r\nX-Ours: 1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x82");
  CHECK(both.responses.observe("any\x01thing") == HttpResponses::Seen::going_on);
  CHECK(both.responses.take() == "any\x01thing");
}

TEST_CASE("a name of ours is taken where the grammar has none like it") {
  const std::string own = "p-x.localhost";
  HttpRequests requests(own);
  requests.feed("GET http://P-X.localhost.:3000/a HTTP/1.1\r\nHost: p-x.LOCALHOST:3000\r\n\r\n");
  REQUIRE(requests.next() == Next::request);
  CHECK(requests.request().authority->host.text == own);
  CHECK(requests.request().authority->port == 3000);
  for (const char* other : {"q.p-x.localhost", "x.localhost", "p-x.localhost..", "p-x.localhost\t\x01"}) {
    HttpRequests refused(own);
    refused.feed(std::string("GET / HTTP/1.1\r\nHost: ") + other + "\r\n\r\n");
    CHECK(refused.next() == Next::refused);
  }
  CHECK_FALSE(canonical_authority("p-x.localhost"));
}

TEST_CASE("a tunnel through an upstream proxy") {
  CHECK(connect_request(*canonical_host("example.org"), 443, "") ==
        "CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n");
  CHECK(connect_request(*canonical_host("::1"), 80, "Basic eDp5") ==
        "CONNECT [::1]:80 HTTP/1.1\r\nHost: [::1]:80\r\nProxy-Authorization: Basic eDp5\r\n\r\n");
  ConnectReply reply;
  CHECK(reply.feed("HTTP/1.1 200 Connection est") == ConnectReply::State::need_more);
  CHECK(reply.feed("ablished\r\nVia: x\r\n\r\nSSH-") == ConnectReply::State::open);
  CHECK(reply.feed("2.0") == ConnectReply::State::open);
  CHECK(reply.rest() == "SSH-2.0");
  for (const std::string bytes :
       {"HTTP/1.1 403 Forbidden\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "SSH-2.0\r\n\r\n", "x\n"}) {
    ConnectReply failed;
    CHECK(failed.feed(bytes) == ConnectReply::State::failed);
  }
  ConnectReply refused;
  refused.feed("HTTP/1.1 407 Who\r\n\r\n");
  CHECK(refused.status() == 407);
}
