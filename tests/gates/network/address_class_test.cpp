#include "network/address_class.hpp"

#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

using namespace agentbox::gates::network;
using enum AddressClass;

namespace {

void check(const std::vector<std::pair<std::string_view, AddressClass>>& cases) {
  for (const auto& [text, kind] : cases) {
    INFO(text);
    const auto address = Address::parse(text);
    REQUIRE(address);
    CHECK(text_of(class_of(*address)) == text_of(kind));
  }
}

}  // namespace

TEST_CASE("every special IPv4 range is known, to its last address") {
  check({
      {"0.0.0.0", unspecified},        {"0.0.0.1", reserved},
      {"0.255.255.255", reserved},     {"1.0.0.0", public_},
      {"9.255.255.255", public_},      {"10.0.0.0", private_},
      {"10.255.255.255", private_},    {"11.0.0.0", public_},
      {"100.63.255.255", public_},     {"100.64.0.0", cgnat},
      {"100.127.255.255", cgnat},      {"100.128.0.0", public_},
      {"126.255.255.255", public_},    {"127.0.0.1", loopback},
      {"127.255.255.255", loopback},   {"128.0.0.0", public_},
      {"169.253.255.255", public_},    {"169.254.0.0", link_local},
      {"169.254.255.255", link_local}, {"169.255.0.0", public_},
      {"172.15.255.255", public_},     {"172.16.0.0", private_},
      {"172.31.255.255", private_},    {"172.32.0.0", public_},
      {"191.255.255.255", public_},    {"192.0.0.0", reserved},
      {"192.0.1.0", public_},          {"192.0.2.255", reserved},
      {"192.88.99.1", reserved},       {"192.167.255.255", public_},
      {"192.168.0.0", private_},       {"192.168.255.255", private_},
      {"192.169.0.0", public_},        {"198.17.255.255", public_},
      {"198.18.0.0", reserved},        {"198.19.255.255", reserved},
      {"198.20.0.0", public_},         {"198.51.100.7", reserved},
      {"203.0.113.255", reserved},     {"203.0.114.0", public_},
      {"223.255.255.255", public_},    {"224.0.0.1", multicast},
      {"239.255.255.255", multicast},  {"240.0.0.0", reserved},
      {"255.255.255.255", reserved},
  });
}

TEST_CASE("a cloud's metadata addresses are known by name") {
  check({
      {"169.254.169.254", metadata},
      {"169.254.170.2", metadata},
      {"169.254.170.23", metadata},
      {"100.100.100.200", metadata},
      {"168.63.129.16", metadata},
      {"192.0.0.192", metadata},
      {"fd00:ec2::254", metadata},
      {"fd00:ec2::23", metadata},
      {"fd20:ce::254", metadata},
      {"169.254.169.253", link_local},
      {"168.63.129.17", public_},
      {"fd00:ec2::253", private_},
  });
}

TEST_CASE("every special IPv6 range is known") {
  check({
      {"::", unspecified},       {"::1", loopback},         {"::2", reserved},
      {"::7f00:1", reserved},    {"100::1", reserved},      {"64:ff9b:1::7f00:1", reserved},
      {"1fff::1", reserved},     {"2000::1", public_},      {"2606:4700::1111", public_},
      {"3fff:fff::1", reserved}, {"3fff:1000::1", public_}, {"3ffe::1", public_},
      {"4000::1", reserved},     {"5f00::1", reserved},     {"2001:db8::1", reserved},
      {"2001:db9::1", public_},  {"2001:1ff::1", reserved}, {"2001:200::1", public_},
      {"2001:10::1", reserved},  {"fc00::1", private_},     {"fdff:ffff::1", private_},
      {"fe00::1", reserved},     {"fe80::1", link_local},   {"febf::1", link_local},
      {"fec0::1", private_},     {"ff02::1", multicast},    {"fbff::1", reserved},
  });
}

TEST_CASE("an IPv4 address within an IPv6 one is what counts") {
  check({
      {"::ffff:127.0.0.1", loopback},
      {"::ffff:8.8.8.8", public_},
      {"64:ff9b::127.0.0.1", loopback},
      {"64:ff9b::a9fe:a9fe", metadata},
      {"64:ff9b::10.0.0.1", private_},
      {"64:ff9b::8.8.8.8", public_},
      {"64:ff9b::1:8.8.8.8", reserved},
      {"2002:7f00:1::1", loopback},
      {"2002:c0a8:101::1", private_},
      {"2002:808:808::1", public_},
      {"2002::1", unspecified},
      {"2001:0:4136:e378:8000:63bf:80ff:fffe", loopback},  // the client's address inverted: 127.0.0.1
      {"2001:0:4136:e378:8000:63bf:f5ff:fffe", private_},
      {"2001:0:4136:e378:8000:63bf:f7f7:f7f7", public_},
  });
}
