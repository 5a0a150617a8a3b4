// What a limit allows, what is beyond it, and what a payment's key is good for.

#include <catch2/catch.hpp>

#include "support.hpp"

using namespace agentbox;
using namespace agentbox::broker;
using namespace agentbox::broker::test;
using Kind = Verdict::Kind;
using Earlier = Verdict::Earlier;
using Kinds = prompt::Answer::Kind;

namespace {

profile::Located<profile::Budget> budget(std::int64_t amount, std::string unit, std::string text, unsigned line) {
  return {{.text = std::move(text), .amount = amount, .unit = std::move(unit), .period = profile::Period::day},
          {.file = "pi.toml", .at = {.line = line}, .source_line = {}}};
}

void grant(Settings& settings) {
  auto& spending = settings.rules.spending;
  spending.limit = budget(10000, "USD", "100 USD/day", 7);
  spending.single = budget(8000, "USD", "80 USD", 8);
  spending.count = budget(20, "", "20/day", 9);
  spending.pay = {"wallet", "{amount}", "{to}"};
}

Asked payment(std::int64_t amount, std::string key, std::string to = "alice") {
  Asked asked{
      .action =
          policy::Payment{.amount = amount, .currency = "USD", .to = std::move(to), .memo = "m", .key = std::move(key)},
      .title = "make a payment",
      .subject = "s"};
  asked.phrase = "60.00";
  return asked;
}

struct Paying : World {
  explicit Paying(std::function<void(Settings&)> change = {})
      : World([&](Settings& settings) {
          grant(settings);
          if (change) change(settings);
        }) {}
  Broker::Taken say(Kinds kind, std::string phrase) {
    const prompt::Question question = panel.shown.back();
    auto taken =
        broker->answer(question.id, {.kind = kind, .digest = question.digest, .phrase = std::move(phrase)}, "terminal");
    turn();
    return taken;
  }
  std::string fact(const std::string& label) {
    for (const prompt::Fact& one : panel.shown.back().facts) {
      if (one.label == label) return one.value;
    }
    return "no such fact";
  }
  store::Payment entry(std::int64_t id) {
    return store::Store(broker->settings().record, store::Store::Access::read).payment(id).value();
  }
};

}  // namespace

TEST_CASE("below the limit a payment needs no question, and is on record with its reservation") {
  Paying world;
  world.ask(payment(6000, "a"));
  REQUIRE(world.verdicts[0]);
  CHECK(world.verdicts[0]->kind == Kind::allow);
  CHECK(world.verdicts[0]->by == Verdict::By::rule);
  CHECK(world.verdicts[0]->rule == "100 USD/day");
  REQUIRE(world.verdicts[0]->entry == 1);
  CHECK(world.panel.shown.empty());
  CHECK(world.entry(1).state == store::Payment::State::reserved);
  CHECK(world.entry(1).question == "1");
  auto rows = world.record();
  REQUIRE(rows.size() == 3);  // the session, the request, the verdict
  CHECK(rows[1].kind == "payment");
  CHECK(rows[2].verdict == "allow");

  world.broker->settle(*world.verdicts[0], payment(6000, "a").action, Decider::Paid::paid, "exit code 0");
  CHECK(world.entry(1).state == store::Payment::State::paid);
  CHECK(world.record().back().what == store::Event::What::outcome);
  CHECK(world.record().back().detail == R"({"outcome":"exit code 0"})");
}

TEST_CASE("beyond the limit it asks, with what was used, and only a yes with the phrase takes it") {
  Paying world;
  world.ask(payment(6000, "a"));
  world.ask(payment(6000, "b"));
  CHECK_FALSE(world.verdicts[1]);
  REQUIRE(world.panel.shown.size() == 1);
  const prompt::Question& question = world.panel.shown[0];
  CHECK(question.phrase == "60.00");
  CHECK(question.session_scopes.empty());
  CHECK(question.lasting_scopes.empty());
  CHECK(world.fact("limit").starts_with(
      "60.00 of 100.00 USD used today (60.00 of it reserved), 40.00 left; it fits again at "));
  CHECK(world.fact("limit").ends_with(" (spending.limit = 100 USD/day, pi.toml:7)"));
  CHECK(world.fact("count") ==
        "1 of 20 payments used today (1 of it reserved), 19 left (spending.count = 20/day, pi.toml:9)");

  CHECK(world.say(Kinds::once, "") == Broker::Taken::not_offered);
  CHECK(world.say(Kinds::once, "60") == Broker::Taken::not_offered);
  CHECK(world.say(Kinds::session, "60.00") == Broker::Taken::not_offered);
  CHECK(world.say(Kinds::always, "60.00") == Broker::Taken::not_offered);
  CHECK_FALSE(world.verdicts[1]);
  CHECK(world.say(Kinds::once, "60.00") == Broker::Taken::taken);
  REQUIRE(world.verdicts[1]);
  CHECK(world.verdicts[1]->kind == Kind::allow);
  CHECK(world.verdicts[1]->by == Verdict::By::human);
  CHECK(world.entry(world.verdicts[1]->entry).key == "b");
  // It counts as well: what is left is nothing.
  CHECK(world.broker->spending()[0] == "120.00 of 100.00 USD used today (120.00 of it reserved), none left");
}

TEST_CASE("denied, it takes nothing, and needs no phrase") {
  Paying world;
  world.ask(payment(9000, "a"));  // more than `single`
  CHECK(world.fact("asked since") == "one payment may be 80 USD at most without a question (pi.toml:8)");
  CHECK(world.say(Kinds::deny, "") == Broker::Taken::taken);
  CHECK(world.verdicts[0]->kind == Kind::deny);
  CHECK(world.verdicts[0]->entry == 0);
  CHECK(world.broker->spending()[0] == "0.00 of 100.00 USD used today, 100.00 left");
}

TEST_CASE("nobody there: what is free is paid, what asks is not") {
  Paying world;
  world.panel.there = false;
  world.ask(payment(6000, "a"));
  world.ask(payment(6000, "b"));
  CHECK(world.verdicts[0]->kind == Kind::allow);
  CHECK(world.verdicts[1]->kind == Kind::unavailable);
}

TEST_CASE("the same key is not paid twice, whatever became of it, and whoever would be asked") {
  Paying world;
  world.ask(payment(6000, "a"));
  auto again = [&](Asked asked) { return *world.verdicts[world.ask(std::move(asked))]; };
  CHECK(again(payment(6000, "a")).kind == Kind::duplicate);
  CHECK(again(payment(6000, "a")).earlier == Earlier::pending);
  CHECK(again(payment(6000, "a")).entry == 0);
  SECTION("paid") {
    world.broker->settle(*world.verdicts[0], payment(6000, "a").action, Decider::Paid::paid, "exit code 0");
    CHECK(again(payment(6000, "a")).earlier == Earlier::paid);
    CHECK(again(payment(6000, "a")).reason.find("nothing was paid now") != std::string::npos);
  }
  SECTION("unknown") {
    world.broker->settle(*world.verdicts[0], payment(6000, "a").action, Decider::Paid::unknown, "killed");
    CHECK(again(payment(6000, "a")).earlier == Earlier::unknown);
  }
  SECTION("not paid: it is tried again") {
    world.broker->settle(*world.verdicts[0], payment(6000, "a").action, Decider::Paid::not_paid, "exit code 1");
    CHECK(again(payment(6000, "a")).kind == Kind::allow);
  }
  SECTION("with other fields it is refused, also where it would ask") {
    CHECK(again(payment(6001, "a")).kind == Kind::deny);
    CHECK(again(payment(6000, "a", "mallory")).kind == Kind::deny);
    CHECK(again(payment(9000, "a")).kind == Kind::deny);
    CHECK(world.panel.shown.empty());
  }
}

TEST_CASE("two that ask with one key at the same time are one payment") {
  Paying world;
  world.ask(payment(9000, "a"));
  world.ask(payment(9000, "a"));
  REQUIRE(world.panel.shown.size() == 1);
  CHECK(world.say(Kinds::once, "60.00") == Broker::Taken::taken);
  CHECK(world.verdicts[0]->kind == Kind::allow);
  CHECK(world.verdicts[1]->kind == Kind::duplicate);
  CHECK(world.verdicts[1]->earlier == Earlier::pending);
  CHECK(world.verdicts[1]->entry == 0);
}

TEST_CASE("another session that pays with the key while it is asked is the one that pays") {
  Paying world;
  world.ask(payment(9000, "a"));
  Settings other = world.broker->settings();
  other.session = "pi-2";
  {
    store::Store store(other.record, store::Store::Access::write);
    store::Payment one{.question = "1", .key = "a", .amount = 9000, .currency = "USD", .to = "alice", .memo = "m"};
    store::Taking taking{.profile = "pi", .session = "pi-2", .use = {"payment", "alice", "USD", 9000}, .limits = {}};
    REQUIRE(store.reserve(taking, one, {}).how == store::Took::How::taken);
  }
  CHECK(world.say(Kinds::once, "60.00") == Broker::Taken::taken);
  CHECK(world.verdicts[0]->kind == Kind::duplicate);
  CHECK(world.verdicts[0]->earlier == Earlier::pending);
  CHECK(world.record().back().verdict == "duplicate");
}

TEST_CASE("two sessions at once: the last of the limit is given once") {
  Paying one;
  boost::asio::io_context loop;
  Settings settings = one.broker->settings();
  settings.session = "pi-2";
  Broker other(loop, settings);
  FakePanel panel;
  other.add(panel);
  one.ask(payment(6000, "a"));
  std::optional<Verdict> verdict;
  other.ask(payment(6000, "b"), [&](const Verdict& said) { verdict = said; });
  loop.poll();
  CHECK(one.verdicts[0]->kind == Kind::allow);
  CHECK_FALSE(verdict);
  CHECK(panel.shown.size() == 1);
  other.remove(panel);
}

TEST_CASE("what can't be recorded is not paid") {
  SECTION("free") {
    Paying world([](Settings& settings) { settings.record = *base::AbsPath::parse("/proc/no/such.db"); });
    world.ask(payment(6000, "a"));
    CHECK(world.verdicts[0]->kind == Kind::unavailable);
    CHECK(world.verdicts[0]->entry == 0);
    CHECK(world.broker->spending()[0] == "the ledger can't be read now, so nothing can be paid");
  }
  SECTION("after a yes") {
    Paying world;
    world.ask(payment(9000, "a"));
    std::filesystem::remove_all((world.folder / "record").str());
    CHECK(world.say(Kinds::once, "60.00") == Broker::Taken::taken);
    CHECK(world.verdicts[0]->kind == Kind::unavailable);
    CHECK(world.verdicts[0]->entry == 0);
  }
}

TEST_CASE("a payment whose yes nobody heard before the session ended is not reserved any more") {
  Paying world;
  (void)world.broker->ask(payment(6000, "a"), [](const Verdict&) { FAIL("the loop does not run any more"); });
  CHECK(world.entry(1).state == store::Payment::State::reserved);
  world.broker->finish();
  CHECK(world.entry(1).state == store::Payment::State::not_paid);
  CHECK(world.entry(1).note == "not started: the session has ended");
}

TEST_CASE("what the room is told of its limits") {
  Paying world;
  CHECK(world.broker->spending() == std::vector<std::string>{"0.00 of 100.00 USD used today, 100.00 left",
                                                             "0 of 20 payments used today, 20 left",
                                                             "one payment: 80 USD at most"});
  World none;
  CHECK(none.broker->spending().empty());
}
