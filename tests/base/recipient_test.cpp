// The grammar of those who get messages: what has one spelling, and what is nobody.

#include "agentbox/base/recipient.hpp"

#include <catch2/catch.hpp>

using namespace agentbox::base;

namespace {

using Kind = Recipient::Kind;

std::string normal(std::string_view text) {
  auto parsed = parse_recipient(text);
  return parsed ? parsed->text : "refused: " + parsed.error();
}
bool is_refused(std::string_view text) {
  return !parse_recipient(text).has_value();
}
std::string rule(std::string_view text) {
  auto parsed = parse_recipient_rule(text);
  return parsed ? *parsed : "refused: " + parsed.error();
}

}  // namespace

TEST_CASE("a recipient has one spelling") {
  CHECK(normal("alice@example.org") == "alice@example.org");
  CHECK(normal("Alice.B+x@EXAMPLE.Org") == "Alice.B+x@example.org");
  CHECK(normal("Alice B <alice@Example.org>") == "alice@example.org");
  CHECK(normal("<alice@example.org>") == "alice@example.org");
  CHECK(normal("o'brien@example.org") == "o'brien@example.org");
  CHECK(normal("root@localhost") == "root@localhost");
  CHECK(normal("+1 (555) 010-20") == "+155501020");
  CHECK(normal("alice.01") == "alice.01");
  CHECK(normal("@alice:example.org") == "@alice:example.org");
  CHECK(normal("aGVsbG8=/x") == "aGVsbG8=/x");
  CHECK(parse_recipient("a@b.c")->kind == Kind::mail);
  CHECK(parse_recipient("+1555010")->kind == Kind::number);
  CHECK(parse_recipient("#room")->kind == Kind::name);
}

TEST_CASE("whatever could be an option, a second recipient, a header or a route is nobody") {
  for (std::string_view text : {"",
                                "-x",
                                "--all",
                                "-f@example.org",
                                " a@b.c",
                                "a@b.c ",
                                "a@b.c\n",
                                "a@b.c\nBcc: d@e.f",
                                "a@b.c\r\nX: y",
                                "a@b.c, d@e.f",
                                "a@b.c;d@e.f",
                                "a@b.c d@e.f",
                                "a@b@c",
                                "@",
                                "a@",
                                "a@.",
                                "a@b..c",
                                "a@-b.c",
                                "a@b_c.d",
                                ".a@b.c",
                                "a.@b.c",
                                "a..b@c.d",
                                "a%b@c.d",
                                "a!b@c.d",
                                "|cmd@b.c",
                                "/etc/x@b.c",
                                "`id`@b.c",
                                "$(id)@b.c",
                                "\"a b\"@c.d",
                                "a(b)@c.d",
                                "a@[127.0.0.1]",
                                "a@127.0.0.1",
                                "a@0x7f.1",
                                "a@b.c>",
                                "<a@b.c",
                                "A <B <a@b.c>",
                                "x@y.z <a@b.c>",
                                "a@b.c, Me <me@b.c>",
                                "Me: <a@b.c>",
                                "Me <-x@b.c>",
                                "Me <alice>",
                                "<>",
                                "A <>",
                                "+12",
                                "+1234567890123456",
                                "+12x45",
                                "al ice",
                                "a\\b",
                                "a\"b",
                                "a{to}b",
                                "a*b",
                                "*@example.org",
                                "a@b.c\x7f",
                                "\xff@b.c"}) {
    INFO(text);
    CHECK(is_refused(text));
  }
  CHECK(is_refused(std::string("a@b.c\0d", 7)));
  CHECK(is_refused(std::string(65, 'a') + "@b.c"));
  CHECK(is_refused(std::string(300, 'a')));
  // Letters that look like others, or turn the line around.
  CHECK(normal("аlice@example.org") == "refused: 'а' is not allowed in a mail address");
  CHECK(is_refused("alice@exаmple.org"));
  CHECK(is_refused("alice@example.org\u202e"));
  CHECK(is_refused("al\u200bice@example.org"));
  CHECK(is_refused("\u202egro.elpmaxe <a@b.c>"));
}

TEST_CASE("a normal form is its own normal form") {
  for (std::string_view text : {"A <a.b+c@D.E>", "+1 555 010", "x.01", "@m:s.org"})
    CHECK(normal(normal(text)) == normal(text));
}

TEST_CASE("rules are recipients and three patterns") {
  CHECK(rule("Me <me@Example.org>") == "me@example.org");
  CHECK(rule("*@Example.org") == "*@example.org");
  CHECK(rule("*@*.Example.org") == "*@*.example.org");
  CHECK(rule("me+*@example.org") == "me+*@example.org");
  for (std::string_view text : {"*", "a*@b.c", "*a@b.c", "a@*", "*@*", "a@*.b.c", "a+*@*.b.c", "*@b.*", "**@b.c",
                                "+1555*", "al*", "+*@b.c+", "a+b+*@c.d", "-+*@b.c", "*@"}) {
    INFO(text);
    CHECK(rule(text).starts_with("refused: "));
  }
}

TEST_CASE("a pattern covers what it says, and nothing beside it") {
  CHECK(recipient_covers("*@example.org", "a@example.org"));
  CHECK_FALSE(recipient_covers("*@example.org", "a@sub.example.org"));
  CHECK_FALSE(recipient_covers("*@example.org", "a@example.org.evil.net"));
  CHECK_FALSE(recipient_covers("*@example.org", "a@notexample.org"));
  CHECK_FALSE(recipient_covers("*@example.org", "@example.org"));
  CHECK(recipient_covers("*@*.example.org", "a@sub.example.org"));
  CHECK(recipient_covers("*@*.example.org", "a@x.sub.example.org"));
  CHECK_FALSE(recipient_covers("*@*.example.org", "a@example.org"));
  CHECK_FALSE(recipient_covers("*@*.example.org", "a@notexample.org"));
  CHECK(recipient_covers("me+*@example.org", "me+notes@example.org"));
  CHECK_FALSE(recipient_covers("me+*@example.org", "me@example.org"));
  CHECK_FALSE(recipient_covers("me+*@example.org", "you+notes@example.org"));
  CHECK_FALSE(recipient_covers("me+*@example.org", "me+@example.org"));
  CHECK_FALSE(recipient_covers("me@example.org", "me+notes@example.org"));
  CHECK_FALSE(recipient_covers("me@example.org", "Me@example.org"));
  CHECK(recipient_covers("*@example.org", "*@example.org"));
  CHECK(recipient_covers("*@example.org", "me+*@example.org"));
}

TEST_CASE("loosely, case and tag are gone") {
  CHECK(loosely("Alice+x@example.org") == "alice@example.org");
  CHECK(loosely("+1555010") == "+1555010");
  CHECK(loosely("+x@example.org") == "+x@example.org");
  CHECK(loosely("Bob.01") == "bob.01");
}
