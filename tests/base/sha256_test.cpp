#include "agentbox/base/sha256.hpp"

#include <string>

#include <catch2/catch.hpp>

using agentbox::base::Sha256;
using agentbox::base::sha256;

// The vectors are those of FIPS 180-4 and of NIST's CAVP (SHA256ShortMsg.rsp).
TEST_CASE("SHA-256 has the standard's own results") {
  CHECK(sha256("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(sha256(std::string(1'000'000, 'a')) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  CHECK(sha256("\xd3") == "28969cdfa74a12c82f3bad960b0b000aca2ac329deea5c2328ebc6f2ba9802c1");
}

TEST_CASE("a text may come in pieces") {
  const std::string text(1000, 'x');
  for (std::size_t cut : {0U, 1U, 55U, 56U, 63U, 64U, 65U, 128U, 999U, 1000U}) {
    CHECK(Sha256().update(text.substr(0, cut)).update(text.substr(cut)).digest() == sha256(text));
  }
}

TEST_CASE("a copy goes on from where the original stands") {
  Sha256 first;
  first.update("a");
  Sha256 second = first;
  CHECK(second.update("bc").digest() == sha256("abc"));
  CHECK(first.digest() == sha256("a"));
}

TEST_CASE("after its digest it is as new") {
  Sha256 hash;
  CHECK(hash.update("abc").digest() == sha256("abc"));
  CHECK(hash.update("abc").digest() == sha256("abc"));
}

TEST_CASE("a NUL byte counts like any other") {
  CHECK(sha256(std::string_view("a\0b", 3)) != sha256("a"));
  CHECK(sha256(std::string_view("a\0b", 3)) != sha256("ab"));
}
