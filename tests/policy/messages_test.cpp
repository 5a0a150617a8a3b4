// [messages]: to whom a message may go, what one must be, and what becomes an argument of a program.

#include "agentbox/policy/messages.hpp"

#include <catch2/catch.hpp>

#include "agentbox/base/recipient.hpp"
#include "agentbox/policy/budget.hpp"
#include "agentbox/profile/parse.hpp"

#include "actions.hpp"

using namespace agentbox;
using namespace agentbox::policy;
using profile::MessageFormat;

namespace {

profile::List<profile::RecipientRule> recipients(std::vector<std::string> texts) {
  std::vector<profile::RecipientRule> rules;
  for (std::string& text : texts) {
    auto rule = base::parse_recipient_rule(text);
    INFO(text);
    REQUIRE(rule);
    rules.push_back({*rule});
  }
  return test::lines(std::move(rules));
}

Rules::Way email() {
  return {.name = "email", .send = {"sendmail", "-t", "-oi"}, .post = {}, .format = MessageFormat::mail};
}
Rules::Way texting() {
  return {.name = "signal", .send = {"signal-cli", "send", "{to}"}, .post = {}, .format = MessageFormat::text};
}

Rules granting() {
  Rules rules;
  rules.messages.lists.default_ = profile::Default::ask;
  rules.messages.self = recipients({"me@example.org", "+1555010"});
  rules.messages.lists.allow = recipients({"*@family.example"});
  rules.messages.lists.ask = recipients({"boss@example.org", "aunt@family.example"});
  rules.messages.lists.deny = recipients({"press@example.org", "*@bank.example"});
  rules.messages.ways = {email(), texting()};
  return rules;
}

Message to(std::vector<std::string> whom, std::string way = "email") {
  return {.backend = std::move(way), .to = std::move(whom), .subject = {}, .body = "hello", .attachments = {}};
}
Decision on(const std::string& whom, const Rules& rules = granting()) {
  return rule(rules, to({whom})).decision;
}
std::string why(const Message& message, const Rules& rules = granting()) {
  return rule(rules, message).why;
}

}  // namespace

TEST_CASE("self is free, allowed ones are, others ask or are denied") {
  CHECK(on("me@example.org") == Decision::allow);
  CHECK(on("mum@family.example") == Decision::allow);
  CHECK(on("aunt@family.example") == Decision::ask);
  CHECK(on("boss@example.org") == Decision::ask);
  CHECK(on("stranger@example.net") == Decision::ask);
  CHECK(on("press@example.org") == Decision::deny);
  CHECK(on("info@bank.example") == Decision::deny);
  const Ruling free = rule(granting(), to({"me@example.org"}));
  CHECK(free.rule == "me@example.org");
  CHECK(free.origin->at.line == 1);
  CHECK(free.why == "the profile's rule 'me@example.org' says that the owner himself is me@example.org");
  CHECK(why(to({"stranger@example.net"})) == "no rule names stranger@example.net, and the profile's default is to ask");
}

TEST_CASE("self is compared exactly; a denial is not evaded by case or a tag") {
  CHECK(on("Me@example.org") == Decision::ask);
  CHECK(on("me+x@example.org") == Decision::ask);
  CHECK(on("me@sub.example.org") == Decision::ask);
  CHECK(on("Press@example.org") == Decision::deny);
  CHECK(on("press+news@example.org") == Decision::deny);
  CHECK(on("PRESS+x@example.org") == Decision::deny);
  CHECK(on("Aunt+x@family.example") == Decision::ask);
  Rules tagged = granting();
  tagged.messages.self = recipients({"me+*@example.org"});
  CHECK(on("me+x@example.org", tagged) == Decision::allow);
  CHECK(on("me@example.org", tagged) == Decision::ask);
}

TEST_CASE("of several recipients the strictest ruling holds") {
  CHECK(rule(granting(), to({"me@example.org", "mum@family.example"})).decision == Decision::allow);
  CHECK(rule(granting(), to({"me@example.org", "x@example.net"})).decision == Decision::ask);
  CHECK(rule(granting(), to({"press@example.org", "me@example.org"})).decision == Decision::deny);
  CHECK(rule(granting(), to({"me@example.org", "x@example.net", "press@example.org"})).rule == "press@example.org");
}

TEST_CASE("deny beats self, and the default holds for the rest") {
  Rules rules = granting();
  rules.messages.self = recipients({"press@example.org"});
  CHECK(on("press@example.org", rules) == Decision::deny);
  rules.messages.lists.default_ = profile::Default::deny;
  CHECK(on("x@example.net", rules) == Decision::deny);
  CHECK(why(to({"x@example.net"}), rules) == "no rule of the profile lets x@example.net be written to");
  rules.messages.lists.default_ = profile::Default::allow;
  CHECK(on("x@example.net", rules) == Decision::allow);
  CHECK(on("Boss@example.org", rules) == Decision::ask);
}

TEST_CASE("without a way to send nothing is sent") {
  Rules rules = granting();
  rules.messages.ways.clear();
  CHECK(why(to({"me@example.org"}), rules) == "the profile has no way to send messages");
  CHECK(why(to({"me@example.org"}, "pigeon")) ==
        "the profile has no way to send called 'pigeon': it has 'email', 'signal'");
  CHECK(why(to({"me@example.org"}, "")).starts_with("the profile has no way to send called ''"));
}

TEST_CASE("what no message can be is denied") {
  const Rules::Way way = email();
  auto problem = [&](auto change, const Rules::Way& by = email()) {
    Message message = to({"a@example.org"});
    change(message);
    return problem_of(message, by);
  };
  CHECK(problem([](Message&) {}).empty());
  CHECK(problem([](Message& m) { m.to.clear(); }) == "the recipient is missing");
  CHECK(problem([](Message& m) { m.to = {"a@EXAMPLE.org"}; }) == "a recipient is not in its normal form");
  CHECK(problem([](Message& m) { m.to = {"-x@example.org"}; }).find("begin with '-'") != std::string::npos);
  CHECK(problem([](Message& m) { m.to = {"a@b.c\nBcc: x@y.z"}; }).find("plain text") != std::string::npos);
  CHECK(problem([](Message& m) { m.to = {"+1555010"}; }) == "+1555010 is no mail address, and 'email' sends mail");
  CHECK(problem([](Message& m) { m.to.push_back("a@example.org"); }) == "a@example.org is named twice");
  for (const char* subject : {"a\nBcc: x@y.z", "a\r\n", "a\tb", "\u202eevil", "a\u200bb", "\xff", "a\x1b[2J", "\x7f"}) {
    INFO(subject);
    CHECK(problem([&](Message& m) { m.subject = subject; }).find("one line of plain text") != std::string::npos);
  }
  CHECK(problem([](Message& m) { m.subject = "50 \\ 50: \u00e9"; }).empty());
  CHECK(problem([](Message& m) { m.subject = "-v"; }).empty());
  CHECK(problem([](Message& m) { m.subject = std::string(201, 'x'); }) == "the subject is longer than 200 bytes");
  for (const char* body : {"a\x1b[2Jb", "a\rb", "\x08", "\x7f", "\xff", "\xc3(", "\xed\xa0\x80"}) {
    INFO(body);
    CHECK(problem([&](Message& m) { m.body = body; }).find("the body is not text") != std::string::npos);
  }
  CHECK_FALSE(problem([](Message& m) { m.body = std::string("a\0b", 3); }).empty());
  CHECK(problem([](Message& m) { m.body = "a\n\tb \\x1b \\\\x \\r \u202e \u200d \u00e9 \U0001f600\n"; }).empty());
  CHECK(problem([](Message& m) { m.body.clear(); }) == "the message is empty");
  for (const char* name : {"", "../x", "/etc/passwd", "a/b", ".bashrc", "-x", "a\"b", "a\\b", "a\nb", "\u202efdp.exe",
                           " a", "a ", "a\x01"}) {
    INFO(name);
    CHECK_FALSE(problem([&](Message& m) { m.attachments = {{.name = name, .sha256 = {}, .size = 1}}; }).empty());
  }
  CHECK(problem([](Message& m) {
          m.attachments = {{.name = "r\u00e9sum\u00e9 1;x=y.pdf", .sha256 = {}, .size = 1}};
        }).empty());
  CHECK_FALSE(problem([](Message& m) { m.attachments.assign(11, {.name = "x", .sha256 = {}, .size = 1}); }).empty());
}

TEST_CASE("a way that takes text alone takes no more, and a subject is no option") {
  const Rules::Way way = texting();
  auto with = [&](auto change) {
    Message message = to({"+1555010"}, "signal");
    change(message);
    return problem_of(message, way);
  };
  CHECK(with([](Message&) {}).empty());
  CHECK(with([](Message& m) { m.to = {"alice.01"}; }).empty());
  CHECK(with([](Message& m) { m.to.push_back("+1555011"); }) == "a message by 'signal' goes to one recipient");
  CHECK(with([](Message& m) { m.subject = "x"; }) == "a message by 'signal' has no subject");
  CHECK(with([](Message& m) { m.attachments = {{.name = "x", .sha256 = {}, .size = 1}}; }) ==
        "a message by 'signal' takes no attachments");
  Rules::Way titled = way;
  titled.send.push_back("{subject}");
  Message message = to({"+1555010"}, "signal");
  message.subject = "--exec";
  CHECK(problem_of(message, titled) == "the subject begins with '-', like an option");
  message.subject = "exec";
  CHECK(problem_of(message, titled).empty());
}

TEST_CASE("placeholders are whole arguments, and nothing in them is replaced again") {
  Rules::Way way = texting();
  way.send = {"prog", "-a", "{to}", "{subject}", "{to}x"};
  Message message = to({"{subject}"});
  message.subject = "{to} a b";
  CHECK(message_argv(way, message) == std::vector<std::string>{"prog", "-a", "{subject}", "{to} a b", "{to}x"});
  message.to = {"a@b.c", "d@e.f"};
  CHECK(message_argv(way, message)[3] == "d@e.f");
}

TEST_CASE("each recipient counts, and everybody but the owner is a stranger first") {
  const Rules rules = [] {
    Rules made = granting();
    made.messages.limit = {{.text = "20/hour", .amount = 20, .period = profile::Period::hour}, {}};
    return made;
  }();
  const Message message = to({"me@example.org", "mum@family.example", "x@example.net"});
  CHECK(use_of(message) == Use{.kind = "message", .subject = "", .unit = "", .amount = 3});
  REQUIRE(limits_on(rules, message).size() == 1);
  const Limit limit = limits_on(rules, message)[0];
  CHECK(limit.name == "messages.limit");
  CHECK(charge_of(limit, *use_of(message)) == 3);
  CHECK(others_of(rules.messages, message) == std::vector<std::string>{"mum@family.example", "x@example.net"});
  CHECK(strangers_of(rules, message) == std::vector<std::string>{"email mum@family.example", "email x@example.net"});
  CHECK(strangers_of(rules, to({"me@example.org"})).empty());
  CHECK(strangers_of(rules, Payment{.to = "x@example.net"}).empty());
}

TEST_CASE("what a profile says becomes rules: formats, the default limit, and nothing without a way") {
  profile::Profile profile;
  profile.messages.self = recipients({"me@example.org"});
  CHECK(rules_of(profile).messages.ways.empty());
  CHECK_FALSE(rules_of(profile).messages.limit);
  auto argv = [](std::vector<std::string> words) {
    return std::optional<profile::Located<std::vector<std::string>>>({std::move(words), {}});
  };
  profile.messages.backends = {
      {.name = "email", .send = argv({"sendmail", "-t"}), .post = {}, .format = {}},
      {.name = "signal", .send = argv({"signal-cli", "{to}"}), .post = {}, .format = {}},
      {.name = "half", .send = {}, .post = {}, .format = {{MessageFormat::text, {}}}},
      {.name = "told", .send = argv({"msmtp", "{to}"}), .post = {}, .format = {{MessageFormat::mail, {}}}},
      {.name = "home",
       .send = {},
       .post = {{{.text = "http://127.0.0.1:6000/", .host = "127.0.0.1", .port = 6000, .path = "/"}, {}}},
       .format = {}}};
  const Rules::Messages rules = rules_of(profile).messages;
  REQUIRE(rules.ways.size() == 4);
  CHECK(rules.way("email")->format == MessageFormat::mail);
  CHECK(rules.way("signal")->format == MessageFormat::text);
  CHECK(rules.way("told")->format == MessageFormat::mail);
  CHECK(rules.way("home")->post->port == 6000);
  CHECK(rules.way("half") == nullptr);
  CHECK(rules.lists.default_ == profile::Default::ask);
  REQUIRE(rules.limit);
  CHECK(rules.limit->value.text == "20/hour");
  CHECK(rules.limit->origin.file.empty());
  // The posted way takes whoever, several at once and with attachments.
  Message message = to({"+1555010", "a@example.org"}, "home");
  message.attachments = {{.name = "x", .sha256 = {}, .size = 1}};
  CHECK(problem_of(message, *rules.way("home")).empty());
  CHECK(messages_in_words(rules).front() == "--via email: mail, to several at once, with attachments");
}
