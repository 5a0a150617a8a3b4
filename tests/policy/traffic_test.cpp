// What connections take from: which limits hold for which of them, and what is asked when one is used up.

#include "agentbox/policy/traffic.hpp"

#include <catch2/catch.hpp>

using namespace agentbox;
using namespace agentbox::policy;

namespace {

enum class Of { hosts, all };

Rules rules_with(Of what) {
  profile::Profile profile;
  if (what == Of::all) {
    profile.network.bytes_out = {profile::Budget{.text = "50MB/session", .amount = 50 * 1024 * 1024, .unit = "B"},
                                 {.file = "p.toml", .at = {1, 1}, .source_line = {}}};
  }
  return rules_of(profile);
}

}  // namespace

TEST_CASE("what goes out takes from the host's limit, which there always is, and from that of all") {
  const Rules plain = rules_with(Of::hosts);
  const std::vector<Limit> one = byte_limits(plain, {"www.example.org", 443}, "example.org");
  REQUIRE(one.size() == 1);
  CHECK(one[0].name == "network.bytes_out_per_host");
  CHECK(one[0].subject == "example.org");
  CHECK(one[0].budget.amount == 100 * 1024 * 1024);
  CHECK(one[0].origin.file.empty());
  const std::vector<Limit> two = byte_limits(rules_with(Of::all), {"www.example.org", 443}, "example.org");
  REQUIRE(two.size() == 2);
  CHECK(two[1].name == "network.bytes_out");
  CHECK(two[1].subject.empty());
  const std::vector<Limit> pace = pace_limits(plain, {"www.example.org", 443});
  REQUIRE(pace.size() == 1);
  CHECK(pace[0].subject == "www.example.org");
  CHECK(pace[0].counts == Limit::Counts::times);
  CHECK(pace[0].budget.amount == 600);
}

TEST_CASE("what stays on this machine takes from none") {
  const Rules rules = rules_with(Of::all);
  for (const char* host : {"localhost", "127.0.0.1", "127.8.0.1", "::1"}) {
    CHECK(byte_limits(rules, {host, 8080}, host).empty());
    CHECK(pace_limits(rules, {host, 8080}).empty());
  }
  CHECK(byte_limits(rules, {"192.168.0.1", 8080}, "192.168.0.1").size() == 2);
}

TEST_CASE("beyond a limit is asked, for the session at most, whatever was used meanwhile") {
  Limit limit = byte_limits(rules_with(Of::all), {"a.example", 443}, "a.example").back();
  const Excess now = excess_of({.limit = limit, .used = 60 * 1024 * 1024, .opens = {}});
  Excess later = now;
  later.used += 1;
  CHECK(now.portion == 50 * 1024 * 1024);
  CHECK(rule(rules_with(Of::all), now).decision == Decision::ask);
  REQUIRE(session_scopes(now).size() == 1);
  CHECK(lasting_scopes(now).empty());
  CHECK(covers(session_scopes(now)[0], later));
  later.subject = "b.example";
  CHECK_FALSE(covers(session_scopes(now)[0], later));
  // A limit of nothing is asked for too, and a yes lets something through.
  limit.budget.amount = 0;
  CHECK(excess_of({.limit = limit, .opens = {}}).portion > 0);
}

TEST_CASE("bytes are told in the scale of their limit") {
  Limit limit = byte_limits(rules_with(Of::all), {"a.example", 443}, "a.example").back();
  CHECK(in_words({.limit = limit, .used = 12 * 1024 * 1024 + 900 * 1024, .opens = {}}) ==
        "12.8 of 50 MB used in this session, 37.1 left");
  CHECK(in_words({.limit = limit, .used = 50 * 1024 * 1024, .opens = {}}) ==
        "50 of 50 MB used in this session, none left");
  limit.budget.amount = std::int64_t{3} << 30;
  CHECK(in_words({.limit = limit, .used = 1 << 20, .opens = {}}) == "0 of 3 GB used in this session, 2.9 left");
}
