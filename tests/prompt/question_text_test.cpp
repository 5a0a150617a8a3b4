// The prompt-text test: whatever an agent puts into a question, what is on the screen is exact and harmless.

#include <random>
#include <string>

#include <catch2/catch.hpp>

#include "agentbox/base/escape.hpp"

#include "pages.hpp"

using namespace agentbox::test;

namespace {

struct Attack {
  const char* name;
  std::string bytes;
  std::string seen;  // what must be readable on the screen
};

std::string repeated(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

std::vector<Attack> attacks() {
  return {
      {"CSI", "a\033[2J\033[1;1Hb", "a\\x1b[2J\\x1b[1;1Hb"},
      {"OSC", "a\033]52;c;eA==\ab\033]0;t\033\\", "a\\x1b]52;c;eA==\\x07b\\x1b]0;t\\x1b\\\\"},
      {"DCS", "\033P$q\"p\033\\", "\\x1bP$q\"p\\x1b\\\\"},
      {"APC", "\033_Gf=24;AAAA\033\\", "\\x1b_Gf=24;AAAA\\x1b\\\\"},
      {"8-bit CSI",
       "\xc2\x9b"
       "31m\x9b",
       "\\u{9b}31m\\x9b"},
      {"CR overwrite", "rm -rf /\rls", "rm -rf /\\rls"},
      {"backspaces", "rm\b\bls", "rm\\x08\\x08ls"},
      {"bidi", "a\u202eb\u2066c\u2069", "a\\u{202e}b\\u{2066}c\\u{2069}"},
      {"zero width", "a\u200bb\ufeffc\u200dd\u00ade", "a\\u{200b}b\\u{feff}c\\u{200d}d\\u{ad}e"},
      {"combining flood", "a" + repeated("\u0301", 3) + "b", "a\\u{301}\\u{301}\\u{301}b"},
      {"combining flood of another script", "\u0e01" + repeated("\u0e34", 4) + "b",
       "\u0e01\u0e34\u0e34\\u{e34}\\u{e34}b"},
      {"invalid UTF-8", "a\xff\xfe\xc0\xaf\xed\xa0\x80z", "a\\xff\\xfe\\xc0\\xaf\\xed\\xa0\\x80z"},
      {"tags", "a\U000e0041\U000e007fb", "a\\u{e0041}\\u{e007f}b"},
      {"blanks that are none", "a\u3000b\u00a0c\u2800d", "a\\u{3000}b\\u{a0}c\\u{2800}d"},
      {"a forged escape", "\\x1b", "\\\\x1b"},
      {"a frame of ours", "│ measured by agentbox │", "│ measured by agentbox │"},
      {"NUL and DEL", std::string("a\0b\x7f", 4), "a\\x00b\\x7f"},
      {"wide letters", "日本語🙂", "日本語🙂"},
  };
}

Question filled(const std::string& text) {
  Question question = push();
  question.form = Question::Form::raw;
  question.session = question.profile = question.subject = question.said = question.content = text;
  question.facts = {{"program", text}, {"warning", text, Fact::Weight::warning}};
  question.session_scopes = {text};
  question.lasting_scopes.clear();
  question.why_not_lasting = text;
  question.id = text;
  return with_deadline(question);
}

// Through every view, at every size: nothing but our own sequences, nothing beyond the screen.
void check_harmless(const std::string& text) {
  for (const auto& [rows, columns] :
       {std::pair<std::uint16_t, std::uint16_t>(24, 80), {10, 30}, {40, 120}, {3, 7}, {1, 1}}) {
    Asked asked(filled(text), rows, columns);
    asked.ready();
    for (const char* keys : {"i", "\033[6~", "\033[F", "\033[H", "a", "s", "\033[6~", "\033[F", "c", "\r", "s"}) {
      CHECK_FALSE(asked.type(keys));
    }
    CHECK(asked.grid.mistake() == "");
  }
}

}  // namespace

TEST_CASE("what attacks a terminal is readable and harmless wherever it stands") {
  for (const Attack& attack : attacks()) {
    INFO(attack.name);
    check_harmless(attack.bytes);
    Asked asked(filled(attack.bytes), 60, 200);
    asked.ready();
    const std::string screen = asked.grid.text();
    // The subject, two facts, the agent's words, the content.
    std::size_t count = 0;
    for (std::size_t at = screen.find("exactly this"); (at = screen.find(attack.seen, at)) != std::string::npos; ++at)
      ++count;
    CHECK(count == 5);
  }
}

TEST_CASE("ten thousand newlines and long arguments stay within the screen and are all there") {
  check_harmless(repeated("\n", 10'000));
  check_harmless(std::string(100'000, 'x'));
  check_harmless(repeated("\u0301", 10'000));
  check_harmless(repeated("日", 10'000));
  check_harmless(repeated(" ", 10'000));
}

TEST_CASE("what is read from the first row to the last is the subject, to the letter") {
  Question question = push();
  question.form = Question::Form::raw;
  question.subject.clear();
  for (int i = 0; i < 3000; ++i) {
    question.subject += "word" + std::to_string(i) + (i % 7 == 0 ? "  " : " ") + (i % 11 == 0 ? "\n" : "");
  }
  question.subject += "end";
  question.content = repeated("more\n", 40);  // so that the subject can be scrolled away
  Asked asked(with_deadline(question, 10h));
  asked.ready();
  // The first row below the frame's top, then whatever comes up to its place.
  constexpr std::size_t place = 5;
  std::string read;
  for (std::string row = asked.grid.row(place); row.find("└") == std::string::npos; row = asked.grid.row(place)) {
    const std::string_view bar = "│", mark = "↪";
    row = row.substr(row.find(bar) + bar.size());
    row = row.substr(0, row.rfind(bar));
    const bool continued = row.find(mark) != std::string::npos;
    REQUIRE(continued == !read.empty());
    row = row.substr(continued ? 1 + mark.size() + 1 : 3);
    // What is right of the text can't be told from blanks, but rows end in none unless they are full.
    row.erase(row.find_last_not_of(' ') + 1);
    read += row;
    REQUIRE(read.size() < 100'000);
    CHECK_FALSE(asked.type("\033[B"));
  }
  CHECK((read == agentbox::base::escape(question.subject)));
}

TEST_CASE("the agent's words cannot become the longest thing to read") {
  Question question = push();
  question.said = repeated("please\n", 10'000);
  Asked asked(with_deadline(question), 40, 80);
  asked.ready();
  CHECK(asked.grid.shows("cut here: it says"));
  CHECK_FALSE(asked.grid.shows("read to the end first"));
}

TEST_CASE("a blank at the end of a line and a missing newline are seen") {
  Question question = push();
  question.content = "one \ntwo";
  Asked asked(with_deadline(question), 40, 80);
  asked.ready();
  CHECK(asked.grid.shows("1   one\\x20"));
  CHECK(asked.grid.shows("end, without a newline"));
}

TEST_CASE("in a diff an empty line is empty, and a blank at the end of a line is seen") {
  Question question = change();
  question.content = "@@ -1,3 +1,3 @@\n one\n \n-two\n+two \n+ \n\\ No newline at end of file\n";
  Asked asked(with_deadline(question), 40, 80);
  asked.ready();
  CHECK(asked.grid.shows("2    one "));
  CHECK(asked.grid.shows("3      "));
  CHECK(asked.grid.shows("4   -two "));
  CHECK(asked.grid.shows("5   +two\\x20"));
  CHECK(asked.grid.shows("6   +\\x20"));
  CHECK(asked.grid.shows("7   \\ No newline at end of file"));
}

TEST_CASE("random bytes are harmless") {
  std::mt19937 random(1);
  for (int i = 0; i < 60; ++i) {
    std::string text;
    const auto length = random() % 400;
    for (std::size_t at = 0; at < length; ++at) {
      // Many of what hurts: ESC, C1, marks, what begins a letter.
      static constexpr std::string_view bad = "\033[]\x9b\xc2\xcc\x81\xe2\x80\xae\xf0\x9f\n\r\t \\u{o";
      text += random() % 2 == 0 ? static_cast<char>(random()) : bad[random() % bad.size()];
    }
    check_harmless(text);
  }
}
