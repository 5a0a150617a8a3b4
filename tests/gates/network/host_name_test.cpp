#include "network/host_name.hpp"

#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "agentbox/base/escape.hpp"
#include "agentbox/profile/parse.hpp"

using namespace agentbox;
using namespace agentbox::gates::network;
using namespace std::string_literals;

namespace {

struct Refused {
  std::string raw;
  HostFault fault;
};

std::string label(std::size_t size) {
  return std::string(size, 'a');
}
const std::string longest = label(63) + "." + label(63) + "." + label(63) + "." + label(61);

// What no canonical form exists for, however it arrives.
const std::vector<Refused> refused{
    {"", HostFault::empty},
    {"evil.example\0.good.example"s, HostFault::nul},
    {"\0"s, HostFault::nul},
    {"a\r\nHost: b", HostFault::line_break},
    {"a.example\n", HostFault::line_break},
    {"a\tb", HostFault::control},
    {"a\x1b[2J", HostFault::control},
    {"a\x7f", HostFault::control},
    {"%31%32%37.0.0.1", HostFault::percent},
    {"fe80::1%lo", HostFault::percent},
    {"[fe80::1%25eth0]", HostFault::percent},
    {"user@host.example", HostFault::user_info},
    {"good.example@evil.example", HostFault::user_info},
    {"b\xc3\xbc"s
     "cher.example",
     HostFault::not_ascii},
    {"ex\xd0\xb0mple.org", HostFault::not_ascii},
    {"a\xe3\x80\x82"s
     "example",
     HostFault::not_ascii},
    {"\xff", HostFault::not_ascii},
    {"a b", HostFault::byte},
    {" a", HostFault::byte},
    {"a_b.example", HostFault::byte},
    {"*.example", HostFault::byte},
    {"a/b", HostFault::byte},
    {"a\\b", HostFault::byte},
    {"a?b", HostFault::byte},
    {"a#b", HostFault::byte},
    {"a,b", HostFault::byte},
    {".", HostFault::empty_label},
    {"a..", HostFault::empty_label},
    {"a..b", HostFault::empty_label},
    {".a", HostFault::empty_label},
    {label(64), HostFault::long_label},
    {longest + "a", HostFault::too_long},
    {longest + "aa", HostFault::too_long},
    {std::string(100'000, 'a'), HostFault::too_long},
    {"-a.example", HostFault::hyphen},
    {"a-.example", HostFault::hyphen},
    {"0x7f.1", HostFault::odd_address},
    {"0X7F000001", HostFault::odd_address},
    {"2130706433", HostFault::odd_address},
    {"017700000001", HostFault::odd_address},
    {"127.1", HostFault::odd_address},
    {"127.0.0.01", HostFault::odd_address},
    {"127.0.0.1.", HostFault::odd_address},
    {"1.2.3.4.5", HostFault::odd_address},
    {"256.1.1.1", HostFault::odd_address},
    {"example.0x", HostFault::odd_address},
    {"a.localhost", HostFault::below_localhost},
    {"A.LOCALHOST.", HostFault::below_localhost},
    {"[::1", HostFault::brackets},
    {"[]", HostFault::brackets},
    {"[", HostFault::brackets},
    {"[127.0.0.1]", HostFault::brackets},
    {"[example.org]", HostFault::brackets},
    {"[::1]]", HostFault::brackets},
    {"[[::1]]", HostFault::brackets},
    {"0.0.0.0", HostFault::no_host},
    {"[::]", HostFault::no_host},
};

}  // namespace

TEST_CASE("a host has one canonical form") {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"example.org", "example.org"},   {"Example.ORG", "example.org"},
      {"example.org.", "example.org"},  {"EXAMPLE.org.", "example.org"},
      {"localhost", "localhost"},       {"LocalHost.", "localhost"},
      {"printer", "printer"},           {"xn--bcher-kva.example", "xn--bcher-kva.example"},
      {"3com.example", "3com.example"}, {longest, longest},
      {longest + ".", longest},
  };
  for (const auto& [raw, canonical] : cases) {
    INFO(raw);
    const auto host = canonical_host(raw);
    REQUIRE(host);
    CHECK(host->text == canonical);
    CHECK(host->is_name());
    CHECK(canonical_host(host->text) == host);
  }
}

TEST_CASE("an address has one canonical form") {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"127.0.0.1", "127.0.0.1"},
      {"::1", "::1"},
      {"[::1]", "::1"},
      {"2001:DB8:0::0:1", "2001:db8::1"},
      {"::ffff:10.0.0.1", "10.0.0.1"},
      {"[::FFFF:7f00:1]", "127.0.0.1"},
      {"0:0:0:0:0:ffff:a9fe:a9fe", "169.254.169.254"},
  };
  for (const auto& [raw, canonical] : cases) {
    INFO(raw);
    const auto host = canonical_host(raw);
    REQUIRE(host);
    CHECK(host->text == canonical);
    REQUIRE(host->address);
    CHECK(host->address->text() == canonical);
    CHECK(canonical_host(host->text) == host);
  }
}

TEST_CASE("what has no canonical form is refused with its reason") {
  for (const auto& [raw, fault] : refused) {
    INFO(base::escape(raw.substr(0, 300)));
    const auto host = canonical_host(raw);
    REQUIRE_FALSE(host);
    CHECK(text_of(host.error()) == text_of(fault));
    // The same name with a port is no better.
    const auto authority = canonical_authority(raw + ":443");
    REQUIRE_FALSE(authority);
  }
  CHECK(canonical_host("::").error() == HostFault::no_host);
  CHECK(canonical_host("::ffff:0.0.0.0").error() == HostFault::no_host);
}

TEST_CASE("an authority is a host and at most one port") {
  CHECK(canonical_authority("Example.org:443") == Authority{*canonical_host("example.org"), 443});
  CHECK(canonical_authority("example.org") == Authority{*canonical_host("example.org"), std::nullopt});
  CHECK(canonical_authority("example.org.:1") == Authority{*canonical_host("example.org"), 1});
  CHECK(canonical_authority("[2001:db8::1]:65535") == Authority{*canonical_host("2001:db8::1"), 65535});
  CHECK(canonical_authority("[::1]") == Authority{*canonical_host("::1"), std::nullopt});
  CHECK(canonical_authority("127.0.0.1:80") == Authority{*canonical_host("127.0.0.1"), 80});
  const std::vector<Refused> wrong{
      {"a:", HostFault::port},
      {"a:0", HostFault::port},
      {"a:65536", HostFault::port},
      {"a:080", HostFault::port},
      {"a:+80", HostFault::port},
      {"a:-1", HostFault::port},
      {"a: 80", HostFault::port},
      {"a:80 ", HostFault::port},
      {"a:80:81", HostFault::port},
      {"a:0x50", HostFault::port},
      {"a:99999999999", HostFault::port},
      {"2001:db8::1", HostFault::port},
      {":80", HostFault::empty},
      {"[::1]:", HostFault::port},
      {"[::1]80", HostFault::brackets},
      {"[::1]x:80", HostFault::brackets},
      {"a:80\r\n", HostFault::line_break},
      {"a:80@b:90", HostFault::user_info},
      {"a:8\0"s + "0", HostFault::nul},
  };
  for (const auto& [raw, fault] : wrong) {
    INFO(base::escape(raw));
    const auto authority = canonical_authority(raw);
    REQUIRE_FALSE(authority);
    CHECK(text_of(authority.error()) == text_of(fault));
  }
}

TEST_CASE("an authority is written as HTTP wants it") {
  CHECK(http_authority(*canonical_host("example.org"), 80) == "example.org");
  CHECK(http_authority(*canonical_host("example.org"), 8080) == "example.org:8080");
  CHECK(http_authority(*canonical_host("::1"), 80) == "[::1]");
  CHECK(http_authority(*canonical_host("::1"), 443) == "[::1]:443");
  CHECK(http_authority(*canonical_host("127.0.0.1"), 11434) == "127.0.0.1:11434");
}

// A name that the gate took and no rule could be written for, or the reverse, would be two grammars.
TEST_CASE("the profile writes every host as the gate does") {
  std::vector<std::string> names{"Example.ORG.", "a-b.example", "localhost", "LOCALHOST.", "127.0.0.1",
                                 "xn--a.b",      "1a.example",  longest,     "a",          "3.example"};
  for (const auto& one : refused) names.push_back(one.raw);
  for (const std::string& name : names) {
    INFO(base::escape(name.substr(0, 300)));
    // A rule also knows patterns and networks.
    if (name.find_first_of("*/") != std::string::npos) continue;
    const auto rule = profile::parse_host_rule(name, {});
    const auto host = canonical_host(name);
    REQUIRE(rule.has_value() == host.has_value());
    if (rule) CHECK(rule->host == host->text);
  }
}
