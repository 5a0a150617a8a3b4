// The three lists and the default: who says what, and which line.

#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "actions.hpp"
#include "world.hpp"

using namespace agentbox;
using namespace agentbox::policy;
using profile::Default;
using test::Argv;
using test::command;
using test::host;
using test::lines;
using test::pattern;

namespace {

Rules commands(std::vector<std::string> allow, std::vector<std::string> ask, std::vector<std::string> deny,
               Default default_ = Default::deny) {
  auto list = [](const std::vector<std::string>& texts) {
    std::vector<profile::CommandPattern> all;
    for (const std::string& text : texts) all.push_back(pattern(text));
    return lines(std::move(all));
  };
  Rules rules;
  rules.commands = {list(allow), list(ask), list(deny), default_, {}};
  return rules;
}
Rules hosts(std::vector<std::string> allow, std::vector<std::string> ask, std::vector<std::string> deny,
            Default default_ = Default::deny) {
  auto list = [](const std::vector<std::string>& texts) {
    std::vector<profile::HostRule> all;
    for (const std::string& text : texts) all.push_back(host(text));
    return lines(std::move(all));
  };
  Rules rules;
  rules.network = {list(allow), list(ask), list(deny), default_, {}};
  return rules;
}

}  // namespace

TEST_CASE("deny beats ask, ask beats allow, allow beats the default") {
  struct Case {
    Rules rules;
    Decision decision;
    std::string rule;
  };
  const std::vector<Case> cases{
      {commands({"a *"}, {"a *"}, {"a *"}), Decision::deny, "a *"},
      {commands({"a *"}, {"a b"}, {}), Decision::ask, "a b"},
      {commands({"a b"}, {"a *"}, {}), Decision::ask, "a *"},
      {commands({"a b"}, {}, {}), Decision::allow, "a b"},
      {commands({"a b"}, {}, {"a c"}), Decision::allow, "a b"},
      {commands({"a b"}, {}, {"b"}, Default::ask), Decision::allow, "a b"},
      {commands({}, {}, {}), Decision::deny, ""},
      {commands({}, {}, {}, Default::ask), Decision::ask, ""},
      {commands({}, {}, {}, Default::allow), Decision::allow, ""},
      {commands({}, {}, {"a **"}, Default::allow), Decision::deny, "a **"},
  };
  for (const Case& one : cases) {
    Ruling ruling = rule(one.rules, command({"a", "b"}));
    INFO(ruling.why);
    CHECK(ruling.decision == one.decision);
    CHECK(ruling.rule == one.rule);
    CHECK(ruling.origin.has_value() == !one.rule.empty());
  }
}

TEST_CASE("a ruling names the rule, its line and the reason") {
  Rules rules = commands({"x", "notify-send **"}, {"git push **"}, {"git push evil"});
  Ruling allowed = rule(rules, command({"notify-send", "hi"}));
  CHECK(allowed.rule == "notify-send **");
  CHECK(allowed.origin->at.line == 2);
  CHECK(allowed.why == "the profile's rule 'notify-send **' allows it");
  CHECK(rule(rules, command({"git", "push", "origin"})).why == "the profile's rule 'git push **' asks");
  CHECK(rule(rules, command({"git", "push", "evil"})).why == "the profile's rule 'git push evil' denies it");
  CHECK(rule(rules, command({"git", "pull"})).why == "no rule of the profile allows it");
  CHECK(
      rule(rules, command({"git", "push", "-f"})).why ==
      "no rule of the profile allows it; 'git push **' comes near, but '*' and '**' match no option, and a name is not "
      "a path");
  rules.commands.default_ = Default::ask;
  rules.commands.default_origin = profile::Origin{.file = "test.toml", .at = {9, 1, 1}};
  Ruling fallen = rule(rules, command({"git", "pull"}));
  CHECK(fallen.why == "no rule names it, and the profile's default is to ask");
  CHECK(fallen.origin->at.line == 9);
  CHECK(fallen.rule.empty());
}

TEST_CASE("options of git push are never matched by a rule for git push, and no denial is evaded") {
  const std::vector<Argv> hostile{{"git", "push", "--receive-pack=touch /tmp/x", "origin"},
                                  {"git", "-c", "core.sshCommand=touch /tmp/x", "push"},
                                  {"git", "push", "origin", "--exec=x"},
                                  {"git", "-C", "/tmp/evil", "push"}};
  Rules granted = commands({"git push **"}, {}, {});
  Rules asked = commands({}, {"git push **"}, {});
  Rules denied = commands({}, {}, {"git push **"}, Default::allow);
  Rules evaded = commands({}, {"git push **"}, {}, Default::allow);
  Rules widely = commands({"git -c * push"}, {"git push **"}, {});
  CHECK(rule(granted, command({"git", "push", "origin"})).decision == Decision::allow);
  CHECK(rule(asked, command({"git", "push", "origin"})).decision == Decision::ask);
  for (const Argv& argv : hostile) {
    INFO(base::quote(argv));
    CHECK(rule(granted, command(argv)).decision == Decision::deny);
    CHECK(rule(asked, command(argv)).decision == Decision::deny);
    CHECK(rule(denied, command(argv)).decision == Decision::deny);
    CHECK(rule(evaded, command(argv)).decision == Decision::ask);
  }
  CHECK(rule(widely, command(hostile[1])).decision == Decision::ask);
  CHECK(rule(widely, command(hostile[1])).why == "the profile's rule 'git push **' asks for whatever comes near it");
  CHECK(rule(evaded, command({"git", "status"})).decision == Decision::allow);
}

TEST_CASE("what is no command is denied, whatever the default") {
  Rules rules = commands({"a **"}, {}, {}, Default::allow);
  CHECK(rule(rules, command({})).why == "an empty command names nothing");
  CHECK(rule(rules, command({"./a"})).why == "a program is a bare name or an absolute path without '.' or '..'");
  CHECK(rule(rules, command({"-a"})).decision == Decision::deny);
  CHECK(rule(rules, command({"a", std::string("x\0y", 3)})).why == "a command cannot hold a NUL");
  CHECK(rule(rules, command({"a", "x"})).decision == Decision::allow);
}

TEST_CASE("hosts are ruled on in their one spelling") {
  Rules rules =
      hosts({"example.org", "localhost:8080"}, {"*.example.org"}, {"ads.example.org", "10.0.0.0/8"}, Default::allow);
  CHECK(rule(rules, Connect{"example.org", 443}).rule == "example.org");
  CHECK(rule(rules, Connect{"www.example.org", 443}).decision == Decision::ask);
  CHECK(rule(rules, Connect{"ads.example.org", 443}).decision == Decision::deny);
  CHECK(rule(rules, Connect{"10.1.2.3", 443}).decision == Decision::deny);
  CHECK(rule(rules, Connect{"10.1.2.3", 22}).decision == Decision::allow);
  CHECK(rule(rules, Connect{"::1", 8080}).rule == "localhost:8080");
  CHECK(rule(rules, Connect{"other.example", 22}).decision == Decision::allow);
  for (const std::string& odd :
       {std::string("Example.org"), std::string("example.org."), std::string("0x7f.1"), std::string("2130706433"),
        std::string("::ffff:10.0.0.1"), std::string("fd00:0::1"), std::string("a\0.example.org", 14),
        std::string("a b"), std::string("*.example.org"), std::string("example.org:443"), std::string("[::1]"),
        std::string("10.0.0.0/8"), std::string(), std::string("user@example.org"), std::string("x.localhost"),
        std::string("e\u0301.org")}) {
    Ruling ruling = rule(rules, Connect{odd, 443});
    INFO(odd);
    CHECK(ruling.decision == Decision::deny);
    CHECK(ruling.why == "this is not a host's name or address in its normal spelling");
  }
  CHECK(rule(rules, Connect{"example.org", 0}).why == "there is no port 0");
}

TEST_CASE("a denied loopback stays closed under each of its names") {
  Rules rules = hosts({"localhost:8080", "127.0.0.0/8:*"}, {}, {"127.0.0.1:8080"});
  CHECK(rule(rules, Connect{"localhost", 8080}).decision == Decision::deny);
  CHECK(rule(rules, Connect{"127.0.0.1", 8080}).decision == Decision::deny);
  CHECK(rule(rules, Connect{"127.0.0.1", 8081}).decision == Decision::allow);
}

TEST_CASE("changes ask, and what has no gate yet is denied with its reason") {
  Rules rules = commands({}, {}, {}, Default::allow);
  CHECK(rule(rules, Change{}).decision == Decision::ask);
  CHECK(rule(rules, Open{}).why == "asking for files is not built yet");
  CHECK(rule(rules, Message{}).why == "the profile has no way to send messages");
  CHECK(rule(rules, Payment{}).why == "the profile has no way to pay");
  CHECK(rule(rules, ToolCall{}).why == "calling tools is not built yet");
  for (const Action& action : {Action(Open{}), Action(Message{}), Action(Payment{}), Action(ToolCall{})}) {
    CHECK(rule(rules, action).decision == Decision::deny);
  }
}

TEST_CASE("the policy carries the profile's rules, flags among them") {
  test::World world;
  world.profile.commands.ask = lines(std::vector{pattern("git push **")});
  world.profile.commands.default_ = {{Default::ask, {.file = "test.toml", .at = {7, 1, 1}}}};
  world.flags.allow = lines(std::vector{host("localhost:8080")});
  Rules rules = world.policy().rules;
  CHECK(rules.commands.ask.size() == 1);
  CHECK(rules.commands.default_ == Default::ask);
  CHECK(rules.commands.default_origin->at.line == 7);
  CHECK(rules.network.default_ == Default::deny);
  CHECK_FALSE(rules.network.default_origin);
  CHECK(rule(rules, Connect{"localhost", 8080}).decision == Decision::allow);
}

TEST_CASE("an upstream is that of the narrowest rule that has one, else that of the section") {
  auto through = [](const char* text, const char* via) {
    profile::HostRule rule = host(text);
    rule.via = via;
    return rule;
  };
  Rules rules;
  rules.network.allow =
      lines<profile::HostRule>({host("plain.example:443"), through("*.one.example:*", "http://a:1"),
                                through("x.one.example", "http://b:1"), through("x.one.example:22", "http://c:1"),
                                through("10.0.0.0/8:*", "http://d:1"), through("10.1.0.0/16:*", "http://e:1")});
  rules.network.ask = lines<profile::HostRule>({through("asked.example", "http://f:1"), host("y.one.example")});
  using Via = std::optional<std::string>;
  auto of = [&](const char* name, std::uint16_t port) { return upstream_of(rules, {.host = name, .port = port}); };
  CHECK(of("plain.example", 443) == std::nullopt);
  CHECK(of("z.one.example", 25) == Via("http://a:1"));
  CHECK(of("x.one.example", 443) == Via("http://b:1"));
  CHECK(of("x.one.example", 22) == Via("http://c:1"));
  CHECK(of("x.one.example", 25) == Via("http://a:1"));
  CHECK(of("10.1.2.3", 80) == Via("http://e:1"));
  CHECK(of("10.2.2.3", 80) == Via("http://d:1"));
  CHECK(of("asked.example", 80) == Via("http://f:1"));
  // Another rule that grants it too, without an upstream, does not make it direct.
  CHECK(of("y.one.example", 80) == Via("http://a:1"));
  rules.via = "socks5h://t:9050";
  CHECK(of("plain.example", 443) == Via("socks5h://t:9050"));
  CHECK(of("nobody.example", 80) == Via("socks5h://t:9050"));
  CHECK(of("x.one.example", 443) == Via("http://b:1"));
  for (const char* here : {"localhost", "127.0.0.1", "127.9.9.9", "::1"}) CHECK(of(here, 80) == std::nullopt);
}

TEST_CASE("one rule that filters what is said to a host is enough") {
  auto model = [](const char* text) {
    profile::HostRule rule = host(text);
    rule.speech = profile::Speech::llm;
    return rule;
  };
  Rules rules;
  rules.network.allow =
      lines<profile::HostRule>({host("*.example:*"), model("models.example:8080"), model("localhost:8081")});
  rules.network.ask = lines<profile::HostRule>({model("asked.example:80")});
  auto of = [&](const char* name, std::uint16_t port) { return speech_of(rules, {.host = name, .port = port}); };
  CHECK(of("models.example", 8080) == profile::Speech::llm);
  CHECK(of("models.example", 443) == profile::Speech::any);
  CHECK(of("asked.example", 80) == profile::Speech::llm);
  for (const char* here : {"localhost", "127.0.0.1", "::1"}) CHECK(of(here, 8081) == profile::Speech::llm);
  CHECK(of("localhost", 8082) == profile::Speech::any);
}
