// What may change of a question while it is on the screen: the second opinion, what a yes takes, that it was allowed.

#include <string>

#include <catch2/catch.hpp>

#include "pages.hpp"

using namespace agentbox::test;
using agentbox::prompt::Opinion;
using Says = Opinion::Says;

namespace {

Question reviewed(Says says, Question question = with_deadline(push())) {
  question.opinion = Opinion{.says = says, .risk = 8, .reason = "it pushes to \033[2Jmain"};
  return question;
}

// The reviewer was asked, and a yes takes the friction until it agrees.
Question two_of_two() {
  Question question = with_deadline(push());
  question.opinion = Opinion{};
  question.phrase = "anyway b194";
  question.earliest = start + 20s;
  return question;
}

const std::string end_key = "\033[F";

bool shows(const Asked& asked, const std::string& text) {
  return asked.grid.text().find(text) != std::string::npos;
}

}  // namespace

TEST_CASE("the reviewer's note comes to a question that is on the screen, escaped, and answers nothing") {
  Question question = with_deadline(push());
  question.opinion = Opinion{};
  Asked asked(question, 30);
  asked.ready();
  CHECK(shows(asked, "has not answered yet"));
  asked.page.update(reviewed(Says::objects), asked.now);
  asked.draw(Draw::changes);
  CHECK(shows(asked, "second opinion, of a model"));
  CHECK(shows(asked, "risk 8 of 10: it pushes to \\x1b[2Jmain"));
  CHECK(shows(asked, "allow once"));
  CHECK(asked.grid.mistake().empty());
  // Whoever was about to press a key meant what stood there before.
  CHECK_FALSE(asked.page.type("o", asked.now + 699ms));
  asked.wait(1s);
  CHECK(asked.type("o")->kind == Answer::Kind::once);
}

TEST_CASE("the reviewer's note is seen by whoever was choosing for how long the yes holds, or what to comment") {
  Question question = with_deadline(push());
  question.opinion = Opinion{};
  for (const std::string keys : {"s", "a", "sc", "ac"}) {
    INFO(keys);
    Asked asked(question, 30);
    asked.ready();
    for (const char key : keys) asked.type(std::string(1, key));
    REQUIRE_FALSE(shows(asked, "allow once"));
    asked.wait(2s);
    asked.page.update(reviewed(Says::objects), asked.now);
    asked.wait(2s);
    if (keys.size() == 2) asked.type("\r");
    asked.draw(Draw::changes);
    CHECK(shows(asked, "risk 8 of 10"));
    CHECK(shows(asked, "allow once"));
    CHECK(asked.type("o")->kind == Answer::Kind::once);
  }
}

TEST_CASE("agreement, silence and objection are told apart") {
  for (const auto& [says, word] :
       {std::pair(Says::agrees, "agrees"), std::pair(Says::objects, "objects"), std::pair(Says::silent, "is silent")}) {
    Asked asked(reviewed(says), 30);
    asked.ready();
    CHECK(shows(asked, word));
  }
}

TEST_CASE("before its time o allows nothing, whatever was typed; afterwards it takes the phrase") {
  Asked asked(two_of_two(), 30);
  asked.ready();
  CHECK(shows(asked, "allow: in 0:20"));
  CHECK_FALSE(asked.type("o"));
  CHECK(shows(asked, "a yes is not possible yet"));
  for (char c : std::string("1944\r")) CHECK_FALSE(asked.type(std::string(1, c)));
  CHECK_FALSE(asked.type("o"));
  asked.now = start + 20s;
  asked.draw();
  CHECK(shows(asked, "allow: type anyway b194"));
  CHECK_FALSE(asked.type("o"));
  for (char c : std::string("anyway b194\r")) CHECK_FALSE(asked.type(std::string(1, c)));
  const auto answer = asked.type("o");
  REQUIRE(answer);
  CHECK(answer->phrase == "anyway b194");
}

TEST_CASE("once the reviewer agrees o allows, and a phrase that was half typed is none") {
  Asked asked(two_of_two(), 30);
  asked.ready();
  asked.now = start + 21s;
  asked.draw();
  CHECK_FALSE(asked.type("o"));
  CHECK_FALSE(asked.type("a"));
  asked.page.update(reviewed(Says::agrees), asked.now);
  asked.draw(Draw::changes);
  CHECK_FALSE(asked.page.type("o", asked.now + 600ms));
  asked.wait(1s);
  CHECK(shows(asked, "allow once"));
  const auto answer = asked.type("o");
  REQUIRE(answer);
  CHECK(answer->kind == Answer::Kind::once);
  CHECK(answer->phrase.empty());
}

TEST_CASE("a no is possible all the time") {
  Asked asked(two_of_two(), 30);
  asked.ready();
  CHECK(asked.type("d")->kind == Answer::Kind::deny);
}

TEST_CASE("where the note makes it longer than the screen, the end must be seen again") {
  Question question = with_deadline(push());
  question.opinion = Opinion{};
  Asked asked(question, 22, 44);
  asked.ready();
  asked.type(end_key);
  Question longer = reviewed(Says::objects);
  longer.opinion->reason = std::string(190, 'x');
  asked.page.update(longer, asked.now);
  asked.wait(1s);
  asked.page.update(longer, asked.now);  // the same again changes nothing
  CHECK(shows(asked, "read to the end first"));
  CHECK_FALSE(asked.type("o"));
  asked.type(end_key);
  CHECK(asked.type("o").has_value());
}

TEST_CASE("another question's change is not taken") {
  Asked asked(with_deadline(push()));
  asked.ready();
  Question other = reviewed(Says::objects);
  other.digest = std::string(64, '0');
  asked.page.update(other, asked.now);
  CHECK(asked.type("o").has_value());
}

TEST_CASE("what was allowed and waits can be cancelled, and nothing else") {
  Question question = with_deadline(push(), 30s);
  question.stage = Question::Stage::delayed;
  for (const char* key : {"o", "s", "a", "\r", "y"}) {
    Asked asked(question, 30);
    asked.ready();
    CHECK(shows(asked, "done in 0:"));
    CHECK(shows(asked, "it was allowed and waits: d cancels it"));
    CHECK_FALSE(shows(asked, "allow once"));
    CHECK_FALSE(asked.type(key));
    CHECK(asked.type("d")->kind == Answer::Kind::deny);
  }
  Asked late(question, 30);
  late.ready();
  late.wait(31s);
  CHECK(shows(late, "too late: it is being done"));
  CHECK_FALSE(late.type("d"));
}
