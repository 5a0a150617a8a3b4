#include "agentbox/prompt/approve_page.hpp"

#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "pages.hpp"

using namespace agentbox::test;
using agentbox::prompt::ApprovePage;
using agentbox::prompt::OpenQuestion;

namespace {

OpenQuestion waiting(const std::string& session, const std::string& id, int seconds_ago) {
  return {session,    id, "pi", "command", "command " + session + " " + id, start - std::chrono::seconds(seconds_ago),
          start + 60s};
}

struct Listed {
  explicit Listed(std::uint16_t rows = 24, std::uint16_t columns = 80) : grid(rows, columns) {
    page.resize(rows, columns);
  }
  void draw() { grid.apply(page.draw(Draw::changes, now)); }
  void set(std::vector<OpenQuestion> questions) {
    page.set_questions(std::move(questions));
    draw();
    now += 300ms;
  }
  std::optional<ApprovePage::Choice> type(std::string_view keys) {
    now += 200ms;
    auto choice = page.type(keys, now);
    draw();
    return choice;
  }
  // What Enter would open.
  std::string selected() {
    const auto choice = type("\r");
    if (!choice || !std::holds_alternative<ApprovePage::Open>(*choice)) return "nothing";
    const auto& open = std::get<ApprovePage::Open>(*choice);
    return open.session + "/" + open.id;
  }

  ApprovePage page;
  Grid grid;
  Clock::time_point now = start;
};

}  // namespace

TEST_CASE("open questions are listed, the newest first, with the time that is left") {
  Listed listed;
  listed.set({waiting("a", "1", 50), waiting("b", "1", 2), waiting("a", "2", 20)});
  CHECK(listed.grid.mistake() == "");
  CHECK(listed.grid.row(0).ends_with("3 waiting"));
  CHECK(listed.grid.row(3).find("command b 1") != std::string::npos);
  CHECK(listed.grid.row(4).find("command a 2") != std::string::npos);
  CHECK(listed.grid.row(5).find("command a 1") != std::string::npos);
  CHECK(listed.grid.row(3).starts_with("> 1:00"));
  CHECK(listed.selected() == "b/1");
}

TEST_CASE("nothing waits: it says so, and Enter does nothing") {
  Listed listed;
  listed.draw();
  CHECK(listed.grid.shows("nothing is waiting"));
  CHECK(listed.selected() == "nothing");
  CHECK(listed.type("q") == ApprovePage::Choice(ApprovePage::Leave{}));
}

TEST_CASE("the selection stays on its question while others come and go") {
  Listed listed;
  listed.set({waiting("a", "1", 50), waiting("a", "2", 20)});
  CHECK_FALSE(listed.type("\033[B"));
  CHECK(listed.selected() == "a/1");
  listed.set({waiting("a", "1", 50), waiting("a", "2", 20), waiting("c", "9", 1)});
  CHECK(listed.selected() == "a/1");
  listed.set({waiting("a", "1", 50)});
  CHECK(listed.selected() == "a/1");
}

TEST_CASE("Enter does not open what has just come under the cursor") {
  Listed listed;
  listed.set({waiting("a", "1", 50), waiting("a", "2", 20)});
  REQUIRE(listed.selected() == "a/2");
  listed.page.set_questions({waiting("a", "1", 50)});
  listed.now += 200ms;
  CHECK_FALSE(listed.page.type("\r", listed.now));  // not even drawn
  listed.draw();
  listed.now += 299ms;
  CHECK_FALSE(listed.page.type("\r", listed.now));
  listed.now += 1ms;
  CHECK(listed.page.type("\r", listed.now).has_value());
}

TEST_CASE("a long list scrolls with the selection") {
  Listed listed(12, 80);
  std::vector<OpenQuestion> many;
  for (int i = 0; i < 40; ++i) many.push_back(waiting("s", std::to_string(i), i));
  listed.set(many);
  for (int i = 0; i < 20; ++i) CHECK_FALSE(listed.type("j"));
  CHECK(listed.grid.shows("command s 20"));
  CHECK(listed.selected() == "s/20");
  CHECK_FALSE(listed.type("\033[F"));
  CHECK(listed.selected() == "s/39");
  CHECK_FALSE(listed.type("\033[H"));
  CHECK(listed.selected() == "s/0");
}

TEST_CASE("the list fits every window, and hostile text is harmless in it") {
  for (const auto& [rows, columns] :
       {std::pair<std::uint16_t, std::uint16_t>(24, 80), {10, 40}, {60, 200}, {6, 20}, {2, 5}, {1, 1}}) {
    Listed listed(rows, columns);
    listed.set({{"\033[2J", "1", "\xff", "\u202e", "\033]0;x\a\n日本語日本語日本語" + std::string(5000, 'x'), start,
                 start + 1h}});
    CHECK_FALSE(listed.type("x"));
    CHECK(listed.grid.mistake() == "");
  }
}
