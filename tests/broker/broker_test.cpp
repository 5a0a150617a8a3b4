#include <csignal>

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "support.hpp"

using namespace agentbox;
using namespace agentbox::broker;
using namespace agentbox::broker::test;
using Kind = Verdict::Kind;
using By = Verdict::By;
using Answer = prompt::Answer::Kind;

TEST_CASE("rules allow and deny without a question, and both are on record") {
  World world;
  std::size_t date = world.ask(World::asked({"date"}));
  std::size_t sudo = world.ask(World::asked({"sudo", "id"}));
  std::size_t other = world.ask(World::asked({"reboot"}));
  REQUIRE(world.verdicts[date]);
  CHECK(world.verdicts[date]->kind == Kind::allow);
  CHECK(world.verdicts[date]->by == By::rule);
  CHECK(world.verdicts[date]->rule == "date");
  CHECK(world.verdicts[sudo]->kind == Kind::deny);
  CHECK(world.verdicts[sudo]->rule == "sudo **");
  CHECK(world.verdicts[sudo]->reason.find("don't look for a way around it") != std::string::npos);
  CHECK(world.verdicts[other]->kind == Kind::deny);
  CHECK(world.verdicts[other]->rule.empty());
  CHECK(world.panel.shown.empty());
  auto rows = world.record();
  REQUIRE(rows.size() == 7);
  CHECK(rows[0].what == store::Event::What::session_began);
  CHECK(rows[1].what == store::Event::What::request);
  CHECK(rows[2].verdict == "allow");
  CHECK(rows[4].verdict == "deny");
  CHECK(rows[4].by == "rule");
}

TEST_CASE("a question is answered once, by its digest, before its deadline") {
  World world;
  std::size_t at = world.ask(World::asked({"git", "push", "origin", "main"}));
  CHECK_FALSE(world.verdicts[at]);
  REQUIRE(world.panel.shown.size() == 1);
  const prompt::Question& question = world.panel.shown[0];
  CHECK(question.digest.size() == 64);
  CHECK(world.broker->answer(question.id, {.kind = Answer::once, .digest = std::string(64, '0')}, "terminal") ==
        Broker::Taken::changed);
  CHECK(world.broker->answer("77", {.kind = Answer::once, .digest = question.digest}, "terminal") ==
        Broker::Taken::gone);
  CHECK(world.answer(Answer::once) == Broker::Taken::taken);
  REQUIRE(world.verdicts[at]);
  CHECK(world.verdicts[at]->kind == Kind::allow);
  CHECK(world.verdicts[at]->by == By::human);
  // A replay.
  CHECK(world.answer(Answer::once) == Broker::Taken::gone);
  REQUIRE(world.panel.gone.size() == 1);
  CHECK(world.panel.gone[0].by == "terminal");
  // The next one asks again.
  std::size_t again = world.ask(World::asked({"git", "push", "origin", "main"}));
  CHECK_FALSE(world.verdicts[again]);
  CHECK(world.panel.shown.size() == 2);
  CHECK(world.panel.shown[1].digest != world.panel.shown[0].digest);
}

TEST_CASE("the owner's comment goes to the agent with a no") {
  World world;
  std::size_t at = world.ask(World::asked({"make", "install"}));
  world.answer(Answer::deny, 0, "use a branch");
  CHECK(world.verdicts[at]->kind == Kind::deny);
  CHECK(world.verdicts[at]->comment == "use a branch");
  CHECK(world.verdicts[at]->reason == "the owner said no; don't try it another way");
}

TEST_CASE("a yes for the session and for always answers what it covers, and nothing else") {
  World world;
  world.ask(World::asked({"git", "push", "origin", "main"}));
  REQUIRE_FALSE(world.panel.shown.back().lasting_scopes.empty());
  CHECK(world.answer(Answer::session, 99) == Broker::Taken::not_offered);
  CHECK(world.answer(Answer::session, 0) == Broker::Taken::taken);
  std::size_t same = world.ask(World::asked({"git", "push", "origin", "main"}));
  CHECK(world.verdicts[same]->by == By::remembered);
  CHECK(world.verdicts[same]->kind == Kind::allow);
  std::size_t other = world.ask(World::asked({"git", "push", "origin", "+main"}));
  CHECK_FALSE(world.verdicts[other]);
  world.answer(Answer::deny);

  world.ask(World::asked({"notify-send", "done"}));
  REQUIRE(world.answer(Answer::always, 0) == Broker::Taken::taken);
  world.broker->finish();
  // Another session of the same profile: always holds, this session's doesn't.
  Settings settings = world.broker->settings();
  settings.session = "pi-2";
  Broker second(world.loop, settings);
  FakePanel panel;
  second.add(panel);
  std::optional<Verdict> always, session;
  second.ask(World::asked({"notify-send", "done"}), [&](const Verdict& verdict) { always = verdict; });
  second.ask(World::asked({"git", "push", "origin", "main"}), [&](const Verdict& verdict) { session = verdict; });
  world.turn();
  REQUIRE(always);
  CHECK(always->by == By::remembered);
  CHECK_FALSE(session);
  CHECK(panel.shown.size() == 1);
  second.remove(panel);
}

TEST_CASE("always is not offered for what runs anything") {
  World world;
  world.ask(World::asked({"sh", "x.sh"}));
  CHECK(world.panel.shown.back().lasting_scopes.empty());
  CHECK(world.panel.shown.back().session_scopes.empty());
  CHECK(world.answer(Answer::always) == Broker::Taken::not_offered);
  CHECK(world.answer(Answer::session) == Broker::Taken::not_offered);
  CHECK(world.answer(Answer::once) == Broker::Taken::taken);
}

TEST_CASE("two hundred identical deeds are one question, and once does one of them") {
  World world;
  for (int i = 0; i < 200; ++i) world.ask(World::asked({"git", "push"}));
  CHECK(world.panel.shown.size() == 1);
  world.answer(Answer::once);
  std::size_t allowed = 0, duplicate = 0;
  for (const auto& verdict : world.verdicts) {
    REQUIRE(verdict);
    allowed += verdict->kind == Kind::allow;
    duplicate += verdict->kind == Kind::duplicate;
  }
  CHECK(allowed == 1);
  CHECK(duplicate == 199);
}

TEST_CASE("two hundred identical connections are one question with two hundred verdicts") {
  World world([](Settings& settings) { settings.rules.network.default_ = profile::Default::ask; });
  for (int i = 0; i < 200; ++i) world.ask(World::connect("example.org"));
  CHECK(world.panel.shown.size() == 1);
  world.answer(Answer::once);
  for (const auto& verdict : world.verdicts) CHECK(verdict.value().kind == Kind::allow);
}

TEST_CASE("what looks alike is not the same question") {
  World world;
  world.ask(World::asked({"notify-send", "a b"}));
  world.ask(World::asked({"notify-send", "a", "b"}));
  CHECK(world.panel.shown.size() == 2);
}

TEST_CASE("three denials of the same thing, and it is denied without asking") {
  World world;
  for (int i = 0; i < 3; ++i) {
    world.ask(World::asked({"make"}));
    world.answer(Answer::deny);
  }
  std::size_t fourth = world.ask(World::asked({"make"}));
  CHECK(world.verdicts[fourth].value().by == By::limit);
  CHECK(world.panel.shown.size() == 3);
  std::size_t other = world.ask(World::asked({"make", "test"}));
  CHECK_FALSE(world.verdicts[other]);
}

TEST_CASE("a no for the session beats what was allowed") {
  World world;
  world.ask(World::asked({"git", "push", "origin", "main"}));
  world.answer(Answer::deny_session);
  std::size_t again = world.ask(World::asked({"git", "push", "origin", "main"}));
  CHECK(world.verdicts[again].value().kind == Kind::deny);
  CHECK(world.verdicts[again]->by == By::remembered);
}

TEST_CASE("a question that nobody answers expires, and stores nothing") {
  World world([](Settings& settings) { settings.timeout = std::chrono::seconds(0); });
  std::size_t at = world.ask(World::asked({"make"}));
  REQUIRE(world.until([&] { return world.verdicts[at].has_value(); }));
  CHECK(world.verdicts[at]->kind == Kind::expired);
  CHECK(world.verdicts[at]->by == By::clock);
  CHECK(world.answer(Answer::always) == Broker::Taken::gone);
  CHECK(store::Store(world.broker->settings().record, store::Store::Access::read).all_remembered().empty());
}

TEST_CASE("nobody there: unavailable at once, or a wait for somebody") {
  World world;
  world.panel.there = false;
  std::size_t at = world.ask(World::asked({"make"}));
  CHECK(world.verdicts[at].value().kind == Kind::unavailable);
  World queue([](Settings& settings) { settings.absent = Settings::Absent::wait; });
  queue.panel.there = false;
  std::size_t later = queue.ask(World::asked({"make"}));
  CHECK_FALSE(queue.verdicts[later]);
  FakePanel approve;
  queue.broker->add(approve);
  CHECK(approve.shown.size() == 1);
  queue.broker->remove(approve);
}

TEST_CASE("when the last who could answer leaves, what is open is unavailable") {
  World world;
  std::size_t at = world.ask(World::asked({"make"}));
  world.panel.there = false;
  world.broker->presence_changed();
  world.turn();
  CHECK(world.verdicts[at].value().kind == Kind::unavailable);
}

TEST_CASE("the eleventh question in ten minutes is a banner, and the owner decides what becomes of it") {
  World world;
  std::vector<std::size_t> all;
  for (int i = 0; i < 12; ++i) all.push_back(world.ask(World::asked({"make", std::to_string(i)})));
  CHECK(world.panel.shown.size() == 10);
  REQUIRE_FALSE(world.panel.floods.empty());
  CHECK(world.panel.floods.back().waiting == 12);
  std::vector<Broker::Motion> motions;
  world.broker->on_motion = [&](Broker::Motion motion) { motions.push_back(motion); };
  SECTION("go on") {
    world.broker->choose(prompt::Banner::Choice::go_on);
    CHECK(world.panel.shown.size() == 12);
    CHECK(world.panel.warnings_gone == 1);
  }
  SECTION("deny the rest") {
    world.broker->choose(prompt::Banner::Choice::deny_rest);
    world.turn();
    for (std::size_t at : all) CHECK(world.verdicts[at].value().by == By::limit);
    std::size_t next = world.ask(World::asked({"make", "more"}));
    CHECK(world.verdicts[next].value().by == By::limit);
  }
  SECTION("pause, then go on") {
    world.broker->choose(prompt::Banner::Choice::pause);
    CHECK(motions == std::vector{Broker::Motion::pause});
    world.broker->choose(prompt::Banner::Choice::go_on);
    CHECK(motions == std::vector{Broker::Motion::pause, Broker::Motion::go_on});
  }
  // One that was held back can't be answered by guessing.
  CHECK(world.broker->open().size() <= 12);
}

TEST_CASE("a held question can't be answered before it was shown") {
  World world([](Settings& settings) { settings.questions = 1; });
  world.ask(World::asked({"make", "1"}));
  std::size_t held = world.ask(World::asked({"make", "2"}));
  CHECK(world.broker->open().size() == 1);
  CHECK(world.broker->answer("2", {.kind = Answer::once, .digest = std::string(64, '0')}, "control") ==
        Broker::Taken::gone);
  CHECK_FALSE(world.verdicts[held]);
}

TEST_CASE("a requester that is gone takes its question along, but not its twin's") {
  World world;
  std::size_t first = world.ask(World::asked({"make"}));
  std::size_t twin = world.ask(World::asked({"make"}));
  world.broker->cancel(world.tickets[first]);
  world.turn();
  CHECK(world.verdicts[first].value().kind == Kind::cancelled);
  CHECK(world.panel.gone.empty());
  world.answer(Answer::once);
  CHECK(world.verdicts[twin].value().kind == Kind::allow);
  std::size_t alone = world.ask(World::asked({"make"}));
  world.broker->cancel(world.tickets[alone]);
  world.turn();
  CHECK(world.verdicts[alone].value().kind == Kind::cancelled);
  CHECK(world.panel.gone.size() == 2);
}

TEST_CASE("what can't be recorded is not allowed") {
  World world([](Settings& settings) { settings.record = *base::AbsPath::parse("/proc/nowhere/agentbox.db"); });
  std::size_t allowed = world.ask(World::asked({"date"}));
  CHECK(world.verdicts[allowed].value().kind == Kind::unavailable);
  CHECK(world.verdicts[allowed]->by == By::fault);
  std::size_t asked = world.ask(World::asked({"make"}));
  CHECK(world.verdicts[asked].value().kind == Kind::unavailable);
  CHECK(world.panel.shown.empty());
}

TEST_CASE("a record that breaks between question and answer turns a yes into a no") {
  World world;
  std::size_t at = world.ask(World::asked({"make"}));
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  rlimit none{.rlim_cur = 1, .rlim_max = before.rlim_max};
  auto* handler = ::signal(SIGXFSZ, SIG_IGN);
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &none) == 0);  // as a full disk
  world.answer(Answer::once);
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
  ::signal(SIGXFSZ, handler);
  CHECK(world.verdicts[at].value().kind == Kind::unavailable);
}

TEST_CASE("what a gate refuses by itself is on record, and asks nobody") {
  World world;
  world.broker->refused(World::asked({"git", "fetch"}).action, "the repository would run something");
  auto rows = world.record();
  REQUIRE(rows.size() == 3);
  CHECK(rows[1].summary == "git fetch (https://example.org/x)");
  CHECK(rows[2].verdict == "deny");
  CHECK(rows[2].by == "fault");
  CHECK(rows[2].detail.find("the repository would run something") != std::string::npos);
  CHECK(world.broker->summary().denied == 1);
  CHECK(world.panel.shown.empty());
}

TEST_CASE("what was decided without a question is on record, and a yes that can't be recorded is none") {
  World world;
  const policy::Action change =
      policy::Change{.path = *base::AbsPath::parse("/w/AGENTS.md"), .before = "a", .after = "b"};
  Verdict yes{.kind = Kind::allow, .by = Verdict::By::human};
  CHECK(world.broker->decided(change, yes));
  world.broker->outcome(yes, change, "kept");
  auto rows = world.record();
  REQUIRE(rows.size() == 4);
  CHECK(rows[1].summary == "change /w/AGENTS.md");
  CHECK(rows[2].verdict == "allow");
  CHECK(rows[2].by == "human");
  CHECK(rows[2].question == rows[3].question);
  CHECK(world.broker->summary().allowed == 1);
  CHECK(world.panel.shown.empty());
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  rlimit none{.rlim_cur = 1, .rlim_max = before.rlim_max};
  auto* handler = ::signal(SIGXFSZ, SIG_IGN);
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &none) == 0);  // as a full disk
  CHECK_FALSE(world.broker->decided(change, yes));
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
  ::signal(SIGXFSZ, handler);
}

TEST_CASE("the chain of a session holds") {
  World world;
  world.ask(World::asked({"date"}));
  std::size_t at = world.ask(World::asked({"make"}));
  world.answer(Answer::once);
  world.broker->outcome(*world.verdicts[at], World::asked({"make"}).action, "exit code 0");
  world.broker->finish();
  store::Store store(world.broker->settings().record, store::Store::Access::read);
  CHECK_FALSE(store.verify());
  auto rows = world.record();
  CHECK(rows.back().what == store::Event::What::session_ended);
  CHECK(rows[rows.size() - 2].what == store::Event::What::outcome);
}
