// Untrusted text on a page: width, escaping, wrapping.

#include <clocale>
#include <cwchar>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "agentbox/base/escape.hpp"

#include "text.hpp"
#include "width.hpp"

using namespace agentbox::prompt;

namespace {

std::string utf8(char32_t code) {
  std::string out;
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xc0 | code >> 6);
  } else if (code < 0x10000) {
    out += static_cast<char>(0xe0 | code >> 12);
    out += static_cast<char>(0x80 | (code >> 6 & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | code >> 18);
    out += static_cast<char>(0x80 | (code >> 12 & 0x3f));
    out += static_cast<char>(0x80 | (code >> 6 & 0x3f));
  }
  if (code >= 0x80) out += static_cast<char>(0x80 | (code & 0x3f));
  return out;
}

std::vector<std::string> wrapped(std::string_view text, std::size_t columns) {
  std::vector<std::string> rows;
  for (const Piece& piece : wrap(text, columns)) rows.emplace_back(text.substr(piece.begin, piece.end - piece.begin));
  return rows;
}

}  // namespace

TEST_CASE("our table of widths agrees with the C library's") {
  REQUIRE(std::setlocale(LC_CTYPE, "C.UTF-8") != nullptr);
  int compared = 0, different = 0;
  for (char32_t code = 0xa1; code < 0x110000; ++code) {
    if (code >= 0xd800 && code < 0xe000) continue;
    const std::string letter = utf8(code);
    if (agentbox::base::escape(letter) != letter) continue;
    const int known = ::wcwidth(static_cast<wchar_t>(code));
    if (known < 0) continue;  // not assigned there
    ++compared;
    if (known != static_cast<int>(width_of(code))) {
      ++different;
      UNSCOPED_INFO("U+" << std::hex << static_cast<unsigned>(code) << ": " << known << " there");
    }
  }
  CHECK(compared > 100'000);
  CHECK(different < 20);  // versions of Unicode differ
}

TEST_CASE("text that a terminal shows as it is passes") {
  CHECK(shown("git push") == "git push");
  CHECK(shown("Ä 日本 🙂") == "Ä 日本 🙂");
  CHECK(shown("เก่ง") == "เก่ง");  // one mark on a Thai letter
}

TEST_CASE("marks pass only on a letter that carries them, and no more than two") {
  const std::string letter = "\u0e01", mark = "\u0e34";
  CHECK(shown(letter + mark + mark) == letter + mark + mark);
  CHECK(shown(letter + mark + mark + mark) == letter + mark + mark + "\\u{e34}");
  CHECK(shown("a" + mark) == "a\\u{e34}");
  CHECK(shown(mark) == "\\u{e34}");
  CHECK(shown("\u202e" + mark) == "\\u{202e}\\u{e34}");  // nor on the brace of an escape
  std::string flood = letter, expected = letter + mark + mark;
  for (int i = 0; i < 1000; ++i) flood += mark;
  for (int i = 0; i < 998; ++i) expected += "\\u{e34}";
  CHECK((shown(flood) == expected));
}

TEST_CASE("letters from right to left are escaped where they are compared exactly") {
  CHECK(shown("a \u05d0 1") == "a \\u{5d0} 1");
  CHECK(shown("\u0627\u0644") == "\\u{627}\\u{644}");
  CHECK(shown("a \u05d0 1", Form::raw, RightToLeft::kept) == "a \u05d0 1");
}

TEST_CASE("what some terminals join into one picture is escaped") {
  CHECK(shown("\U0001f1e9\U0001f1ea") == "\\u{1f1e9}\\u{1f1ea}");
  CHECK(shown("\U0001f44d\U0001f3fd") == "\U0001f44d\\u{1f3fd}");
}

TEST_CASE("quoted text keeps its backslashes and is escaped all the same") {
  CHECK(shown("$'it\\'s'", Form::quoted) == "$'it\\'s'");
  CHECK(shown("$'it\\'s'") == "$'it\\\\'s'");
  CHECK(shown("\033[2J\\\u202e", Form::quoted) == "\\x1b[2J\\\\u{202e}");
}

TEST_CASE("a long line is wrapped at blanks, which go to the next row") {
  CHECK(wrapped("one two three", 10) == std::vector<std::string>{"one two", " three"});
  CHECK(wrapped("abcdefghijklm", 10) == std::vector<std::string>{"abcdefghij", "klm"});
  CHECK(wrapped("", 10) == std::vector<std::string>{""});
  // Not where it would leave most of a row empty.
  CHECK(wrapped("ab cdefghijklmn", 10) == std::vector<std::string>{"ab cdefghi", "jklmn"});
}

TEST_CASE("wrapped rows tell a blank from none") {
  CHECK(wrapped("abcdefgh ij", 10) == std::vector<std::string>{"abcdefgh", " ij"});
  CHECK(wrapped("abcdefgh  ij", 10) == std::vector<std::string>{"abcdefgh", "  ij"});
  CHECK(wrapped("abcdefghij kl", 10) == std::vector<std::string>{"abcdefghij", " kl"});
  CHECK(wrapped("abcdefghijkl", 10) == std::vector<std::string>{"abcdefghij", "kl"});
  // A row that is not full never ends in blanks.
  for (std::size_t blanks = 0; blanks < 40; ++blanks) {
    for (const char* end : {"x", "\\u{202e}", "\\x1b"}) {
      const auto rows = wrapped("ab" + std::string(blanks, ' ') + end + "yz", 12);
      for (std::size_t i = 0; i + 1 < rows.size(); ++i) {
        INFO(blanks << " blanks before " << end);
        CHECK((rows[i].size() == 12 || !rows[i].ends_with(' ')));
      }
    }
  }
}

TEST_CASE("an escape and a letter with its marks are not torn apart") {
  CHECK(wrapped("abcdefg\\u{202e}x", 12) == std::vector<std::string>{"abcdefg", "\\u{202e}x"});
  CHECK(wrapped("abcdefghijk日", 12) == std::vector<std::string>{"abcdefghijk", "日"});
  CHECK(wrapped("abcdefghijกิx", 11) == std::vector<std::string>{"abcdefghijกิ", "x"});
}

TEST_CASE("text is cut at either end") {
  CHECK(cut_to("abcdef", 6) == "abcdef");
  CHECK(cut_to("abcdef", 4) == "abc…");
  CHECK(cut_to("ab日本", 4) == "ab…");
  CHECK(cut_to("ab", 0).empty());
  CHECK(cut_front_to("abcdef", 4) == "…def");
}
