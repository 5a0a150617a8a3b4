#include "agentbox/policy/reviewer.hpp"

#include <catch2/catch.hpp>

using namespace agentbox::policy;
using namespace std::chrono_literals;

TEST_CASE("the reviewer's address comes apart") {
  auto parts = [](const char* url) {
    const Reviewer reviewer = reviewer_at(url).value();
    return reviewer.host + "|" + std::to_string(reviewer.port) + "|" + reviewer.path;
  };
  CHECK(parts("http://127.0.0.1:8080/v1") == "127.0.0.1|8080|/v1");
  CHECK(parts("http://localhost") == "localhost|80|");
  CHECK(parts("http://[::1]:11434/api/v1") == "::1|11434|/api/v1");
  CHECK(parts("http://[::1]/v1") == "::1|80|/v1");
  CHECK(parts("https://127.0.0.1:8080/v1") == "127.0.0.1|8080|/v1");
  CHECK(parts("https://models.example.org/v1") == "models.example.org|443|/v1");
  CHECK(reviewer_at("https://[::1]/v1")->scheme == Reviewer::Scheme::https);
  CHECK_FALSE(reviewer_at("ftp://127.0.0.1/v1"));
  CHECK_FALSE(reviewer_at("http://127.0.0.1:x/v1"));
}

TEST_CASE("and goes together again") {
  for (const char* url : {"http://127.0.0.1:8080/v1", "http://localhost", "http://[::1]:11434/api/v1",
                          "https://models.example.org/v1", "https://models.example.org:80/v1", "http://[::1]:443"}) {
    CHECK(url_of(reviewer_at(url).value()) == url);
  }
  CHECK(authority_of(reviewer_at("https://[::1]:8443/v1").value()) == "[::1]:8443");
  CHECK(authority_of(reviewer_at("https://models.example.org:443/v1").value()) == "models.example.org");
}

TEST_CASE("the breaker opens after three failures in a row, and lets one try after a minute") {
  Breaker breaker;
  auto now = Breaker::Clock::time_point() + 1h;
  for (int i = 0; i < 2; ++i) {
    CHECK(breaker.try_at(now));
    breaker.failed(now);
  }
  CHECK(breaker.try_at(now));
  breaker.succeeded();
  for (int i = 0; i < 3; ++i) {
    CHECK(breaker.try_at(now));
    breaker.failed(now);
  }
  CHECK_FALSE(breaker.try_at(now));
  CHECK_FALSE(breaker.try_at(now + 59s));
  CHECK(breaker.try_at(now + 60s));
  // One, while its answer is awaited.
  CHECK_FALSE(breaker.try_at(now + 61s));
  SECTION("it fails once more: another minute") {
    breaker.failed(now + 62s);
    CHECK_FALSE(breaker.try_at(now + 121s));
    CHECK(breaker.try_at(now + 122s));
  }
  SECTION("it succeeds") {
    breaker.succeeded();
    CHECK(breaker.try_at(now + 62s));
    CHECK(breaker.try_at(now + 62s));
  }
  SECTION("its question was over first: the next one tries") {
    breaker.given_up();
    CHECK(breaker.try_at(now + 62s));
  }
}
