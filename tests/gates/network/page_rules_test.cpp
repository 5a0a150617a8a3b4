#include "network/page_rules.hpp"

#include <string>

#include <catch2/catch.hpp>

#include "agentbox/gates/network/loopback.hpp"

using namespace agentbox::gates::network;

namespace {

const PageRules rules("p-x.localhost", 3000);

HttpRequest request(const std::string& fields, const std::string& method = "GET",
                    const std::string& host = "p-x.localhost:3000") {
  auto parsed = parse_request_head(method + " /a?b HTTP/1.1\r\nHost: " + host + "\r\n" + fields + "\r\n", rules.name());
  REQUIRE(parsed);
  return *parsed;
}

int status(const HttpRequest& of) {
  const auto problem = rules.problem_of(of);
  return problem ? problem->status : 200;
}

}  // namespace

TEST_CASE("a page is asked for by its own name and port") {
  CHECK(status(request("")) == 200);
  CHECK(status(request("", "POST")) == 200);
  CHECK(status(request("", "GET", "p-x.localhost")) == 421);
  CHECK(status(request("", "GET", "p-x.localhost:3001")) == 421);
  CHECK(status(request("", "GET", "evil.example:3000")) == 421);
  CHECK(status(request("", "POST", "localhost:3000")) == 421);
  CHECK(rules.problem_of(request("", "POST", "localhost:3000"))->text ==
        "this page is at http://p-x.localhost:3000/ only");
}

TEST_CASE("localhost leads to the page, for whoever looks") {
  for (const char* host : {"localhost:3000", "LOCALHOST.:3000", "127.0.0.1:3000", "[::1]:3000"}) {
    CHECK(status(request("", "GET", host)) == 200);
    CHECK(rules.elsewhere(request("", "GET", host)) == "http://p-x.localhost:3000/a?b");
    CHECK(rules.elsewhere(request("", "HEAD", host)) == "http://p-x.localhost:3000/a?b");
    CHECK_FALSE(rules.elsewhere(request("", "POST", host)));
    CHECK_FALSE(rules.elsewhere(request("Upgrade: websocket\r\nConnection: Upgrade\r\n", "GET", host)));
  }
  CHECK_FALSE(rules.elsewhere(request("")));
  CHECK_FALSE(rules.elsewhere(request("", "GET", "localhost:3001")));
  CHECK_FALSE(rules.elsewhere(request("", "GET", "127.0.0.2:3000")));
}

TEST_CASE("what another page asks for is refused, unless it leads the browser here") {
  CHECK(status(request("Origin: http://p-x.localhost:3000\r\n", "POST")) == 200);
  for (const char* origin : {"http://p-x.localhost", "http://p-x.localhost:3001", "https://p-x.localhost:3000", "null",
                             "", "http://localhost:3000", "http://P-X.localhost:3000"}) {
    CHECK(status(request("Origin: " + std::string(origin) + "\r\n")) == 403);
    CHECK(status(request("Origin: http://p-x.localhost:3000\r\nOrigin: " + std::string(origin) + "\r\n")) == 403);
  }
  const std::string visit = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n";
  for (const char* site : {"cross-site", "same-site", "other"}) {
    const std::string from = "Sec-Fetch-Site: " + std::string(site) + "\r\n";
    CHECK(status(request(from)) == 200);  // without a mode: no browser
    CHECK(status(request(from + visit)) == 200);
    CHECK(status(request(from + visit, "POST")) == 403);
    CHECK(status(request(from + "Sec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: script\r\n")) == 403);
    CHECK(status(request(from + "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\n")) == 403);
  }
  CHECK(status(request("Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\n")) == 200);
}

TEST_CASE("a page gets no service worker, which would answer without the gate") {
  const std::string own = "Sec-Fetch-Site: same-origin\r\n";
  CHECK(status(request(own + "Service-Worker: script\r\n")) == 403);
  CHECK(status(request(own + "Sec-Fetch-Mode: same-origin\r\nSec-Fetch-Dest: serviceworker\r\n")) == 403);
  CHECK(status(request(own + "Sec-Fetch-Dest: ServiceWorker\r\n")) == 403);
  CHECK(status(request(own + "Sec-Fetch-Dest: worker\r\n")) == 200);
}

TEST_CASE("the only upgrade of a page is a WebSocket") {
  CHECK(status(request("Upgrade: WebSocket\r\nConnection: Upgrade\r\n")) == 200);
  CHECK(status(request("Upgrade: other\r\nConnection: Upgrade\r\n")) == 400);
}

TEST_CASE("fields that a page's server may not set") {
  for (const char* name : {"Access-Control-Allow-Origin", "access-control-x", "LINK", "Report-To",
                           "Reporting-Endpoints", "NEL", "Referrer-Policy", "Cross-Origin-Opener-Policy",
                           "Cross-Origin-Resource-Policy", "Content-Security-Policy-Report-Only", "Alt-Svc",
                           "SourceMap", "Speculation-Rules", "Attribution-Reporting-Register-Source"}) {
    CHECK(PageRules::removes({name, "x"}));
  }
  CHECK(PageRules::removes({"Content-Security-Policy", "default-src 'self'; REPORT-URI http://evil.example/"}));
  CHECK_FALSE(PageRules::removes({"Content-Security-Policy", "default-src 'none'"}));
  CHECK_FALSE(PageRules::removes({"X-Report", "report-uri"}));
  CHECK_FALSE(PageRules::removes({"Set-Cookie", "a=b"}));
}

TEST_CASE("a session's page has a name that every browser takes for this machine") {
  CHECK(page_name("pi-k3f9x") == "pi-k3f9x.localhost");
  CHECK(page_name("my_agent-k3f9x") == "my-agent-k3f9x.localhost");
  CHECK(page_name("-a--b_-k3f9x-") == "a-b-k3f9x.localhost");
  CHECK(page_name("xn--a-k3f9x") == "xn-a-k3f9x.localhost");
  CHECK(page_name("_") == "room.localhost");
}
