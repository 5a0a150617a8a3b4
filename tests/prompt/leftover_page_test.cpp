#include "agentbox/prompt/leftover_page.hpp"

#include <string>

#include <catch2/catch.hpp>

#include "pages.hpp"

using namespace agentbox::test;
using agentbox::prompt::Fact;
using agentbox::prompt::Leftover;
using agentbox::prompt::LeftoverPage;
using Choice = LeftoverPage::Choice;

namespace {

Leftover held(std::size_t lines = 3) {
  Leftover leftover{.session = "pi-3fa2", .profile = "pi", .path = "/home/ada/work/AGENTS.md", .number = 1, .of = 3};
  leftover.facts = {{"outside", "the next agent takes it for its orders", Fact::Weight::warning}};
  leftover.content = "@@ -1,2 +1,3 @@\n rule\n";
  for (std::size_t i = 0; i < lines; ++i) leftover.content += "+line " + std::to_string(i) + "\n";
  leftover.deadline = start + 102s;
  return leftover;
}

struct Left {
  explicit Left(Leftover leftover, std::uint16_t rows = 24, std::uint16_t columns = 80)
      : page(std::move(leftover)), grid(rows, columns) {
    page.resize(rows, columns);
  }
  void draw() { grid.apply(page.draw(Draw::changes, now)); }
  Left& ready() {
    draw();
    now += 700ms;
    draw();
    return *this;
  }
  std::optional<Choice> type(std::string_view keys) {
    now += 200ms;
    auto choice = page.type(keys, now);
    if (!choice) draw();
    return choice;
  }

  LeftoverPage page;
  Grid grid;
  Clock::time_point now = start;
};

}  // namespace

TEST_CASE("a leftover says what it is, what changed, and what becomes of it without an answer") {
  Left left(held());
  left.ready();
  CHECK(left.grid.mistake() == "");
  CHECK(left.grid.shows("pi changed a file that is kept only with your yes"));
  CHECK(left.grid.shows("/home/ada/work/AGENTS.md"));
  CHECK(left.grid.shows("! outside     the next agent takes it for its orders"));
  CHECK(left.grid.shows("what the run changed, 5 lines"));
  CHECK(left.grid.shows("+line 2"));
  CHECK(left.grid.shows(" o  keep what the run made of it"));
  CHECK(left.grid.shows(" d  restore what was there"));
  CHECK(left.grid.shows(" D  the same for all the rest"));
  CHECK(left.grid.row(0).find("pi-3fa2 · profile pi · 1 of 3") != std::string::npos);
  CHECK(left.grid.row(0).ends_with("restored in 1:42"));
  Leftover made = held();
  made.was = Leftover::Was::missing;
  Left fresh(made);
  fresh.ready();
  CHECK(fresh.grid.shows(" d  take it away (quarantine)"));
  CHECK(fresh.grid.row(0).ends_with("taken away in 1:42"));
  Leftover taken = held();
  taken.kind = Leftover::Kind::quarantined;
  taken.number = 3;
  Left away(taken);
  away.ready();
  CHECK(away.grid.shows("pi made what programs outside would run or obey"));
  CHECK(away.grid.shows(" o  put it back in its place"));
  CHECK(away.grid.shows(" d  leave it in the quarantine"));
  CHECK_FALSE(away.grid.shows("the rest"));
  CHECK(away.grid.row(0).ends_with("stays away in 1:42"));
}

TEST_CASE("o keeps, d restores, D and Ctrl-C restore the rest; nothing else does, and none before its time") {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string key(1, static_cast<char>(byte));
    INFO("byte " << byte);
    Left early(held());
    CHECK_FALSE(early.type(key));  // and draws
    CHECK_FALSE(early.type(key));
    Left left(held());
    const auto choice = left.ready().type(key);
    if (key == "o") {
      CHECK(choice == Choice::keep);
    } else if (key == "d") {
      CHECK(choice == Choice::restore);
    } else if (key == "D" || key == "\003") {
      CHECK(choice == Choice::restore_rest);
    } else {
      CHECK_FALSE(choice);
    }
    Left late(held());
    late.ready();
    late.now = start + 103s;
    CHECK_FALSE(late.type(key));
  }
  for (const char* keys : {"oo", "o\n", "do", "\033[200~o\033[201~", "\033o"}) {
    Left left(held());
    CHECK_FALSE(left.ready().type(keys));
  }
}

TEST_CASE("nothing is kept before its end was on the screen") {
  Left left(held(100));
  left.ready();
  CHECK(left.grid.shows("read to the end first"));
  CHECK_FALSE(left.type("o"));
  CHECK_FALSE(left.type("\033[6~"));
  CHECK_FALSE(left.type("o"));
  CHECK_FALSE(left.type("\033[F"));
  CHECK(left.grid.shows("+line 99"));
  CHECK(left.type("o") == Choice::keep);
  // To restore needs no reading.
  CHECK(Left(held(100)).ready().type("d") == Choice::restore);
}

TEST_CASE("a leftover fits every window, and hostile text is harmless in it") {
  for (const auto& [rows, columns] :
       {std::pair<std::uint16_t, std::uint16_t>(24, 80), {10, 30}, {60, 200}, {9, 80}, {3, 9}, {1, 1}}) {
    for (auto kind : {Leftover::Kind::held, Leftover::Kind::quarantined}) {
      Leftover hostile = held();
      hostile.kind = kind;
      hostile.profile = hostile.session = hostile.path = "\033[2J\u202e\xff\n";
      hostile.facts = {{"outside", "\033]0;x\a\n\n\n"}};
      hostile.content = "@@ -1 +1 @@\n-\033[31m\n+\u202e\r\x9b" + std::string(5000, 'x') + "\n";
      Left left(hostile, rows, columns);
      left.ready();
      CHECK(left.grid.mistake() == "");
      // A window that shows nothing keeps nothing.
      if (rows < 10 || columns < 30) CHECK_FALSE(left.type("o"));
      Left other(hostile, rows, columns);
      CHECK(other.ready().type("d") == Choice::restore);
    }
  }
}
