#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "approve.hpp"

using namespace agentbox;
using namespace agentbox::cli;
using Json = nlohmann::json;

namespace {

wire::WireQuestion question(std::string subject) {
  return {.id = "7", .session = "pi-3fa2", .digest = std::string(64, 'd'), .subject = std::move(subject)};
}

}  // namespace

TEST_CASE("an event is one line of ASCII with the question as it stands on the wire") {
  const std::string line = json_line("added", "pi-3fa2", question("é\x1b[2J\n\u202e"));
  CHECK(line.find_first_not_of(" !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`"
                               "abcdefghijklmnopqrstuvwxyz{|}~") == std::string::npos);
  Json json = Json::parse(line);
  CHECK(json["event"] == "added");
  CHECK(json["session"] == "pi-3fa2");
  CHECK(json["question"]["id"] == "7");
  CHECK(json["question"]["subject"] == "é\x1b[2J\n\u202e");
  CHECK(json["question"]["form"] == "raw");
}

TEST_CASE("bytes that are no text are told apart from text") {
  CHECK(Json::parse(json_line("open", "s", question("a\xff")))["question"]["subject"] == Json{{"base64", "Yf8="}});
}

TEST_CASE("a question that goes, and what became of an answer") {
  CHECK(json_line("s", {.question = "7", .verdict = wire::Verdict::Kind::expired, .by = "clock"}) ==
        R"({"event":"gone","session":"s","id":"7","verdict":"expired","by":"clock"})");
  CHECK(json_line("s", "7", "always", "git push origin *",
                  {.outcome = wire::AnswerTaken::Outcome::taken, .reason = ""}) ==
        R"({"session":"s","id":"7","answer":"always","remembered":"git push origin *","outcome":"taken","reason":""})");
  CHECK(json_line("s", "7", "deny", "", {.outcome = wire::AnswerTaken::Outcome::gone, .reason = "late"}) ==
        R"({"session":"s","id":"7","answer":"deny","outcome":"gone","reason":"late"})");
}

TEST_CASE("a session or a scope that is no UTF-8 does not break the line") {
  CHECK_NOTHROW(Json::parse(json_line("s\xff", "7", "always", "x\xff", {})));
  CHECK_NOTHROW(Json::parse(json_line("added", "s\xff", question("x"))));
}

TEST_CASE("a session that asks too much, and one that is calm again") {
  CHECK(json_line("s", wire::WireFlood{.session = "s",
                                       .profile = "pi",
                                       .questions = 10,
                                       .within = 600,
                                       .more = 10,
                                       .waiting = 2,
                                       .agent = wire::WireFlood::Agent::paused,
                                       .latest = {"a\xff"},
                                       .deadline = 5,
                                       .sent = 4}) ==
        R"({"event":"flood","session":"s","flood":{"session":"s","profile":"pi","questions":10,"within":600,"more":10,)"
        R"("waiting":2,"agent":"paused","latest":[{"base64":"Yf8="}],"deadline":5,"sent":4}})");
  CHECK(json_line_calm("s") == R"({"event":"calm","session":"s"})");
}
