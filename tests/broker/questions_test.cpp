#include "questions.hpp"

#include <catch2/catch.hpp>

#include "agentbox/broker/watch.hpp"

#include "support.hpp"

using namespace agentbox;
using namespace agentbox::broker;
using namespace agentbox::broker::test;
using namespace std::chrono_literals;

namespace {

constexpr std::int64_t wall = 1'700'000'000'000;

// Nothing in it is what it is by default.
prompt::Question odd() {
  prompt::Question question;
  question.id = "7";
  question.session = "pi-3fa2";
  question.profile = "pi";
  question.kind = "change";
  question.digest = std::string(64, 'd');
  question.title = "change a file that is protected";
  question.subject = "/home/me/\x1b[2J\\x1b\xff";
  question.facts = {{.label = "size", .value = "12\xff"},
                    {.label = "runs",
                     .value = "what it says",
                     .weight = prompt::Fact::Weight::warning,
                     .shown = prompt::Fact::Shown::details}};
  question.said = "please\xff";
  question.content = "-a\n+b\xfe\n";
  question.content_title = "what would change";
  question.content_form = prompt::Question::Content::diff;
  question.session_scopes = {"a\\b", "c\xff"};
  question.why_not_lasting = "it is protected";
  question.asked = prompt::Clock::time_point{} + 100h;
  question.deadline = question.asked + 2min;
  question.waiting = 3;
  return question;
}

// Over the socket and back, read at `at`.
prompt::Question through_the_socket(const prompt::Question& question, const Moment& sent,
                                    prompt::Clock::time_point at) {
  std::string line = wire::encode(wire::ToControl{.body = wire::QuestionAdded{to_wire(question, sent)}});
  line.pop_back();
  auto message = wire::decode_to_control(line);
  REQUIRE(message);
  return from_wire(std::get<wire::QuestionAdded>(message->body).question, at);
}

std::string screen(const prompt::Question& question, prompt::Clock::time_point now, std::string_view keys) {
  prompt::QuestionPage page(question);
  page.resize(40, 100);
  std::string drawn = page.draw(prompt::Draw::whole, now);
  for (char key : keys) {
    now += 1s;
    (void)page.type(std::string(1, key), now);
    drawn += page.draw(prompt::Draw::whole, now);
  }
  return drawn;
}

}  // namespace

TEST_CASE("a question looks the same at the session's terminal and behind the socket") {
  prompt::Question raw = odd();
  prompt::Question quoted = odd();
  quoted.form = prompt::Question::Form::quoted;
  quoted.content_form = prompt::Question::Content::text;
  prompt::Question short_one{.id = "1", .digest = std::string(64, '0'), .title = "t", .subject = "s"};
  for (const prompt::Question& question : {raw, quoted, short_one}) {
    auto now = question.asked + 10s;
    prompt::Question there = through_the_socket(question, {.here = now, .wall = wall}, now);
    for (std::string_view keys : {"", "i", "s", "a"}) CHECK(screen(there, now, keys) == screen(question, now, keys));
    CHECK(there.digest == question.digest);
    CHECK(there.kind == question.kind);
  }
}

TEST_CASE("a subject that was not quoted is not taken for one that was") {
  // As text they are the same; one is an escape character, the other a backslash and letters.
  prompt::Question raw{.id = "1", .digest = std::string(64, '0'), .title = "t", .subject = "\\x1b"};
  prompt::Question quoted = raw;
  quoted.form = prompt::Question::Form::quoted;
  auto now = prompt::Clock::time_point{} + 1h;
  const Moment at{.here = now, .wall = wall};
  CHECK(through_the_socket(raw, at, now).form == prompt::Question::Form::raw);
  CHECK(through_the_socket(quoted, at, now).form == prompt::Question::Form::quoted);
  CHECK(screen(through_the_socket(raw, at, now), now, "") != screen(through_the_socket(quoted, at, now), now, ""));
}

TEST_CASE("only what a command's gate has quoted is said to be quoted") {
  Settings settings{.session = "pi-1", .profile = "pi"};
  CHECK(question_of("1", World::asked({"make"}), settings).form == prompt::Question::Form::quoted);
  CHECK(question_of("1", World::connect("example.org"), settings).form == prompt::Question::Form::raw);
  CHECK(question_of("1", World::asked({"make"}), settings).kind == "command");
  CHECK(question_of("1", World::connect("example.org"), settings).kind == "connect");
}

TEST_CASE("the time that is left does not depend on the reader's clock") {
  prompt::Question question = odd();
  auto sent = question.asked + 20s;
  auto here = prompt::Clock::time_point{} + 5h;  // another machine's
  prompt::Question there = through_the_socket(question, {.here = sent, .wall = wall}, here);
  CHECK(there.deadline == here + 100s);
  CHECK(there.asked == here - 20s);
}

TEST_CASE("no deadline stays none, and an absurd one does no harm") {
  prompt::Question question = odd();
  question.deadline = {};
  auto now = question.asked;
  wire::WireQuestion wire = to_wire(question, {.here = now, .wall = wall});
  CHECK(wire.deadline == 0);
  CHECK(from_wire(wire, now).deadline == prompt::Clock::time_point{});
  wire.deadline = std::int64_t{1} << 53;
  wire.asked = std::int64_t{1} << 53;
  wire.sent = 0;
  CHECK(from_wire(wire, now).deadline == now + 24h * 365);
  wire.sent = std::int64_t{1} << 53;
  wire.deadline = 1;
  CHECK(from_wire(wire, now).deadline == now - 24h * 365);
}

TEST_CASE("every answer goes over the socket and comes back as it was") {
  using Kind = prompt::Answer::Kind;
  for (Kind kind : {Kind::once, Kind::session, Kind::always, Kind::deny, Kind::deny_session}) {
    prompt::Answer answer{.kind = kind, .scope = 0, .comment = "not \xff today", .digest = std::string(64, 'a')};
    if (kind == Kind::session || kind == Kind::always) answer.scope = 2;
    std::string line = wire::encode(wire::FromControl{.id = 3, .body = to_wire("7", answer)});
    line.pop_back();
    auto message = wire::decode_from_control(line);
    REQUIRE(message);
    const auto& body = std::get<wire::QuestionAnswer>(message->body);
    CHECK(body.question == "7");
    prompt::Answer back = from_wire(body);
    CHECK(back.kind == kind);
    CHECK(back.scope == answer.scope);
    CHECK(back.comment == answer.comment);
    CHECK(back.digest == answer.digest);
  }
}

TEST_CASE("what became of a question is said in words") {
  using Kind = wire::Verdict::Kind;
  auto words = [](Kind verdict, const char* by) { return words_for({.question = "7", .verdict = verdict, .by = by}); };
  CHECK(words(Kind::allow, "terminal") == "was allowed at the session's own terminal");
  CHECK(words(Kind::deny, "control") == "was denied elsewhere");
  CHECK(words(Kind::deny, "limit") == "was denied: no more questions of this session are answered");
  CHECK(words(Kind::deny, "something later") == "was denied");
  CHECK(words(Kind::expired, "clock") == "expired: nobody answered in time");
  CHECK(words(Kind::cancelled, "requester") == "was given up by who asked");
  CHECK(words(Kind::unavailable, "fault") == "is denied: its session has ended or can't go on");
}

// A clock that is set, forward or back, neither prolongs a question nor ends it.
static_assert(prompt::Clock::is_steady);

TEST_CASE("a flood goes over the wire and comes back as it was, with the time that is left") {
  const Moment here{.here = prompt::Clock::time_point(1h), .wall = wall};
  prompt::Flood flood{.session = "pi-3fa2",
                      .profile = "pi",
                      .questions = 10,
                      .within = 600s,
                      .more = 20,
                      .waiting = 3,
                      .latest = {"cp a b", "x\xff"},
                      .deadline = here.here + 42s};
  using Agent = prompt::Flood::Agent;
  for (const Agent agent : {Agent::runs, Agent::paused, Agent::elsewhere}) {
    flood.agent = agent;
    const prompt::Clock::time_point later(5h);
    const prompt::Flood back = flood_of(to_wire(flood, here), later);
    CHECK(back.session == flood.session);
    CHECK(back.profile == flood.profile);
    CHECK(back.questions == 10);
    CHECK(back.within == 600s);
    CHECK(back.more == 20);
    CHECK(back.waiting == 3);
    CHECK(back.latest == flood.latest);
    CHECK(back.deadline == later + 42s);
    CHECK(back.agent == agent);
  }
  flood.deadline = {};
  flood.latest.assign(300, "x");
  CHECK(to_wire(flood, here).deadline == 0);
  CHECK(to_wire(flood, here).latest.size() == 100);
  CHECK(summary_of(flood) == "asks too often: 10 questions in 10 minutes; 3 wait");
  using Choice = prompt::Banner::Choice;
  for (const Choice choice : {Choice::pause, Choice::deny_rest, Choice::go_on}) {
    CHECK(from_wire(to_wire(choice)) == choice);
  }
}
