// Upstreams as a profile names them, and the logins that keep the streams to different hosts apart.

#include "network/upstream.hpp"

#include <set>
#include <string>

#include <catch2/catch.hpp>

using namespace agentbox::gates::network;

TEST_CASE("an upstream is what the profile's grammar lets through") {
  const auto tor = Upstream::parse("socks5h://127.0.0.1:9050");
  REQUIRE(tor);
  CHECK(tor->speaks == Upstream::Speaks::socks);
  CHECK(tor->host.text == "127.0.0.1");
  CHECK(tor->host.address);
  CHECK(tor->port == 9050);
  const auto proxy = Upstream::parse("http://proxy.example.org:3128");
  REQUIRE(proxy);
  CHECK(proxy->speaks == Upstream::Speaks::http);
  CHECK(proxy->host.is_name());
  CHECK(Upstream::parse("socks5h://[fd00::1]:1080")->host.text == "fd00::1");
  CHECK(Upstream::parse("socks5h://localhost:9050")->host.text == "localhost");
  for (const char* text :
       {"", "127.0.0.1:9050", "socks5://127.0.0.1:9050", "https://a:1", "socks5h://a", "http://a:0", "http://:1"}) {
    CAPTURE(text);
    CHECK(!Upstream::parse(text));
  }
}

TEST_CASE("a login is one host's in one session, and tells of neither") {
  const Host one{.text = "one.example", .address = {}}, two{.text = "two.example", .address = {}};
  const SocksLogin login = isolating_login("secret", one);
  CHECK(login.user == isolating_login("secret", one).user);
  CHECK(login.password == isolating_login("secret", one).password);
  std::set<std::string> all;
  for (const auto& [secret, host] : {std::pair("secret", one), std::pair("secret", two), std::pair("other", one)}) {
    const SocksLogin each = isolating_login(secret, host);
    CHECK(each.user.size() == 32);
    CHECK(each.password.size() == 32);
    all.insert(each.user);
    all.insert(each.password);
  }
  CHECK(all.size() == 6);
}
