#include "agentbox/base/escape.hpp"

#include <string>
#include <vector>

#include <catch2/catch.hpp>

using agentbox::base::escape;
using agentbox::base::quote;

TEST_CASE("printable text passes as it is") {
  CHECK(escape("src/main.cpp") == "src/main.cpp");
  CHECK(escape("Ä 日本 🙂") == "Ä 日本 🙂");
}

TEST_CASE("what a terminal would act upon is shown as text") {
  CHECK(escape("a\033[2Jb") == "a\\x1b[2Jb");
  CHECK(escape("a\nb\r\t") == "a\\nb\\r\\t");
  CHECK(escape("\x7f") == "\\x7f");
  CHECK(escape("\xc2\x9b"
               "31m") == "\\u{9b}31m");
  CHECK(escape(std::string_view("\0", 1)) == "\\x00");
}

TEST_CASE("what hides, reorders or piles up is shown by its number") {
  CHECK(escape("user\u202egpj.exe") == "user\\u{202e}gpj.exe");
  CHECK(escape("a\u200bb") == "a\\u{200b}b");
  CHECK(escape("e\u0301") == "e\\u{301}");
  CHECK(escape("\ufeff\u2066\u00ad") == "\\u{feff}\\u{2066}\\u{ad}");
  CHECK(escape("\U000e0041") == "\\u{e0041}");
}

TEST_CASE("bytes that are not UTF-8 are shown one by one") {
  CHECK(escape("\xff") == "\\xff");
  CHECK(escape("\xc0\xaf") == "\\xc0\\xaf");
  CHECK(escape("\xed\xa0\x80") == "\\xed\\xa0\\x80");
  CHECK(escape("\xe2\x82") == "\\xe2\\x82");
}

TEST_CASE("an escape cannot be forged") {
  CHECK(escape("\\x1b") == "\\\\x1b");
}

TEST_CASE("argument lists that differ look different") {
  std::vector<std::string> one = {"a b"}, two = {"a", "b"};
  CHECK(quote(one) == "'a b'");
  CHECK(quote(two) == "a b");
  CHECK(quote("") == "''");
  CHECK(quote("it's") == "$'it\\'s'");
  CHECK(quote("a\nb") == "$'a\\nb'");
  CHECK(quote("$(x)") == "'$(x)'");
  CHECK(quote("--x=y") == "--x=y");
}
