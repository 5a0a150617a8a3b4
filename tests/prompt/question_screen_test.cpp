// What is on the screen.

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <catch2/catch.hpp>

#include "pages.hpp"

using namespace agentbox::test;
namespace prompt = agentbox::prompt;

namespace {

// tests/prompt/screens/NAME.txt; AGENTBOX_ACCEPT=1 rewrites it.
void check_screen(const std::string& name, const std::string& text) {
  const std::filesystem::path path = std::filesystem::path(SCREENS_FOLDER) / (name + ".txt");
  if (std::getenv("AGENTBOX_ACCEPT") != nullptr) std::ofstream(path, std::ios::binary) << text;
  std::ifstream file(path, std::ios::binary);
  const std::string expected{std::istreambuf_iterator<char>(file), {}};
  INFO(name);
  CHECK(text == expected);
}

std::string size_name(std::uint16_t rows, std::uint16_t columns) {
  return std::to_string(columns) + "x" + std::to_string(rows);
}

}  // namespace

TEST_CASE("the sample questions look as they should at every size") {
  constexpr std::pair<std::uint16_t, std::uint16_t> sizes[] = {{24, 80},  {20, 60}, {40, 120},
                                                               {60, 200}, {10, 30}, {6, 20}};
  for (const auto& sample : samples) {
    for (const auto& [rows, columns] : sizes) {
      // All of them at the usual size, and one at all sizes.
      if (columns != 80 && sample.name != "letter" && !(sample.name == "hostile" && columns == 60)) continue;
      Asked asked(with_deadline(sample.make()), rows, columns);
      asked.ready();
      CHECK(asked.grid.mistake() == "");
      check_screen(std::string(sample.name) + "-" + size_name(rows, columns), asked.grid.text());
    }
  }
}

TEST_CASE("the quiet period, a choice, the end and the details look as they should") {
  Asked asked(with_deadline(push()));
  asked.draw();
  check_screen("push-quiet", asked.grid.text());
  asked.wait(700ms);
  CHECK_FALSE(asked.type("i"));
  check_screen("push-details", asked.grid.text());
  CHECK_FALSE(asked.type("i"));
  CHECK_FALSE(asked.type("a"));
  asked.wait(300ms);
  check_screen("push-always", asked.grid.text());
  Asked hostile_one(with_deadline(hostile()));
  hostile_one.ready();
  CHECK_FALSE(hostile_one.type("\033[F"));
  check_screen("hostile-end", hostile_one.grid.text());
}

TEST_CASE("a second later only the row with the countdown is drawn") {
  Asked asked(with_deadline(push()));
  asked.ready();
  const auto next = asked.page.next_change(asked.now);
  CHECK(next == start + 1s);
  asked.grid.count_from_now();
  const std::string before = asked.grid.row(0);
  CHECK(before.ends_with("denied in 1:42"));
  asked.now = next;
  asked.draw(Draw::changes);
  CHECK(asked.grid.rows_written() == 1);
  CHECK(asked.grid.row(0).ends_with("denied in 1:41"));
  asked.draw(Draw::changes);
  CHECK(asked.bytes.empty());
}

TEST_CASE("changes lead to the same screen as a whole drawing") {
  Asked asked(with_deadline(letter()));
  asked.ready();
  for (const char* keys : {"\033[B", "\033[6~", "i", "\033[F", "s", "2", "\033[H", "c", "abc", "\r", "k", "x"}) {
    CHECK_FALSE(asked.type(keys));
    asked.wait(60ms);
    Grid whole(24, 80);
    whole.apply(asked.page.draw(Draw::whole, asked.now));
    CHECK(asked.grid.text() == whole.text());
  }
}

TEST_CASE("a question is drawn over another without a trace of it") {
  Asked asked(with_deadline(letter()));
  asked.ready();
  QuestionPage next(with_deadline(push()));
  next.resize(24, 80);
  Grid fresh(24, 80);
  const std::string bytes = next.draw(Draw::whole, asked.now);
  CHECK(asked.grid.apply(bytes).text() == fresh.apply(bytes).text());
  CHECK(bytes.find("\033[2J") == std::string::npos);  // which would flicker
}

TEST_CASE("the countdown of the quiet period moves in tenths of a second") {
  Asked asked(with_deadline(push()));
  asked.draw();
  CHECK(asked.grid.shows("the keys work in a moment"));
  std::string before = asked.grid.row(23);
  for (int i = 1; i <= 7; ++i) {
    CHECK(asked.page.next_change(asked.now) == start + i * 100ms);
    asked.wait(100ms);
    CHECK(asked.grid.row(23) != before);
    before = asked.grid.row(23);
  }
  CHECK_FALSE(asked.grid.shows("the keys work in a moment"));
}

TEST_CASE("a question that fits only without its gaps loses them, and needs no scrolling") {
  Question question = push();
  for (int i = 0; i < 5; ++i) question.facts.push_back({"more", "to know"});
  Asked asked(with_deadline(question));
  asked.ready();
  CHECK(asked.grid.row(1).find("pi wants to run a command") != std::string::npos);
  CHECK_FALSE(asked.grid.shows("read to the end first"));
  Asked larger(with_deadline(question), 40, 80);
  larger.ready();
  CHECK(larger.grid.row(1) == "");
  question.facts.resize(40, {"more", "to know"});
  Asked longer(with_deadline(question));
  longer.ready();
  CHECK(longer.grid.row(1) == "");
  CHECK(longer.grid.shows("read to the end first"));
}

TEST_CASE("a fact goes on without a mark behind one blank, and with one otherwise") {
  Question question = push();
  const std::string head(60, 'a');
  for (const auto& [value, row] :
       {std::pair(head + " bbbbbb", "               bbbbbb"), std::pair(head + "  bbbbbb", "             ↪   bbbbbb"),
        std::pair(head + "bbbbbb", "             ↪ bb")}) {
    question.facts = {{"directory", value}};
    Asked asked(with_deadline(question));
    asked.ready();
    CHECK(asked.grid.row(10) == row);
  }
}

TEST_CASE("without colours there are none") {
  Asked asked(with_deadline(change()));
  asked.page.set_colours(prompt::Colours::none);
  asked.ready();
  asked.draw();
  for (const char* colour : {"31", "32", "33", "34", "35", "36"}) {
    CHECK(asked.bytes.find(std::string(";") + colour) == std::string::npos);
    CHECK(asked.bytes.find(std::string("\033[0;") + colour + "m") == std::string::npos);
  }
  asked.page.set_colours(prompt::Colours::sixteen);
  asked.draw();
  CHECK(asked.bytes.find(";33m") != std::string::npos);
}

TEST_CASE("argument lists that differ look different") {
  Question one = push(), two = push();
  one.subject = "prog 'a b'";
  two.subject = "prog a b";
  Asked left(with_deadline(one)), right(with_deadline(two));
  left.ready();
  right.ready();
  CHECK(left.grid.text() != right.grid.text());
  CHECK(left.grid.shows("prog 'a b'"));
}

TEST_CASE("a hundred kilobytes are wrapped once for each width, and a drawing is quick") {
  Question question = push();
  question.subject = "prog";
  while (question.subject.size() < 100'000) question.subject += " 'an argument of some length'";
  Asked asked(with_deadline(question));
  asked.ready();
  CHECK_FALSE(asked.type("\033[F"));
  const auto begin = Clock::now();
  for (int i = 0; i < 100; ++i) CHECK_FALSE(asked.type(i % 2 == 0 ? "\033[5~" : "\033[6~"));
  const auto time = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin);
  WARN("a drawing took " << time.count() / 100 << " µs");  // not judged: the machine may be busy
  CHECK(asked.grid.mistake().empty());
}
