#include "network/look_alike.hpp"

#include <array>

#include <catch2/catch.hpp>

#include "network/public_suffix.hpp"

using namespace agentbox::gates::network;

TEST_CASE("a name that passes for a known one is told") {
  const std::array<std::string, 2> known = {"github.com", "model.example"};
  for (const char* name : {"githab.com", "gihtub.com", "githubb.com", "gthub.com", "g1thub.com", "glthub.com",
                           "rnodel.example", "m0del.example"}) {
    CAPTURE(name);
    CHECK(looks_like(name, known).has_value());
  }
  CHECK(looks_like("githab.com", known) == "github.com");
}

TEST_CASE("a known name, what lies below it, and another one altogether are not") {
  const std::array<std::string, 2> known = {"github.com", "a.co"};
  for (const char* name : {"github.com", "api.github.com", "gitlab.com", "example.org", "b.co", "a.cm"}) {
    CAPTURE(name);
    CHECK_FALSE(looks_like(name, known).has_value());
  }
}

TEST_CASE("the domain that one owner has is found by the public suffix list") {
  if (!registrable_domain("example.org")) {
    WARN("no libpsl on this machine");
    return;
  }
  CHECK(registrable_domain("api.shop.example.co.uk") == "example.co.uk");
  CHECK(registrable_domain("example.org") == "example.org");
  CHECK_FALSE(registrable_domain("co.uk").has_value());
  CHECK_FALSE(registrable_domain("github.io").has_value());
}
