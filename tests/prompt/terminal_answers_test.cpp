#include "agentbox/prompt/terminal_answers.hpp"

#include <string_view>

#include <catch2/catch.hpp>

using agentbox::prompt::Query;
using agentbox::prompt::TerminalAnswers;

namespace {
void type(TerminalAnswers& answers, std::string_view typed) {
  answers.observe(typed);
}
}  // namespace

TEST_CASE("each question is settled by its own answer") {
  struct Case {
    Query query;
    std::string_view answer;
  };
  const Case cases[] = {
      {Query::attributes, "\033[?62;4;22c"},
      {Query::more_attributes, "\033[>41;388;0c"},
      {Query::status, "\033[0n"},
      {Query::cursor, "\033[12;34R"},
      {Query::extended_cursor, "\033[?1;2R"},
      {Query::colour_scheme, "\033[?997;1n"},
      {Query::mode, "\033[?2026;2$y"},
      {Query::keyboard, "\033[?0u"},
      {Query::modified_keys, "\033[>4;2m"},
      {Query::size, "\033[6;18;9t"},
      {Query::colour, "\033]11;rgb:0000/0000/0000\033\\"},
      {Query::colour, "\033]4;1;rgb:ff/00/00\a"},
  };
  for (const auto& one : cases) {
    for (const auto& other : cases) {
      TerminalAnswers answers;
      REQUIRE(answers.ask(one.query));
      type(answers, other.answer);
      CHECK(answers.outstanding() == (one.query == other.query ? 0 : 1));
    }
  }
}

TEST_CASE("keys are no answers") {
  TerminalAnswers answers;
  REQUIRE(answers.ask(Query::attributes));
  type(answers, "hello\r\033[A\033OP\033[1;5C\033[<0;1;1M\033\033[200~c\033[201~");
  CHECK(answers.outstanding() == 1);
}

TEST_CASE("an answer may come in pieces and after a cut-off string") {
  TerminalAnswers answers;
  REQUIRE(answers.ask(Query::attributes));
  type(answers, "\033]");  // Alt-]
  type(answers, "x\033");
  type(answers, "[?6");
  type(answers, "2c");
  CHECK(answers.outstanding() == 0);
}

TEST_CASE("a question that the terminal does not know is settled by the next that it does") {
  TerminalAnswers answers;
  REQUIRE(answers.ask(Query::keyboard));
  REQUIRE(answers.ask(Query::attributes));
  REQUIRE(answers.ask(Query::cursor));
  type(answers, "\033[?62c");
  CHECK(answers.outstanding() == 1);
  type(answers, "\033[1;1R");
  CHECK(answers.outstanding() == 0);
}

TEST_CASE("a report that comes unasked settles nothing before it") {
  TerminalAnswers answers;
  REQUIRE(answers.ask(Query::attributes));
  REQUIRE(answers.ask(Query::colour_scheme));
  type(answers, "\033[?997;1n");
  CHECK(answers.outstanding() == 1);
}

TEST_CASE("the fence stands behind all that was asked") {
  TerminalAnswers answers;
  REQUIRE(answers.ask(Query::attributes));
  REQUIRE(answers.ask(Query::mode));
  CHECK(answers.fence() == "\033[c");
  type(answers, "\033[?62c");
  CHECK(answers.outstanding() == 2);
  type(answers, "\033[?62c");
  CHECK(answers.outstanding() == 0);
}
