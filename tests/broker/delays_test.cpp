#include <catch2/catch.hpp>

#include "agentbox/profile/parse.hpp"

#include "support.hpp"

using namespace agentbox;
using namespace agentbox::broker;
using namespace agentbox::broker::test;
using namespace std::chrono_literals;
using Kind = Verdict::Kind;
using By = Verdict::By;
using Answer = prompt::Answer::Kind;
using Stage = prompt::Question::Stage;

namespace {

Asked waiting(std::vector<std::string> argv, std::chrono::seconds delay = 1s) {
  Asked asked = World::asked(std::move(argv));
  asked.delay = delay;
  return asked;
}

Broker::Taken say(World& world, Answer kind) {
  const prompt::Question question = world.broker->open().back();
  const auto taken = world.broker->answer(question.id, {.kind = kind, .digest = question.digest}, "control");
  world.turn();
  return taken;
}

}  // namespace

TEST_CASE("after a yes it waits in sight of the owner, and then it is done") {
  World world;
  const std::size_t at = world.ask(waiting({"git", "push"}));
  REQUIRE(world.panel.shown.size() == 1);
  CHECK(world.panel.shown[0].facts.back().value == "it waits a second; until then `agentbox approve` can cancel it");
  REQUIRE(say(world, Answer::once) == Broker::Taken::taken);
  CHECK_FALSE(world.verdicts[at]);
  CHECK(world.panel.gone.empty());
  REQUIRE(world.panel.changed.size() == 1);
  CHECK(world.panel.changed[0].stage == Stage::delayed);
  REQUIRE(world.broker->open().size() == 1);
  CHECK(world.broker->asking() == 0);
  // A second yes is no answer to it.
  CHECK(say(world, Answer::once) == Broker::Taken::not_offered);
  REQUIRE(world.until([&] { return world.verdicts[at].has_value(); }));
  CHECK(world.verdicts[at]->kind == Kind::allow);
  CHECK(world.verdicts[at]->by == By::human);
  REQUIRE(world.panel.gone.size() == 1);
  CHECK(world.panel.gone[0].by == "clock");
  CHECK(world.broker->open().empty());
  const auto rows = world.record();
  REQUIRE(rows.size() == 4);
  CHECK((rows[2].verdict == "allow" && rows[2].by == "human"));
  CHECK((rows[3].verdict == "allow" && rows[3].by == "clock"));
}

TEST_CASE("what is allowed without a question waits as well, and is shown") {
  World world;
  const std::size_t at = world.ask(waiting({"date"}));
  CHECK_FALSE(world.verdicts[at]);
  REQUIRE(world.panel.shown.size() == 1);
  CHECK(world.panel.shown[0].stage == Stage::delayed);
  CHECK(world.broker->summary().asked == 0);
  SECTION("and is done") {
    REQUIRE(world.until([&] { return world.verdicts[at].has_value(); }));
    CHECK(world.verdicts[at]->kind == Kind::allow);
    CHECK(world.broker->summary().allowed == 1);
  }
  SECTION("or cancelled") {
    CHECK(say(world, Answer::deny) == Broker::Taken::taken);
    CHECK(world.verdicts[at]->kind == Kind::deny);
    CHECK(world.verdicts[at]->reason == "the owner cancelled it before it was done; don't try it another way");
    CHECK(world.broker->summary().allowed == 0);
    CHECK(world.broker->summary().denied == 1);
    CHECK(world.record().back().verdict == "deny");
    CHECK_FALSE(world.until([&] { return world.panel.gone.size() > 1; }, 1s));
  }
}

TEST_CASE("who gives up while it waits, and a session that ends, leave it undone") {
  World world;
  const std::size_t at = world.ask(waiting({"date"}, 60s));
  SECTION("the requester") {
    world.broker->cancel(world.tickets[at]);
  }
  SECTION("the session") {
    world.broker->finish();
  }
  world.turn();
  REQUIRE(world.verdicts[at]);
  CHECK(world.verdicts[at]->kind == Kind::cancelled);
  CHECK(world.broker->open().empty());
}

TEST_CASE("the same deed asked for while it waits is done once") {
  World world;
  const std::size_t first = world.ask(waiting({"git", "push"}));
  say(world, Answer::once);
  const std::size_t second = world.ask(waiting({"git", "push"}));
  CHECK(world.panel.shown.size() == 1);
  REQUIRE(world.until([&] { return world.verdicts[first] && world.verdicts[second]; }));
  CHECK(world.verdicts[first]->kind == Kind::allow);
  CHECK(world.verdicts[second]->kind == Kind::duplicate);
}

TEST_CASE("nobody has to be there while it waits") {
  World world;
  const std::size_t at = world.ask(waiting({"git", "push"}));
  say(world, Answer::once);
  world.panel.there = false;
  world.broker->presence_changed();
  world.turn();
  REQUIRE(world.until([&] { return world.verdicts[at].has_value(); }));
  CHECK(world.verdicts[at]->kind == Kind::allow);
}

TEST_CASE("a payment that is cancelled while it waits gives its amount back; one that is killed keeps it") {
  World world([](Settings& settings) {
    auto budget = [](std::int64_t amount, const char* text) {
      return profile::Located<profile::Budget>{
          {.text = text, .amount = amount, .unit = "USD", .period = profile::Period::day}, {}};
    };
    settings.rules.spending = {.limit = budget(10000, "100 USD/day"),
                               .single = {},
                               .per_recipient = {},
                               .count = {},
                               .pay = {"wallet"},
                               .delay = {}};
  });
  auto pay = [&](std::int64_t amount, const std::string& key) {
    Asked asked{.action = policy::Payment{.amount = amount, .currency = "USD", .to = "a", .memo = {}, .key = key},
                .title = "pay",
                .subject = "pay"};
    asked.delay = 60s;
    return world.ask(std::move(asked));
  };
  const std::size_t at = pay(6000, "one");
  CHECK_FALSE(world.verdicts[at]);
  CHECK(world.broker->spending().front().starts_with("60.00 of 100.00 USD used"));
  // It is known while it waits: the same key is not a second payment.
  const std::size_t twin = pay(6000, "one");
  CHECK(world.verdicts[twin]->kind == Kind::duplicate);
  CHECK(world.verdicts[twin]->earlier == Verdict::Earlier::pending);
  REQUIRE(say(world, Answer::deny) == Broker::Taken::taken);
  CHECK(world.verdicts[at]->kind == Kind::deny);
  CHECK(world.broker->spending().front().starts_with("0.00 of 100.00 USD used"));
  pay(5000, "two");
  // As good as killed: nobody ends it.
  Settings settings = world.broker->settings();
  world.broker->remove(world.panel);
  world.broker.reset();
  settings.session = "pi-2";
  world.broker = std::make_unique<Broker>(world.loop, settings);
  world.broker->add(world.panel);
  CHECK(world.broker->spending().front().starts_with("50.00 of 100.00 USD used"));
  std::vector<std::string> verdicts;
  for (const store::Event& row : world.record()) {
    if (row.what == store::Event::What::verdict) verdicts.push_back(row.verdict + " by " + row.by);
  }
  CHECK(verdicts == std::vector<std::string>{"allow by rule", "duplicate by limit", "deny by human", "allow by rule"});
}

TEST_CASE("who asks hears that it waits, and how long; a twin that comes later hears what is left") {
  World world;
  std::vector<std::chrono::seconds> first, second;
  Asked asked = waiting({"git", "push"}, 60s);
  asked.waits = [&](std::chrono::seconds left) { first.push_back(left); };
  const std::size_t at = world.ask(asked);
  world.turn();
  CHECK(first.empty());  // it is still asked
  REQUIRE(say(world, Answer::once) == Broker::Taken::taken);
  REQUIRE(first.size() == 1);
  CHECK(first[0] == 60s);
  CHECK_FALSE(world.verdicts[at]);
  asked.waits = [&](std::chrono::seconds left) { second.push_back(left); };
  world.ask(asked);
  world.turn();
  REQUIRE(second.size() == 1);
  CHECK((second[0] >= 1s && second[0] <= 60s));
  CHECK(first.size() == 1);
}

TEST_CASE("a message that is cancelled while it waits gives its count back, and its recipient is a stranger again") {
  World world([](Settings& settings) {
    auto& messages = settings.rules.messages;
    messages.lists.default_ = profile::Default::ask;
    messages.self = {{{"me@example.org"}, {}}};
    messages.lists.allow = {{{"*@family.example"}, {}}};
    messages.ways = {{.name = "email", .send = {"sendmail", "-t"}, .post = {}}};
    messages.limit = {{.text = "2/hour", .amount = 2, .unit = {}, .period = profile::Period::hour}, {}};
  });
  auto send = [&](std::string to, std::string body = "hello") {
    Asked asked{.action = policy::Message{.backend = "email", .to = {std::move(to)}, .body = std::move(body)},
                .title = "send",
                .subject = "s"};
    asked.delay = 60s;
    return world.ask(std::move(asked));
  };
  auto used = [&] { return world.broker->messages().back(); };
  send("me@example.org");
  CHECK(used().starts_with("1 of 2 messages used"));
  SECTION("by the owner") {
    REQUIRE(say(world, Answer::deny) == Broker::Taken::taken);
    CHECK(used().starts_with("0 of 2 messages used"));
  }
  SECTION("by who asked") {
    world.broker->cancel(world.tickets[0]);
    CHECK(used().starts_with("0 of 2 messages used"));
  }
  SECTION("somebody new, after a yes") {
    send("mum@family.example");
    const prompt::Question& question = world.panel.shown.back();
    CHECK(question.stage == Stage::asked);
    const prompt::Answer yes{.kind = Answer::once, .digest = question.digest};
    REQUIRE(world.broker->answer(question.id, yes, "terminal") == Broker::Taken::taken);
    CHECK(used().starts_with("2 of 2 messages used"));
    REQUIRE(say(world, Answer::deny) == Broker::Taken::taken);
    CHECK(used().starts_with("1 of 2 messages used"));
    send("mum@family.example", "again");
    CHECK(world.panel.shown.back().stage == Stage::asked);  // as the first time
  }
}
