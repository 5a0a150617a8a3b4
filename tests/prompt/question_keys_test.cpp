// What keys do on a question. The rules are those at the top of question.hpp.

#include <string>

#include <catch2/catch.hpp>

#include "agentbox/base/escape.hpp"

#include "pages.hpp"

using namespace agentbox::test;

namespace {

constexpr std::string_view ctrl_c = "\003";
const std::string down = "\033[B", page_down = "\033[6~", end = "\033[F", home = "\033[H";

// Long enough to be scrolled.
Question long_one() {
  return with_deadline(letter());
}

}  // namespace

TEST_CASE("before the first drawing and within the quiet period no byte does anything") {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string key(1, static_cast<char>(byte));
    Asked asked(with_deadline(push()));
    CHECK_FALSE(asked.page.type(key, asked.now));
    asked.draw();
    CHECK_FALSE(asked.type(key));
    asked.now = start + 699ms;
    CHECK_FALSE(asked.page.type(key, asked.now));
    CHECK(asked.grid.mistake().empty());
  }
}

TEST_CASE("after the quiet period one byte allows, and two bytes and Ctrl-C deny") {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string key(1, static_cast<char>(byte));
    Asked asked(with_deadline(push()));
    asked.ready();
    const auto answer = asked.type(key);
    INFO("byte " << byte);
    if (key == "o") {
      REQUIRE(answer);
      CHECK(answer->kind == Answer::Kind::once);
      CHECK(answer->digest == push().digest);
    } else if (key == "d" || key == ctrl_c) {
      REQUIRE(answer);
      CHECK(answer->kind == Answer::Kind::deny);
    } else if (key == "D") {
      REQUIRE(answer);
      CHECK(answer->kind == Answer::Kind::deny_session);
    } else {
      CHECK_FALSE(answer);
    }
  }
}

TEST_CASE("a key that came in the quiet period does not lengthen it") {
  Asked asked(with_deadline(push()));
  asked.draw();
  for (int i = 0; i < 3; ++i) CHECK_FALSE(asked.type("o"));
  asked.now = start + 700ms;
  CHECK(asked.page.type("o", asked.now).has_value());
}

TEST_CASE("the quiet period begins anew when it is asked for") {
  Asked asked(with_deadline(push()));
  asked.ready();
  asked.page.be_quiet(asked.now);
  CHECK_FALSE(asked.type("o"));
  asked.wait(700ms);
  CHECK(asked.type("o").has_value());
}

TEST_CASE("keys that come together never answer") {
  for (const char* keys : {"oo", "o\n", "o\r", "y\n", "\no", " o", "do", "od", "\003\003", "xo", "o\033[B", "\033[Bo",
                           "\033o", "\xc3o", "\xc3\xa4o"}) {
    Asked asked(with_deadline(push()));
    asked.ready();
    INFO(keys);
    CHECK_FALSE(asked.type(keys));
  }
  // Nor when they are cut into reads.
  Asked asked(with_deadline(push()));
  asked.ready();
  asked.now += 200ms;
  CHECK_FALSE(asked.page.type("x", asked.now));
  CHECK_FALSE(asked.page.type("o", asked.now + 99ms));
  asked.draw(Draw::changes);
  CHECK(asked.grid.shows("several keys at once are not taken"));
  asked.now += 99ms;
  CHECK(asked.type("o").has_value());
}

TEST_CASE("pasted text never answers, however it is cut") {
  const std::string paste = "\033[200~o\033[201~";
  for (std::size_t cut = 0; cut <= paste.size(); ++cut) {
    Asked asked(with_deadline(push()));
    asked.ready();
    INFO("cut at " << cut);
    CHECK_FALSE(asked.type(paste.substr(0, cut)));
    CHECK_FALSE(asked.page.type(paste.substr(cut), asked.now + 10ms));
    asked.draw(Draw::changes);
    CHECK(asked.grid.shows("pasted text is not taken as an answer"));
    CHECK(asked.type("o").has_value());
  }
  // A slow one, key by key.
  Asked asked(with_deadline(push(), 1h));
  asked.ready();
  CHECK_FALSE(asked.type("\033[200~"));
  for (int i = 0; i < 10; ++i) CHECK_FALSE(asked.type("o"));
  CHECK_FALSE(asked.type("\033[201~"));
  CHECK(asked.type("o").has_value());
}

TEST_CASE("a sequence that is cut into reads is not taken for keys") {
  for (const std::string& whole : {std::string("\033[o"), std::string("\033Oo"), std::string("\033[1;2o"),
                                   std::string("\033]11;rgb:o\033\\"), std::string("\033P1$o\033\\")}) {
    Asked asked(with_deadline(push()));
    asked.ready();
    for (char byte : whole) {
      asked.now += 20ms;
      CHECK_FALSE(asked.page.type(std::string(1, byte), asked.now));
    }
    asked.draw(Draw::changes);
    CHECK(asked.type("o").has_value());
  }
}

TEST_CASE("after the deadline nothing counts, and the page says so") {
  Asked asked(with_deadline(push()));
  asked.ready();
  asked.now = start + 102s;
  asked.draw(Draw::changes);
  CHECK(asked.grid.shows("too late: it counts as denied"));
  for (const char* key : {"o", "d", "D", "s", "a"}) CHECK_FALSE(asked.type(key));
}

TEST_CASE("a question without a deadline stays") {
  Asked asked(push());
  asked.ready();
  asked.wait(24h);
  CHECK(asked.type("o").has_value());
}

TEST_CASE("allow works when the end has been on the screen, not before; denying works always") {
  Asked asked(long_one());
  asked.ready();
  CHECK(asked.grid.shows("read to the end first"));
  for (const char* key : {"o", "s"}) CHECK_FALSE(asked.type(key));
  CHECK(asked.grid.shows("read to the end first"));
  int pages = 0;
  while (asked.grid.shows("read to the end first")) {
    REQUIRE(++pages < 10);
    CHECK_FALSE(asked.type(page_down));
  }
  CHECK(pages >= 2);
  CHECK_FALSE(asked.type(home));
  CHECK_FALSE(asked.grid.shows("read to the end first"));  // it stays read
  CHECK(asked.type("o").has_value());

  Asked other(long_one());
  other.ready();
  CHECK(other.type("d").has_value());
}

TEST_CASE("the end counts only once it has been drawn") {
  Asked asked(long_one());
  asked.ready();
  asked.now += 200ms;
  CHECK_FALSE(asked.page.type(end, asked.now));
  asked.now += 200ms;
  CHECK_FALSE(asked.page.type("o", asked.now));
  asked.draw(Draw::changes);
  CHECK(asked.type("o").has_value());
}

TEST_CASE("a subject that is longer than the screen has to be scrolled, too") {
  Asked asked(with_deadline(longest()));
  asked.ready();
  CHECK_FALSE(asked.type("o"));
  CHECK_FALSE(asked.type(end));
  CHECK(asked.type("o").has_value());
}

TEST_CASE("what was read before a resize stays read, and what was not does not become so") {
  Asked asked(long_one(), 60, 120);
  asked.ready();  // all of it is visible
  asked.resize(24, 80);
  CHECK_FALSE(asked.grid.shows("read to the end first"));
  CHECK(asked.type("o").has_value());

  Asked other(long_one());
  other.ready();
  other.resize(12, 40);
  CHECK_FALSE(other.type("o"));
  other.resize(60, 120);
  CHECK(other.type("o").has_value());
}

TEST_CASE("a resize keeps the same text at the top") {
  Asked asked(with_deadline(longest()));
  asked.ready();
  for (int i = 0; i < 3; ++i) CHECK_FALSE(asked.type(page_down));
  const std::string before = asked.grid.row(4);
  REQUIRE(before.find("folder") != std::string::npos);
  asked.resize(30, 80);
  CHECK(asked.grid.row(4) == before);
  asked.resize(24, 100);
  asked.resize(24, 80);
  CHECK(asked.grid.row(4).find("documents/a folder") != std::string::npos);
}

TEST_CASE("in a window that is too small only denials work") {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string key(1, static_cast<char>(byte));
    Asked asked(with_deadline(push()), 5, 20);
    asked.ready();
    const auto answer = asked.type(key);
    INFO("byte " << byte);
    CHECK(answer.has_value() == (key == "d" || key == "D" || key == ctrl_c));
    CHECK(asked.grid.mistake().empty());
  }
}

TEST_CASE("s shows what would be remembered for the session; o allows it") {
  Asked asked(with_deadline(push()));
  asked.ready();
  CHECK_FALSE(asked.type("s"));
  CHECK(asked.grid.shows("allow until this session ends"));
  CHECK(asked.grid.shows("> 1   git push origin main"));
  CHECK(asked.grid.shows("  2   git push origin *"));
  asked.wait(300ms);
  const auto answer = asked.type("o");
  REQUIRE(answer);
  CHECK(answer->kind == Answer::Kind::session);
  CHECK(answer->scope == 0);
}

TEST_CASE("a scope is chosen by its number or the arrows, which allow nothing") {
  for (const auto& [key, scope] :
       {std::pair<std::string, std::size_t>("2", 1), {down, 1}, {"1", 0}, {"9", 0}, {"j", 1}}) {
    Asked asked(with_deadline(push()));
    asked.ready();
    CHECK_FALSE(asked.type("a"));
    CHECK(asked.grid.shows("allow always"));
    CHECK_FALSE(asked.type(key));
    asked.wait(300ms);
    const auto answer = asked.type("o");
    REQUIRE(answer);
    CHECK(answer->kind == Answer::Kind::always);
    CHECK(answer->scope == scope);
  }
}

TEST_CASE("what would be remembered must have been on the screen for a moment") {
  Asked asked(with_deadline(push()));
  asked.ready();
  asked.now += 200ms;
  CHECK_FALSE(asked.page.type("s", asked.now));
  asked.now += 200ms;
  CHECK_FALSE(asked.page.type("o", asked.now));  // never drawn
  asked.draw(Draw::changes);
  asked.now += 299ms;
  CHECK_FALSE(asked.page.type("o", asked.now));
  asked.now += 101ms;
  CHECK(asked.page.type("o", asked.now).has_value());
}

TEST_CASE("a key that is held down never allows for longer") {
  for (const char* key : {"s", "a"}) {
    Asked asked(with_deadline(push()));
    asked.ready();
    for (int i = 0; i < 100; ++i) CHECK_FALSE(asked.type(key));
  }
}

TEST_CASE("a scope that is longer than the screen is read to its end first") {
  Asked asked(with_deadline(longest()));
  asked.ready();
  CHECK_FALSE(asked.type(end));
  CHECK_FALSE(asked.type("s"));
  asked.wait(300ms);
  CHECK_FALSE(asked.type("o"));
  CHECK(asked.grid.shows("read to the end first"));
  for (int i = 0; i < 400 && asked.grid.shows("read to the end first"); ++i) CHECK_FALSE(asked.type(down));
  CHECK(asked.type("o").has_value());
}

TEST_CASE("a sequence that has begun and has no end holds the keyboard only for a moment") {
  for (const char* begun : {"\033]", "\033P", "\033_", "\033[1;2", "\033O", "\033]11;rgb", "\033]x\033", "\xc3"}) {
    INFO(agentbox::base::escape(begun));
    Asked asked(push(), 30);
    asked.ready();
    CHECK_FALSE(asked.type(begun));
    asked.wait(1s);
    if (std::string_view(begun) != "\033]x\033") CHECK(asked.grid.shows("that key does nothing here"));
    CHECK(asked.type("d")->kind == Answer::Kind::deny);
  }
  // Nor is Ctrl-C ever part of one.
  Asked asked(push(), 30);
  asked.ready();
  CHECK_FALSE(asked.type("\033]"));
  CHECK(asked.type("\003")->kind == Answer::Kind::deny);
}

TEST_CASE("a paste that stops in the middle becomes no keys, and one key that is pressed much later ends it") {
  Asked asked(push(), 30);
  asked.ready();
  CHECK_FALSE(asked.type("\033[200~abc"));
  asked.wait(1s);
  CHECK_FALSE(asked.type("d"));  // it goes on
  asked.wait(10s);
  CHECK_FALSE(asked.type("do"));
  asked.wait(10s);
  CHECK_FALSE(asked.type("d"));
  asked.draw(Draw::changes);
  CHECK(asked.grid.shows("that key does nothing here"));
  CHECK(asked.type("d")->kind == Answer::Kind::deny);
}

TEST_CASE("Escape leads back from a choice and never answers") {
  Asked asked(with_deadline(push()));
  asked.ready();
  CHECK_FALSE(asked.type("\033"));
  asked.wait(50ms);
  CHECK(asked.grid.shows("Escape does nothing here"));
  CHECK_FALSE(asked.type("s"));
  CHECK_FALSE(asked.type("\033"));
  asked.wait(50ms);
  CHECK(asked.grid.shows("exactly this"));
  const auto answer = asked.type("o");
  REQUIRE(answer);
  CHECK(answer->kind == Answer::Kind::once);
}

TEST_CASE("always is offered only where there is something to remember, and the page says why not") {
  Asked asked(with_deadline(make()));
  asked.ready();
  CHECK_FALSE(asked.grid.shows(" a  always"));
  CHECK_FALSE(asked.type("a"));
  CHECK(asked.grid.shows("always is not offered: it runs files that the agent can write"));
  CHECK_FALSE(asked.type("i"));
  CHECK(asked.grid.shows("not offered: it runs files that the agent can write"));
}

TEST_CASE("details show hashes in full, and go again") {
  Asked asked(with_deadline(push()));
  asked.ready();
  const std::string before = asked.grid.row(4) + asked.grid.row(11) + asked.grid.row(14);
  CHECK(asked.grid.shows("e3b0c44298fc1c14…"));
  CHECK_FALSE(asked.grid.shows("pi.toml:14"));
  CHECK_FALSE(asked.type("i"));
  CHECK(asked.grid.shows("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
  CHECK(asked.grid.shows("pi.toml:14"));
  CHECK(asked.grid.shows(push().digest));
  CHECK_FALSE(asked.type("i"));
  CHECK(asked.grid.row(4) + asked.grid.row(11) + asked.grid.row(14) == before);
}

TEST_CASE("a comment goes with whatever is answered, and its letters are no keys") {
  Asked asked(with_deadline(push()));
  asked.ready();
  CHECK_FALSE(asked.type("c"));
  for (const char* key : {"o", "d", "D", "s", "\xc3", "\xa4", "x", "\177", "\r"}) CHECK_FALSE(asked.type(key));
  CHECK(asked.grid.shows("comment"));
  const auto answer = asked.type("d");
  REQUIRE(answer);
  CHECK(answer->kind == Answer::Kind::deny);
  CHECK(answer->comment == "odDsä");
}

TEST_CASE("Escape drops what was typed, Ctrl-U all of it, and Ctrl-C denies without it") {
  Asked asked(with_deadline(push()));
  asked.ready();
  CHECK_FALSE(asked.type("c"));
  CHECK_FALSE(asked.type("abc"));
  CHECK_FALSE(asked.type("\033"));
  asked.wait(50ms);
  CHECK_FALSE(asked.type("c"));
  CHECK_FALSE(asked.type("def"));
  CHECK_FALSE(asked.type("\025"));
  CHECK_FALSE(asked.type("g\r"));
  CHECK_FALSE(asked.type("c"));
  CHECK_FALSE(asked.type("zzz"));
  const auto answer = asked.type(ctrl_c);
  REQUIRE(answer);
  CHECK(answer->kind == Answer::Kind::deny);
  CHECK(answer->comment == "g");
}

TEST_CASE("pasted text may be a comment: one line, harmless, at most 500 bytes") {
  Asked asked(with_deadline(push()));
  asked.ready();
  CHECK_FALSE(asked.type("c"));
  CHECK_FALSE(asked.type("\033[200~use\nthe \033[31mstaging\033[201~"));
  CHECK(asked.grid.shows("comment: use the  [31mstaging"));
  CHECK_FALSE(asked.type("\033[200~" + std::string(5000, 'x') + "\xc3\xa4\033[201~"));
  CHECK_FALSE(asked.type("\r"));
  const auto answer = asked.type("o");
  REQUIRE(answer);
  CHECK(answer->comment.size() == 500);
  CHECK(asked.grid.mistake().empty());
}

TEST_CASE("an unknown key says what would help") {
  Asked asked(with_deadline(push()));
  asked.ready();
  for (const char* key : {"\r", "y", "1", " ", "\033[15~", "\t", "ä"}) {
    CHECK_FALSE(asked.type(key));
    CHECK(asked.grid.shows("that key does nothing here: o allows, d denies"));
  }
}

TEST_CASE("with a way back q leaves the question, unanswered; without one it does nothing") {
  Asked without(with_deadline(push()));
  without.ready();
  CHECK_FALSE(without.type("q"));
  CHECK_FALSE(without.page.left());
  Asked with(with_deadline(push()));
  with.page.set_way_back(QuestionPage::WayBack::offered);
  CHECK_FALSE(with.page.type("q", with.now));
  CHECK_FALSE(with.page.left());  // typed before it was there
  with.ready();
  CHECK_FALSE(with.type("qo"));
  CHECK_FALSE(with.page.left());
  CHECK_FALSE(with.type("q"));
  CHECK(with.page.left());
  with.wait(1s);
  CHECK_FALSE(with.type("o"));  // it was left
}

TEST_CASE("q within a comment is a letter") {
  Asked asked(with_deadline(push()));
  asked.page.set_way_back(QuestionPage::WayBack::offered);
  asked.ready();
  CHECK_FALSE(asked.type("c"));
  asked.wait(1s);
  CHECK_FALSE(asked.type("q"));
  CHECK_FALSE(asked.page.left());
  asked.wait(1s);
  CHECK_FALSE(asked.type("\r"));
  asked.wait(1s);
  const auto answer = asked.type("d");
  REQUIRE(answer);
  CHECK(answer->comment == "q");
}

TEST_CASE("where a phrase is wanted, o asks for it, and only o after it was typed allows") {
  Question question = with_deadline(push());
  question.phrase = "60.00";
  question.session_scopes.clear();
  question.lasting_scopes.clear();
  Asked asked(question);
  asked.ready();
  auto type = [&](std::string_view text) {
    std::optional<Answer> last;
    for (char c : text) last = asked.type(std::string(1, c));
    return last;
  };
  asked.draw();
  CHECK(asked.grid.text().find("allow: type 60.00") != std::string::npos);
  CHECK_FALSE(asked.type("o"));
  SECTION("typed, and o again") {
    CHECK_FALSE(type("60.00"));
    CHECK_FALSE(asked.type("\r"));
    const auto answer = asked.type("o");
    REQUIRE(answer);
    CHECK(answer->kind == Answer::Kind::once);
    CHECK(answer->phrase == "60.00");
  }
  SECTION("something else, nothing, or half of it allows nothing") {
    for (const char* wrong : {"", "6", "60.0", "60.000", "60,00", "o"}) {
      CHECK_FALSE(type(wrong));
      CHECK_FALSE(asked.type("\r"));
      CHECK_FALSE(asked.type("o"));  // asks again
    }
    CHECK_FALSE(type("60.00"));
    CHECK_FALSE(asked.type("\033"));
  }
  SECTION("Ctrl-C and d still deny, and carry no phrase") {
    CHECK_FALSE(type("60.00"));
    CHECK_FALSE(asked.type("\r"));
    const auto answer = asked.type("d");
    REQUIRE(answer);
    CHECK(answer->kind == Answer::Kind::deny);
    CHECK(answer->phrase.empty());
  }
  SECTION("Ctrl-C denies while it is typed") {
    CHECK(asked.type(ctrl_c)->kind == Answer::Kind::deny);
  }
}
