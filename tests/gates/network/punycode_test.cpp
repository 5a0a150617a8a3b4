#include "network/punycode.hpp"

#include <catch2/catch.hpp>

using agentbox::gates::network::decoded_host;

TEST_CASE("names in other letters read as they are meant") {
  CHECK(decoded_host("xn--bcher-kva.example") == "b\u00fccher.example");
  CHECK(decoded_host("www.xn--maana-pta.es") == "www.ma\u00f1ana.es");
  CHECK(decoded_host("xn--80ak6aa92e.com") == "\u0430\u0440\u0440\u04cf\u0435.com");
  CHECK(decoded_host("xn--fiqs8s") == "\u4e2d\u56fd");
  CHECK(decoded_host("xn--ls8h.la") == "\U0001f4a9.la");
}

TEST_CASE("plain names, and what no encoder writes, read as nothing") {
  for (const char* host : {"example.org", "", "a..b", "xn--", "xn--.example", "xn--a-", "xn--99999999999999999999.x",
                           "xn--zzzzzzzzzzzzzzz", "xn--\xff", "xn--BCHER-KVA"}) {
    CHECK(decoded_host(host) == std::nullopt);
  }
  CHECK(decoded_host("xn--" + std::string(60, 'a')) == std::nullopt);
}
