// [spending]: what it says about one payment, and what becomes an argument of the payment's command.

#include <catch2/catch.hpp>

#include "agentbox/policy/budget.hpp"
#include "agentbox/profile/parse.hpp"

#include "world.hpp"

using namespace agentbox;
using namespace agentbox::policy;

namespace {

profile::Located<profile::Budget> located(profile::Budget budget, std::size_t line) {
  profile::Origin origin{.file = "p.toml", .at = {}, .source_line = {}};
  origin.at.line = static_cast<decltype(origin.at.line)>(line);
  return {std::move(budget), origin};
}

profile::Budget usd(std::int64_t amount, std::string text) {
  return {.text = std::move(text), .amount = amount, .unit = "USD", .period = profile::Period::day};
}

Rules granting() {
  Rules rules;
  rules.spending.limit = located(usd(10000, "100 USD/day"), 1);
  rules.spending.single = located(usd(2500, "25 USD"), 2);
  rules.spending.count = located({.text = "20/day", .amount = 20, .period = profile::Period::day}, 3);
  rules.spending.pay = {"wallet", "{amount}", "{to}"};
  return rules;
}

Payment payment(std::int64_t amount = 1250) {
  return {.amount = amount, .currency = "USD", .to = "alice", .memo = "lunch", .key = "k1"};
}

std::string why_denied(const Rules& rules, const Payment& payment) {
  Ruling ruling = rule(rules, payment);
  return ruling.decision == Decision::deny ? ruling.why : "not denied";
}

}  // namespace

TEST_CASE("a payment within the limit is allowed by it, one beyond `single` asks") {
  Ruling free = rule(granting(), payment(2500));
  CHECK(free.decision == Decision::allow);
  CHECK(free.rule == "100 USD/day");
  CHECK(free.origin->at.line == 1);
  Ruling asked = rule(granting(), payment(2501));
  CHECK(asked.decision == Decision::ask);
  CHECK(asked.rule == "25 USD");
  CHECK(asked.why == "one payment may be 25 USD at most without a question");
  Rules rules = granting();
  rules.spending.single.reset();
  CHECK(rule(rules, payment(10000)).decision == Decision::allow);
  CHECK(rule(rules, payment(10001)).why == "it is more than the whole limit '100 USD/day'");
}

TEST_CASE("without a limit, a way to pay, or in another currency it is denied") {
  CHECK(why_denied({}, payment()) == "the profile has no way to pay");
  Rules rules = granting();
  rules.spending.limit.reset();
  CHECK(why_denied(rules, payment()) == "the profile sets no limit for spending, so every payment is denied");
  Payment euros = payment();
  euros.currency = "EUR";
  CHECK(why_denied(granting(), euros) == "this profile pays in USD only");
  CHECK(why_denied(granting(), payment(0)) == "an amount is more than 0");
  CHECK(why_denied(granting(), payment(-500)) == "an amount is more than 0");
}

TEST_CASE("no text of a payment can be an option, or what nobody can see") {
  auto with = [](std::string to, std::string memo = "m", std::string key = "k") {
    Payment one = payment();
    one.to = std::move(to), one.memo = std::move(memo), one.key = std::move(key);
    return why_denied(granting(), one);
  };
  CHECK(with("alice") == "not denied");
  CHECK(with("J\u00fcrgen M\u00fcller", "f\u00fcr den Kaffee", "2026-11/4.a:b_c") == "not denied");
  CHECK(with("alice", "") == "not denied");
  CHECK(with("--all") == "the recipient begins with '-', like an option");
  CHECK(with("a", "-x") == "the memo begins with '-', like an option");
  const std::string plain = " is not plain text: no control, invisible or broken characters, no backslash";
  for (const char* bad : {"a\nb", "a\tb", "a\x1b[2J", "a\xff", "a\u202e", "a\u200b", "a\\b", "a\x7f"}) {
    CHECK(with(bad) == "the recipient" + plain);
    CHECK(with("a", bad) == "the memo" + plain);
  }
  CHECK(with(std::string("a\0b", 3)) == "the recipient" + plain);
  CHECK(with("alice ") == "the recipient begins or ends with a blank");
  CHECK(with("") == "the recipient is missing");
  CHECK(with(std::string(513, 'a')) == "the recipient is longer than 512 bytes");
  CHECK(with("a", std::string(141, 'a')) == "the memo is longer than 140 bytes");
  CHECK(with("a", "m", "") == "the key is missing: it keeps a payment that is asked for twice from being made twice");
  for (const std::string& bad : {std::string("-k"), std::string("a b"), std::string("k\n"), std::string(65, 'k')}) {
    CHECK(with("a", "m", bad) == "a key is 1 to 64 letters, digits and _ - . : /, and begins with no '-'");
  }
}

TEST_CASE("placeholders are replaced as whole arguments, once, and nothing else is") {
  Payment odd = payment(1205);
  odd.to = "{memo}", odd.memo = "a b;$(x)";
  CHECK(payment_argv({"w", "{amount}", "{minor}", "{currency}", "{to}", "{memo}", "{key}", "--to={to}", "x"}, odd) ==
        std::vector<std::string>{"w", "12.05", "1205", "USD", "{memo}", "a b;$(x)", "k1", "--to={to}", "x"});
  Payment yen{.amount = 7, .currency = "JPY"};
  CHECK(payment_argv({"{amount}", "{minor}"}, yen) == std::vector<std::string>{"7", "7"});
  Payment dinar{.amount = 7, .currency = "KWD"};
  CHECK(payment_argv({"{amount}"}, dinar) == std::vector<std::string>{"0.007"});
}

TEST_CASE("what a payment counts against") {
  Rules rules = granting();
  rules.spending.per_recipient = located(usd(4000, "40 USD/day"), 4);
  std::vector<Limit> limits = limits_on(rules, payment());
  REQUIRE(limits.size() == 3);
  CHECK(limits[0].name == "spending.limit");
  CHECK(limits[0].subject.empty());
  CHECK(limits[1].name == "spending.per_recipient");
  CHECK(limits[1].subject == "alice");
  CHECK(limits[2].name == "spending.count");
  CHECK(charge_of(limits[0], *use_of(payment())) == 1250);
  CHECK(charge_of(limits[2], *use_of(payment())) == 1);
  CHECK(limits_on(rules, Connect{"example.org", 443}).empty());
  CHECK_FALSE(use_of(Connect{"example.org", 443}));
}

TEST_CASE("where the profile says no count, twenty a day hold") {
  profile::Profile profile;
  profile.spending.limit = located(usd(10000, "100 USD/day"), 1);
  Rules rules = rules_of(profile);
  REQUIRE(rules.spending.count);
  CHECK(rules.spending.count->value.text == "20/day");
  CHECK(rules.spending.count->origin.file.empty());
  CHECK_FALSE(rules_of({}).spending.count);
}

TEST_CASE("one profile has one currency") {
  test::World world;
  auto& spending = world.profile.spending;
  spending.limit = located(usd(10000, "100 USD/day"), 1);
  spending.pay_command = {{"wallet", "{amount}", "{to}"}, {}};
  spending.single = located(usd(1, "x"), 2);
  CHECK(decide(world.profile, world.facts, {}).has_value());
  spending.single->value.unit = "EUR";
  auto refused = decide(world.profile, world.facts, {});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().at(0).message == "the limit is in USD, this is in EUR");
}

TEST_CASE("amounts are exact, or refused") {
  auto parsed = [](std::string_view text, std::string_view currency) -> std::string {
    auto amount = profile::parse_amount(text, currency);
    return amount ? std::to_string(*amount) : amount.error().at(0).message;
  };
  CHECK(parsed("12.50", "USD") == "1250");
  CHECK(parsed("12.5", "USD") == "1250");
  CHECK(parsed("12", "USD") == "1200");
  CHECK(parsed("0.01", "USD") == "1");
  CHECK(parsed("1250", "JPY") == "1250");
  CHECK(parsed("0.001", "KWD") == "1");
  CHECK(parsed("92233720368547758.07", "USD") == "9223372036854775807");
  CHECK(parsed("92233720368547758.08", "USD") == "this amount is too large to count");
  CHECK(parsed("99999999999999999999", "USD") == "this amount is too large to count");
  CHECK(parsed("0.005", "USD") == "USD has 2 decimals");
  CHECK(parsed("1.5", "JPY") == "JPY has no decimals");
  for (const char* zero : {"0", "0.0", "0.00"}) CHECK(parsed(zero, "USD") == "an amount is more than 0");
  for (const char* bad : {"", "-5", "+5", "1e3", "1e309", "NaN", "inf", " 5", "5 ", "5,00", "5.", ".5", "0x10", "1_000",
                          "5 USD", "\u0665", "1.2.3", "5\n"}) {
    CHECK(parsed(bad, "USD").ends_with("is no amount"));
  }
  CHECK(parsed("007", "USD") == "an amount begins with no needless 0");
  for (const char* bad : {"usd", "", "USDX", "XXX", "US D"}) {
    CHECK(parsed("5", bad).starts_with("unknown currency"));
  }
}
