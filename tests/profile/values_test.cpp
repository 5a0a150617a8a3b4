// Single values: what each grammar takes, in which canonical form, and what it refuses.

#include "values.hpp"

#include <catch2/catch.hpp>

#include "agentbox/profile/parse.hpp"

using namespace agentbox::profile;
using namespace std::chrono_literals;

TEST_CASE("a host has one spelling") {
  auto text = [](std::string_view from) { return host_rule(from).value().text; };
  CHECK(text("Example.ORG") == "example.org");
  CHECK(text("example.org.") == "example.org");
  CHECK(text("example.org:443") == "example.org:443");
  CHECK(text("*.Example.org:*") == "*.example.org:*");
  CHECK(text("LOCALHOST:8080") == "localhost:8080");
  CHECK(text("127.0.0.1:8080") == "127.0.0.1:8080");
  CHECK(text("10.0.0.0/8") == "10.0.0.0/8");
  CHECK(text("[FD00:0:0::1]:443") == "[fd00::1]:443");
  CHECK(text("[fd00::/8]") == "[fd00::/8]");
  CHECK(text("xn--bcher-kva.example") == "xn--bcher-kva.example");
}

TEST_CASE("a host rule says what it reaches") {
  HostRule rule = host_rule("*.example.org").value();
  CHECK(rule.kind == HostKind::below);
  CHECK(rule.host == "example.org");
  CHECK(rule.ports == PortSet::web);
  rule = host_rule("[fd00::/8]:*").value();
  CHECK(rule.kind == HostKind::address);
  CHECK(rule.host == "fd00::/8");
  CHECK(rule.ports == PortSet::all);
  rule = host_rule("localhost:65535").value();
  CHECK(rule.kind == HostKind::localhost);
  CHECK((rule.ports == PortSet::one && rule.port == 65535));
}

TEST_CASE("what one parser would read as a name and another as an address is refused") {
  for (const char* odd : {"0x7f.1",
                          "127.1",
                          "2130706433",
                          "0177.0.0.1",
                          "1.2.3.4.5",
                          "1.2.3.0x4",
                          "example.1",
                          "[::ffff:1.2.3.4]",
                          "[::1",
                          "::1",
                          "::1:80",
                          "1.2.3.4:",
                          "1.2.3.4:080",
                          "example.org:+80",
                          "example.org: 80",
                          "[fe80::1%1]",
                          "[1.2.3.4]",
                          "*.1.2.3.4",
                          "a b",
                          "a\tb",
                          "a%2eb",
                          "a..b",
                          ".",
                          "..",
                          "*.",
                          "*.*.example.org",
                          "a@b",
                          "a/b",
                          "0.0.0.0",
                          "[::]",
                          "10.0.0.1/8",
                          "example.org/8",
                          "[fd00::1]/8",
                          "[fd00::1]x",
                          "e\xcc\x81xample.org"}) {
    INFO(odd);
    CHECK_FALSE(host_rule(odd));
  }
  CHECK_FALSE(host_rule(std::string_view("a\0b", 3)));
  CHECK_FALSE(host_rule(std::string(64, 'a')));
  CHECK(host_rule(std::string(63, 'a')));
  std::string longest;
  while (longest.size() < 250) longest += "ab.";
  CHECK(host_rule(longest.substr(0, 253)));
  CHECK_FALSE(host_rule(longest + "abcd"));
}

TEST_CASE("a canonical host reads back to itself") {
  for (const char* from : {"example.org", "*.example.org:*", "localhost:1", "[2001:DB8::0:1]:22", "192.0.2.0/24:443",
                           "[::/0]", "0.0.0.0/0"}) {
    HostRule once = host_rule(from).value();
    CHECK(host_rule(once.text).value() == once);
  }
}

TEST_CASE("a path is anchored and canonical") {
  auto text = [](std::string_view from) { return path(from).value().text; };
  CHECK(text("/a//b/./c/") == "/a/b/c");
  CHECK(text("~") == "~");
  CHECK(text("~/") == "~");
  CHECK(text("$HOME/x") == "~/x");
  CHECK(text("${HOME}/x") == "~/x");
  CHECK(text("${XDG_CACHE_HOME}/x") == "$XDG_CACHE_HOME/x");
  CHECK(text("$workspace/x") == "${workspace}/x");
  CHECK(text("/") == "/");
  CHECK(text("/a b\nc") == "/a b\nc");
  CHECK(path("~/x/").value().directory);
  CHECK_FALSE(path("~/x").value().directory);
  for (const char* wrong : {"", "x", "./x", "../x", "/a/../b", "~x/y", "$HOMER/x", "$/x", "${}/x", "${HOME", "${HOME}x",
                            "/a/$HOME", "~/*", "${roots}/x", "${gitdirs}/x", "$XDG_RUNTIME_DIR/x"}) {
    INFO(wrong);
    CHECK_FALSE(path(wrong));
  }
  CHECK_FALSE(path("/" + std::string(256, 'a')));
  CHECK(path("/" + std::string(255, 'a')));
}

TEST_CASE("a pattern has one spelling and can match something") {
  auto text = [](std::string_view from) { return workspace_pattern(from).value().text; };
  CHECK(text("**/.env") == ".env");
  CHECK(text("**/**/.env") == ".env");
  CHECK(text("./.env") == "${workspace}/.env");
  CHECK(text("${workspace}/.env") == "${workspace}/.env");
  CHECK(text("${workspace}/a/b") == "a/b");
  CHECK(text("./a/b") == "a/b");
  CHECK(text("a/**/**/b") == "a/**/b");
  CHECK(text("$roots/.envrc") == "${roots}/.envrc");
  CHECK(text("secrets/") == "secrets");
  CHECK(workspace_pattern("secrets/").value().directory);
  CHECK(text("!important") == "!important");
  for (const char* wrong : {"",
                            ".",
                            "./",
                            "/",
                            "**",
                            "*",
                            "**/",
                            "***",
                            "a**",
                            "**a",
                            "a/***/b",
                            "..",
                            "a/..",
                            "/etc/x",
                            "~/x",
                            "$XDG_DATA_HOME/x",
                            "${roots}",
                            "${roots}/",
                            "${gitdirs}",
                            "${workspace}",
                            "${workspace}/**",
                            "${root}/x",
                            "a?",
                            "[ab]",
                            "{a,b}",
                            "a\\b"}) {
    INFO(wrong);
    CHECK_FALSE(workspace_pattern(wrong));
  }
  for (const char* wrong : {"x", "a/b", "${workspace}/x", "~/*.key", "/", "~"}) {
    INFO(wrong);
    CHECK_FALSE(outside_pattern(wrong));
  }
  CHECK(outside_pattern("~/.pi/agent/auth.json").value().text == "~/.pi/agent/auth.json");
}

TEST_CASE("a canonical pattern reads back to itself") {
  for (const char* from :
       {"**/.env", "./.env", "./a/b", "a/**/b", "$roots/x/", "${gitdirs}/hooks/", "secrets/", "*.pem", "a/*"}) {
    PatternText once = workspace_pattern(from).value();
    PatternText again = workspace_pattern(once.text).value();
    again.directory = once.directory;
    CHECK(again == once);
  }
}

TEST_CASE("a command is split like shell words") {
  auto words = [](std::string_view from) { return command_pattern(from).value().words; };
  using Words = std::vector<std::string>;
  CHECK(words("git  push\torigin") == Words{"git", "push", "origin"});
  CHECK(words("git push **") == Words{"git", "push", "**"});
  CHECK(words("a 'b c' \"d \\\" e\" f\\ g ''") == Words{"a", "b c", "d \" e", "f g", ""});
  CHECK(words("a '*' \\* \"*\" b*") == Words{"a", "\\*", "\\*", "\\*", "b*"});
  CHECK(words("a '\\'") == Words{"a", "\\\\"});
  CHECK(words("/usr/bin/x -y=z") == Words{"/usr/bin/x", "-y=z"});
}

TEST_CASE("a canonical command reads back to itself") {
  for (const char* from : {"git push **", "a 'b c' \"d\" e\\ f '' '*' \\\\ '~x' '#' \"it's\" 'a\nb' x*y"}) {
    CommandPattern once = command_pattern(from).value();
    CHECK(command_pattern(once.text).value() == once);
  }
}

TEST_CASE("sizes count by 1024 and never overflow") {
  CHECK(size("1B").value() == 1);
  CHECK(size("20G").value() == 20ULL << 30);
  CHECK(size("50 MB").value() == 50ULL << 20);
  CHECK(size("1KiB").value() == 1024);
  CHECK(size("1t").value() == 1ULL << 40);
  CHECK(size("8388607T").value() == 8388607ULL << 40);
  for (const char* wrong :
       {"", "G", "1", "-1G", "1.5G", "0G", "8388608T", "99999999999999999999B", "1X", "1GX", "1 G B", " 1G", "1G "}) {
    INFO(wrong);
    CHECK_FALSE(size(wrong));
  }
}

TEST_CASE("times go from the largest unit to the smallest") {
  CHECK(duration("90s").value() == 90s);
  CHECK(duration("1h30m").value() == 90min);
  CHECK(duration("1d 2h 3min 4s").value() == 24h + 2h + 3min + 4s);
  for (const char* wrong :
       {"", "5", "s", "0s", "1m1h", "1m1min", "1.5h", "-1s", "4000d", "99999999999999999999s", "1w"}) {
    INFO(wrong);
    CHECK_FALSE(duration(wrong));
  }
}

TEST_CASE("budgets are integers of the smallest unit") {
  Budget budget = money_budget("100 USD/day").value();
  CHECK(
      (budget.amount == 10000 && budget.unit == "USD" && budget.period == Period::day && budget.text == "100 USD/day"));
  CHECK(money("12.5 EUR").value().amount == 1250);
  CHECK(money("12.50 EUR").value().text == "12.50 EUR");
  CHECK(money("007 JPY").value().text == "7 JPY");
  CHECK(money("1.234 KWD").value().amount == 1234);
  budget = count_budget("10/10min").value();
  CHECK((budget.amount == 10 && budget.every == 10min && budget.text == "10/10min"));
  budget = bytes_budget("50 MB/session").value();
  CHECK((budget.amount == 50LL << 20 && budget.unit == "B" && budget.period == Period::session &&
         budget.text == "50M/session"));
  CHECK(count_budget("0/day").value().amount == 0);
  for (const char* wrong :
       {"", "100", "100/day", "100 usd/day", "1.001 USD", "1. USD", "-1 USD", "NaN USD", "1e3 USD",
        "99999999999999999999 USD", "92233720368547758.08 USD", "5 XYZ", "5 AB", "5 USD/day", "1 US D"}) {
    INFO(wrong);
    CHECK_FALSE(money(wrong));
  }
  CHECK(money("92233720368547758.07 USD").value().amount == INT64_MAX);
  for (const char* wrong :
       {"", "5", "5/", "/day", "5/week", "5/0min", "5/10session", "x/day", "99999999999999999999/day"}) {
    INFO(wrong);
    CHECK_FALSE(count_budget(wrong));
  }
}

TEST_CASE("an upstream resolves names itself, and a reviewer is on this machine") {
  CHECK(upstream("socks5h://127.0.0.1:9050").value() == "socks5h://127.0.0.1:9050");
  CHECK(upstream("http://Proxy.example.org:3128").value() == "http://proxy.example.org:3128");
  for (const char* wrong : {"socks5://127.0.0.1:9050", "socks5h://127.0.0.1", "socks5h://*.example.org:1",
                            "socks5h://u@h:1", "http://10.0.0.0/8:1", ""}) {
    INFO(wrong);
    CHECK_FALSE(upstream(wrong));
  }
  CHECK(reviewer("http://LOCALHOST:8080/v1/").value() == "http://localhost:8080/v1");
  // Which profile may say so is not decided here.
  CHECK(reviewer("https://models.example.org/v1").value() == "https://models.example.org/v1");
  CHECK(model_name("qwen3:8b").value() == "qwen3:8b");
  CHECK_FALSE(model_name("a\nb"));
  CHECK_FALSE(model_name(""));
  CHECK(instructions("Pushing is usual.\nPaying isn't.").has_value());
  CHECK_FALSE(instructions("\x1b[1m"));
  CHECK_FALSE(instructions(std::string(4001, 'x')));
  for (const char* wrong : {"http://example.org/v1", "ftp://127.0.0.1/", "http://127.0.0.1:8080/v1?x",
                            "http://[::ffff:127.0.0.1]/", "127.0.0.1:8080"}) {
    INFO(wrong);
    CHECK_FALSE(reviewer(wrong));
  }
}

TEST_CASE("a value names only what is replaced") {
  CHECK(value("a ${HOME} $${x} $y").has_value());
  CHECK_FALSE(value("${HOMER}"));
  CHECK_FALSE(value("${HOME"));
}

TEST_CASE("the command line's values point at their flag") {
  for (const char* port : {"8080", ":8080"}) {
    auto alone = parse_host_rule(port, {.file = "--allow"});
    REQUIRE_FALSE(alone);
    CHECK(alone.error().at(0).hint == "did you mean 'localhost:8080'?");
  }
  auto rule = parse_host_rule("exa mple.org", {.file = "--allow"});
  REQUIRE_FALSE(rule);
  CHECK(agentbox::base::render(rule.error(), agentbox::base::Colour::off) ==
        "--allow: error: ' ' is not allowed in a host name\n");
  CHECK(parse_pattern("~/.env", {.file = "--hide"}).value().text == "~/.env");
  CHECK(parse_pattern(".env", {.file = "--hide"}).value().text == ".env");
  CHECK(parse_path("~/x/", {.file = "--write"}).value().directory);
}
