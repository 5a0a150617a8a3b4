#include "refusals.hpp"

#include <catch2/catch.hpp>

#include "support.hpp"

using namespace agentbox;
using namespace agentbox::broker;
using namespace agentbox::broker::test;
using namespace std::chrono_literals;
using Kind = Verdict::Kind;
using By = Verdict::By;
using Share = Refusals::Share;
using When = Refusals::When;

namespace {

const policy::Action command = policy::Command{.argv = {"sudo", "id"}};
const policy::Action connection = policy::Connect{.host = "example.org", .port = 443};
const Verdict by_rule{.kind = Kind::deny, .by = By::rule, .question = "7"};
const Verdict given_up{.kind = Kind::cancelled, .by = By::requester, .question = "8"};

std::size_t rows_with(const std::vector<store::Event>& rows, std::string_view words) {
  return static_cast<std::size_t>(std::ranges::count_if(
      rows, [&](const store::Event& row) { return row.detail.find(words) != std::string::npos; }));
}

}  // namespace

TEST_CASE("three hundred refusals a minute have rows of their own, of the others there is the number") {
  Refusals refusals;
  const auto begin = Refusals::Clock::now();
  for (int i = 0; i < 300; ++i) REQUIRE(refusals.is_recorded(command, by_rule, begin));
  CHECK_FALSE(refusals.due());
  CHECK_FALSE(refusals.is_recorded(command, by_rule, begin + 59s));
  CHECK_FALSE(refusals.is_recorded(command, by_rule, begin + 59s));
  REQUIRE(refusals.due());
  CHECK(*refusals.due() == begin + 1min);
  CHECK(refusals.tell(When::due, begin + 59s).empty());
  const auto told = refusals.tell(When::due, begin + 1min);
  REQUIRE(told.size() == 1);
  CHECK(told[0].what == "2 more commands were refused within a minute");
  CHECK(told[0].verdict.question == "7");
  CHECK(refusals.tell(When::at_once, begin + 1min).empty());
  CHECK(refusals.is_recorded(command, by_rule, begin + 1min));
}

TEST_CASE("a minute that begins again before it was told of is not lost") {
  Refusals refusals;
  const auto begin = Refusals::Clock::now();
  for (int i = 0; i < 301; ++i) (void)refusals.is_recorded(command, by_rule, begin);
  CHECK(refusals.is_recorded(command, by_rule, begin + 2min));
  CHECK(refusals.due());
  const auto told = refusals.tell(When::due, begin + 2min);
  REQUIRE(told.size() == 1);
  CHECK(told[0].what == "1 more commands were refused within a minute");
}

TEST_CASE("no kind, and no rule's refusals, use up the share of others") {
  Refusals refusals;
  const auto now = Refusals::Clock::now();
  for (int i = 0; i < 500; ++i) (void)refusals.is_recorded(command, by_rule, now);
  CHECK(refusals.is_recorded(connection, by_rule, now));
  CHECK(refusals.is_recorded(command, given_up, now));
  CHECK_FALSE(refusals.is_full(command, now));
  for (int i = 0; i < 299; ++i) refusals.recorded(command, given_up, now);
  CHECK(refusals.is_full(command, now));
  CHECK_FALSE(refusals.is_full(connection, now));
  CHECK_FALSE(refusals.is_full(command, now + 1min));
}

TEST_CASE("a room that does nothing but ask for what a rule denies is told no each time, and fills no record") {
  World world;
  for (int i = 0; i < 1000; ++i) {
    const std::size_t at = world.ask(World::asked({"sudo", std::to_string(i)}));
    REQUIRE(world.verdicts[at]);
    REQUIRE(world.verdicts[at]->rule == "sudo **");
  }
  // Control: what is allowed has its rows, however many were refused.
  const std::size_t date = world.ask(World::asked({"date"}));
  CHECK(world.verdicts[date]->kind == Kind::allow);
  world.broker->finish();
  const std::vector<store::Event> rows = world.record();
  // Began, 300 and 1 requests with their verdicts, how many more, ended.
  CHECK(rows.size() == 1 + 2 * 301 + 1 + 1);
  CHECK(rows_with(rows, "700 more commands were refused within a minute") == 1);
}

TEST_CASE("questions that are asked and given up are no way to fill the record, either") {
  World world;
  std::size_t last = 0;
  for (int i = 0; i < 301; ++i) {
    last = world.ask(World::asked({"git", "push", std::to_string(i)}));
    if (world.verdicts[last]) break;
    world.broker->cancel(world.tickets[last]);
    world.turn();
  }
  REQUIRE(world.verdicts[last]);
  CHECK(world.verdicts[last]->kind == Kind::deny);
  CHECK(world.verdicts[last]->by == By::limit);
  CHECK(world.verdicts[last]->reason.find("wait that long") != std::string::npos);
  const std::size_t date = world.ask(World::asked({"date"}));
  CHECK(world.verdicts[date]->kind == Kind::allow);
}
