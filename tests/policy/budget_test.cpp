// Thresholds: pure arithmetic of what fits, what is left and when it opens again.

#include "agentbox/policy/budget.hpp"

#include <limits>

#include <catch2/catch.hpp>

using namespace agentbox;
using namespace agentbox::policy;
using namespace std::chrono_literals;
using profile::Budget;
using profile::Period;

namespace {

constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();

Time at(std::chrono::seconds time) {
  return Time(time);
}
const Day today{.begins = at(1'000'000s), .ends = at(1'086'400s)};
const Time noon = at(1'043'200s);

Limit limit(std::int64_t amount, Period period, std::string unit = "USD", std::chrono::seconds every = 0s) {
  return {.name = "spending.limit",
          .kind = "payment",
          .subject = {},
          .budget = {.text = "t", .amount = amount, .unit = std::move(unit), .period = period, .every = every},
          .origin = {}};
}

bool fits(const Limit& limit, std::int64_t charge, std::vector<Taken> taken) {
  return weigh(limit, charge, taken, today).fits == Balance::Fits::yes;
}

}  // namespace

TEST_CASE("what fits fits to the last cent, and not beyond") {
  const Limit day = limit(10000, Period::day);
  CHECK(fits(day, 10000, {}));
  CHECK_FALSE(fits(day, 10001, {}));
  CHECK(fits(day, 4000, {{noon, 6000}}));
  CHECK_FALSE(fits(day, 4001, {{noon, 6000}}));
  CHECK_FALSE(fits(day, 4001, {{noon, 6000, Taken::State::reserved}}));
  CHECK(fits(limit(0, Period::day), 0, {}));
  CHECK_FALSE(fits(limit(0, Period::day), 1, {}));
}

TEST_CASE("sums that would overflow fit nowhere") {
  CHECK_FALSE(fits(limit(most, Period::day), most, {{noon, most}, {noon, most}}));
  CHECK_FALSE(fits(limit(most, Period::day), 1, {{noon, most - 1}}));
  CHECK(fits(limit(most, Period::day), 1, {{noon, most - 2}}));
  Balance full = weigh(limit(5, Period::day), 1, std::vector<Taken>{{noon, most}, {noon, most}}, today);
  CHECK(full.used == most);
  CHECK(full.left() == 0);
}

TEST_CASE("windows: a day is the calendar's, the rest is the time before now") {
  CHECK(window_of(limit(1, Period::day).budget, noon, today) == today.begins);
  CHECK(window_of(limit(1, Period::hour).budget, noon, today) == noon - 1h);
  CHECK(window_of(limit(1, Period::minute).budget, noon, today) == noon - 1min);
  CHECK(window_of(limit(1, Period::minute, "", 600s).budget, noon, today) == noon - 10min);
  CHECK(window_of(limit(1, Period::day, "", 172800s).budget, noon, today) == noon - 48h);
  CHECK_FALSE(window_of(limit(1, Period::session).budget, noon, today));
}

TEST_CASE("when it opens again") {
  SECTION("a day at the next one's beginning") {
    CHECK(weigh(limit(10, Period::day), 5, std::vector<Taken>{{noon, 6}}, today).opens == today.ends);
  }
  SECTION("never, for what is more than the whole, and within a session") {
    CHECK_FALSE(weigh(limit(10, Period::day), 11, {}, today).opens);
    CHECK_FALSE(weigh(limit(10, Period::session), 5, std::vector<Taken>{{noon, 6}}, today).opens);
  }
  SECTION("an hour when enough of what is oldest has left it, whatever the order in which it is told") {
    std::vector<Taken> taken{{noon - 10min, 5}, {noon - 50min, 3}, {noon - 30min, 2}};
    CHECK(weigh(limit(10, Period::hour), 3, taken, today).opens == noon - 50min + 1h + 1ms);
    CHECK(weigh(limit(10, Period::hour), 5, taken, today).opens == noon - 30min + 1h + 1ms);
    CHECK(weigh(limit(10, Period::hour), 10, taken, today).opens == noon - 10min + 1h + 1ms);
  }
  SECTION("what fits needs no time") {
    CHECK_FALSE(weigh(limit(10, Period::day), 5, {}, today).opens);
  }
}

TEST_CASE("a balance in words") {
  std::vector<Taken> taken{{noon, 5000}, {noon, 1000, Taken::State::reserved}};
  CHECK(in_words(weigh(limit(10000, Period::day), 1, taken, today)) ==
        "60.00 of 100.00 USD used today (10.00 of it reserved), 40.00 left");
  CHECK(in_words(weigh(limit(5000, Period::day), 1, taken, today)) ==
        "60.00 of 50.00 USD used today (10.00 of it reserved), none left");
  CHECK(in_words(weigh(limit(20, Period::minute, "", 600s), 1, std::vector<Taken>{{noon, 12}}, today)) ==
        "12 of 20 used in the last 10 minutes, 8 left");
  CHECK(in_words(weigh(limit(4096, Period::session, "B"), 1, std::vector<Taken>{{noon, 96}}, today)) ==
        "96 of 4096 B used in this session, 4000 left");
  CHECK(in_words(weigh(limit(7, Period::hour, "JPY"), 1, {}, today)) == "0 of 7 JPY used in the last hour, 7 left");
  CHECK(period_in_words(limit(1, Period::day, "", 172800s).budget) == "in the last 2 days");
  CHECK(period_in_words(limit(1, Period::hour, "", 7200s).budget) == "in the last 2 hours");
}
