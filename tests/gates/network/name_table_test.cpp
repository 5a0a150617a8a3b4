#include "network/name_table.hpp"

#include <set>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

using namespace agentbox::gates::network;
using std::chrono::seconds;

namespace {

constexpr NameTable::Prefix prefix{0xfd, 0x12, 0x34, 0x56, 0x78, 0x9a};
NameTable::Time at(int second) {
  return NameTable::Time{} + seconds(second);
}
Address address(std::string_view text) {
  const auto parsed = Address::parse(text);
  REQUIRE(parsed);
  return *parsed;
}
std::string numbered(int number) {
  return "n" + std::to_string(number) + ".example";
}

}  // namespace

TEST_CASE("an address has one form") {
  CHECK(address("192.0.2.1").text() == "192.0.2.1");
  CHECK(address("::ffff:192.0.2.1") == address("192.0.2.1"));
  CHECK(address("::FFFF:C000:201") == address("192.0.2.1"));
  CHECK(address("2001:DB8:0:0::1").text() == "2001:db8::1");
  CHECK(address("::192.0.2.1").family() == Address::Family::v6);
  for (const std::string_view text :
       {"", "1", "127.1", "0x7f.0.0.1", "2130706433", "010.0.0.1", "1.2.3.4 ", " 1.2.3.4", "1.2.3.4.", "1.2.3.256",
        "[::1]", "fe80::1%lo", "::1/128", ":::", "1:2:3:4:5:6:7:8:9", "::ffff:127.1"}) {
    INFO(text);
    CHECK_FALSE(Address::parse(text));
  }
  CHECK_FALSE(Address::parse(std::string_view("1.2.3.4\0", 8)));
  CHECK_FALSE(Address::parse(std::string_view("1.2.3.4\0.5", 10)));
}

TEST_CASE("a name keeps its two addresses, and they lead back to it") {
  NameTable table(prefix);
  const auto first = table.give("one.example", at(0));
  REQUIRE(first);
  CHECK(first->four.text() == "198.18.0.16");
  CHECK(first->six.text() == "fd12:3456:789a::c612:10");
  const auto second = table.give("two.example", at(0));
  REQUIRE(second);
  CHECK(second->four.text() == "198.18.0.17");
  CHECK(table.give("one.example", at(900)) == first);
  CHECK(table.name_of(first->four) == "one.example");
  CHECK(table.name_of(first->six) == "one.example");
  CHECK(table.name_of(second->six) == "two.example");
  CHECK(table.size() == 2);
}

TEST_CASE("an address that was not given out has no name") {
  NameTable table(prefix);
  const auto given = table.give("one.example", at(0));
  REQUIRE(given);
  for (const std::string_view text :
       {"198.18.0.17", "198.18.0.0", "198.18.0.15", "198.19.255.255", "198.20.0.16", "198.17.255.255", "8.8.8.8",
        "0.0.0.16", "fd12:3456:789a::c612:11", "fd12:3456:789a::1:c612:10", "fd12:3456:789b::c612:10",
        "fd12:3456:789a::10", "::c612:10"}) {
    INFO(text);
    CHECK_FALSE(table.name_of(address(text)));
    CHECK_FALSE(table.arrive(address(text), at(0)));
  }
}

TEST_CASE("agentbox's own addresses are in the range and given to no name") {
  NameTable table(prefix);
  CHECK(table.own(0).four.text() == "198.18.0.0");
  CHECK(table.own(15).four.text() == "198.18.0.15");
  CHECK(table.own(15).six.text() == "fd12:3456:789a::c612:f");
  CHECK(table.in_range(table.own(3).four));
  CHECK(table.in_range(table.own(3).six));
  CHECK(table.in_range(address("198.19.255.255")));
  CHECK_FALSE(table.in_range(address("198.20.0.0")));
  CHECK_FALSE(table.in_range(address("198.17.255.255")));
  CHECK_FALSE(table.in_range(address("fd12:3456:789b::1")));
}

TEST_CASE("a full table forgets the name that was used longest ago") {
  NameTable table(prefix, {.names = 3, .life = seconds(60)});
  const auto a = table.give("a.example", at(0));
  const auto b = table.give("b.example", at(1));
  REQUIRE(table.give("c.example", at(2)));
  REQUIRE(a);
  REQUIRE(b);
  CHECK(table.give("a.example", at(10)) == a);  // so b is the oldest now
  const auto d = table.give("d.example", at(61));
  REQUIRE(d);
  CHECK(table.size() == 3);
  CHECK_FALSE(table.name_of(b->four));
  CHECK_FALSE(table.name_of(b->six));
  CHECK(table.name_of(a->four) == "a.example");
  CHECK(d->four != b->four);
  CHECK(table.give("b.example", at(200)) != b);
}

TEST_CASE("a name whose answer may still be believed makes no room") {
  NameTable table(prefix, {.names = 1, .life = seconds(60)});
  const auto a = table.give("a.example", at(0));
  REQUIRE(a);
  CHECK_FALSE(table.give("b.example", at(59)));
  CHECK(table.name_of(a->four) == "a.example");
  CHECK(table.give("a.example", at(59)) == a);
  CHECK_FALSE(table.give("b.example", at(118)));
  CHECK(table.give("b.example", at(119)));
}

TEST_CASE("a name that a connection holds makes no room") {
  NameTable table(prefix, {.names = 2, .life = seconds(60)});
  const auto a = table.give("a.example", at(0));
  REQUIRE(a);
  REQUIRE(table.give("b.example", at(0)));
  {
    auto one = table.arrive(a->four, at(1));
    auto two = table.arrive(a->six, at(2));
    REQUIRE(one);
    REQUIRE(two);
    CHECK(one->name() == "a.example");
    CHECK(table.give("c.example", at(1000)));
    CHECK_FALSE(table.give("d.example", at(1001)));  // c is fresh, a is held
    one.reset();
    CHECK(table.give("d.example", at(2000)));  // instead of c
    CHECK_FALSE(table.give("e.example", at(2000)));
    NameTable::Pin moved = std::move(*two);
    two.reset();
    CHECK(moved.name() == "a.example");
    CHECK_FALSE(table.give("e.example", at(2000)));
    CHECK(table.name_of(a->four) == "a.example");
  }
  // The end of a connection is a use too: the next to go is d.
  CHECK(table.give("e.example", at(3000)));
  CHECK(table.name_of(a->four) == "a.example");
  CHECK(table.give("f.example", at(4000)));
  CHECK_FALSE(table.name_of(a->four));
}

TEST_CASE("IPv4 addresses come back late, IPv6 addresses never") {
  NameTable table(prefix, {.names = 16, .life = seconds(0)});
  const auto held = table.give("held.example", at(0));
  REQUIRE(held);
  const auto pin = table.arrive(held->four, at(0));
  std::set<std::string> fours, sixes;
  const int in_range = (1 << 17) - 17;
  for (int i = 0; i < in_range - 1; ++i) {
    const auto given = table.give(numbered(i), at(i));
    if (!given) FAIL("no address for name " << i);
    fours.insert(given->four.text());
    sixes.insert(given->six.text());
  }
  CHECK(fours.size() == static_cast<std::size_t>(in_range - 1));
  CHECK_FALSE(fours.contains(held->four.text()));
  const auto again = table.give("again.example", at(in_range));
  REQUIRE(again);
  CHECK(again->four.text() == "198.18.0.17");  // .16 is held
  CHECK_FALSE(sixes.contains(again->six.text()));
  CHECK(again->six.text() == "fd12:3456:789a::1:c612:11");
  CHECK_FALSE(table.name_of(address("fd12:3456:789a::c612:11")));
  CHECK(table.name_of(again->four) == "again.example");
}
