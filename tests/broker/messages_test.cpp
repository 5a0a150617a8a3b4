// Messages: the first one to somebody asks, the limit bounds the rest, and twins are sent once.

#include <catch2/catch.hpp>

#include "support.hpp"

using namespace agentbox;
using namespace agentbox::broker;
using namespace agentbox::broker::test;
using Kind = Verdict::Kind;
using Kinds = prompt::Answer::Kind;

namespace {

void grant(Settings& settings) {
  auto& messages = settings.rules.messages;
  messages.lists.default_ = profile::Default::ask;
  messages.self = {{{"me@example.org"}, {}}};
  messages.lists.allow = {{{"*@family.example"}, {}}};
  messages.ways = {{.name = "email", .send = {"sendmail", "-t"}, .post = {}}};
  messages.limit = {{.text = "3/hour", .amount = 3, .unit = {}, .period = profile::Period::hour},
                    {.file = "pi.toml", .at = {.line = 4}, .source_line = {}}};
}

Asked message(std::vector<std::string> to, std::string body = "hello") {
  return {.action = policy::Message{.backend = "email", .to = std::move(to), .subject = {}, .body = std::move(body)},
          .title = "send a message by email",
          .subject = "s"};
}

struct Sending : World {
  Sending() : World(grant) {}
  Broker::Taken say(Kinds kind) {
    const prompt::Question question = panel.shown.back();
    auto taken = broker->answer(question.id, {.kind = kind, .digest = question.digest}, "terminal");
    turn();
    return taken;
  }
  std::vector<std::string> facts(const std::string& label) {
    std::vector<std::string> found;
    for (const prompt::Fact& one : panel.shown.back().facts) {
      if (one.label == label) found.push_back(one.value);
    }
    return found;
  }
};
using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("to the owner himself nothing is asked, until the limit") {
  Sending world;
  for (std::size_t i = 0; i < 4; ++i) world.ask(message({"me@example.org"}));
  CHECK(world.verdicts[2]->kind == Kind::allow);
  CHECK(world.verdicts[2]->rule == "me@example.org");
  CHECK_FALSE(world.verdicts[3]);
  REQUIRE(world.panel.shown.size() == 1);
  CHECK(world.facts("first time").empty());
  REQUIRE(world.facts("limit").size() == 1);
  CHECK(world.facts("limit")[0].starts_with("3 of 3 messages used in the last hour, none left; it fits again at "));
  CHECK(world.say(Kinds::session) == Broker::Taken::not_offered);
  CHECK(world.say(Kinds::once) == Broker::Taken::taken);
  CHECK(world.verdicts[3]->kind == Kind::allow);
  CHECK(world.broker->messages().back() == "4 of 3 messages used in the last hour, none left");
}

TEST_CASE("the first message to somebody asks and says so, whatever allows it; after a yes he is known") {
  Sending world;
  world.ask(message({"mum@family.example", "me@example.org"}));
  REQUIRE(world.panel.shown.size() == 1);
  CHECK(world.facts("first time") == Lines{"nothing was ever sent to mum@family.example by email from this profile"});
  CHECK(world.panel.shown[0].content_title == "what will be sent");
  CHECK(world.say(Kinds::deny) == Broker::Taken::taken);
  world.ask(message({"mum@family.example"}, "again"));
  REQUIRE(world.panel.shown.size() == 2);  // a no has made nobody known
  CHECK(world.say(Kinds::once) == Broker::Taken::taken);
  CHECK(world.verdicts[1]->kind == Kind::allow);
  world.ask(message({"mum@family.example"}, "and again"));
  CHECK(world.panel.shown.size() == 2);
  CHECK(world.verdicts[2]->kind == Kind::allow);
  CHECK(world.verdicts[2]->by == Verdict::By::rule);
  // Somebody else of the same rule is not.
  world.ask(message({"dad@family.example"}));
  CHECK(world.panel.shown.size() == 3);
}

TEST_CASE("who asks by a rule is asked about each time, and known or not is said") {
  Sending world;
  world.ask(message({"x@example.net"}));
  CHECK(world.facts("first time").size() == 1);
  CHECK(world.facts("asked since")[0] == "no rule names x@example.net, and the profile's default is to ask");
  CHECK(world.say(Kinds::once) == Broker::Taken::taken);
  world.ask(message({"x@example.net"}));
  REQUIRE(world.panel.shown.size() == 2);
  CHECK(world.facts("first time").empty());
}

TEST_CASE("each recipient counts") {
  Sending world;
  world.ask(message({"me@example.org", "mum@family.example", "x@example.net", "y@example.net"}));
  CHECK(world.facts("first time").size() == 3);
  CHECK(world.say(Kinds::once) == Broker::Taken::taken);
  CHECK(world.broker->messages().back() == "4 of 3 messages used in the last hour, none left");
}

TEST_CASE("of two that ask for the same at once one is sent") {
  Sending world;
  world.ask(message({"x@example.net"}));
  world.ask(message({"x@example.net"}));
  REQUIRE(world.panel.shown.size() == 1);
  CHECK(world.say(Kinds::once) == Broker::Taken::taken);
  CHECK(world.verdicts[0]->kind == Kind::allow);
  CHECK(world.verdicts[1]->kind == Kind::duplicate);
}

TEST_CASE("nobody there: what is free is sent, what asks is not") {
  Sending world;
  world.panel.there = false;
  world.ask(message({"me@example.org"}));
  world.ask(message({"mum@family.example"}));
  CHECK(world.verdicts[0]->kind == Kind::allow);
  CHECK(world.verdicts[1]->kind == Kind::unavailable);
}

TEST_CASE("a room that sends nothing hears nothing of it") {
  World none;
  CHECK(none.broker->messages().empty());
}
