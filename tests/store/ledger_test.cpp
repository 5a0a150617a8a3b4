// Budgets and payments: what is reserved counts, whatever happens next, and nobody gets the last of it twice.

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <limits>
#include <map>

#include <sys/wait.h>

#include "support.hpp"

using namespace store_test;
using namespace std::chrono_literals;
using agentbox::policy::Balance;
using agentbox::policy::Limit;
using agentbox::profile::Period;

namespace {

// 2026-11-23 12:00 UTC
constexpr std::int64_t noon = 1'795'435'200'000;

class Zone {
 public:
  explicit Zone(const char* name) { ::setenv("TZ", name, 1); }
  ~Zone() { ::unsetenv("TZ"); }
  Zone(const Zone&) = delete;
  Zone& operator=(const Zone&) = delete;
};

Limit usd(std::int64_t amount, Period period = Period::day) {
  return {.name = "spending.limit",
          .kind = "payment",
          .subject = {},
          .budget = {.text = "100 USD/day", .amount = amount, .unit = "USD", .period = period},
          .origin = {.file = "pi.toml", .at = {3, 9}, .source_line = {}}};
}
Limit times(std::int64_t count) {
  return {.name = "spending.count",
          .kind = "payment",
          .subject = {},
          .counts = Limit::Counts::times,
          .budget = {.text = "20/day", .amount = count, .unit = {}, .period = Period::day},
          .origin = {}};
}

Payment pay(std::int64_t amount, std::string key, std::string to = "alice") {
  return {
      .question = "7", .key = std::move(key), .amount = amount, .currency = "USD", .to = std::move(to), .memo = "m"};
}

Taking taking(const Payment& payment, Time now = at(noon), std::string session = "pi-1") {
  return {.profile = "pi",
          .session = std::move(session),
          .use = {.kind = "payment", .subject = payment.to, .unit = payment.currency, .amount = payment.amount},
          .limits = {usd(10000), times(20)},
          .now = now};
}

Took reserve(Store& store, const Payment& payment, Time now = at(noon), std::string session = "pi-1") {
  return store.reserve(taking(payment, now, std::move(session)), payment, {});
}
using How = Took::How;

std::int64_t used(Store& store, Time now = at(noon)) {
  return store.balances(taking(pay(1, "x"), now)).at(0).used;
}

// What the child did is on disk, and it is dead by SIGKILL.
void killed_after(const std::function<void()>& act) {
  pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    act();
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
}

}  // namespace

TEST_CASE("a payment is reserved, counts, and is settled") {
  Folder folder;
  Store store(folder.record(), Access::write);
  Took took = reserve(store, pay(6000, "a"));
  REQUIRE(took.how == How::taken);
  CHECK(took.balances.at(0).used == 0);
  CHECK(used(store) == 6000);
  CHECK(store.balances(taking(pay(1, "x"))).at(0).reserved == 6000);
  Payment kept = *store.payment(took.id);
  CHECK(kept.state == Payment::State::reserved);
  CHECK(kept.to == "alice");
  CHECK(kept.question == "7");
  CHECK_FALSE(kept.ended);

  SECTION("paid: it is spent") {
    CHECK(store.end_payment(took.id, Ending::paid, "", {}, at(noon + 5)));
    CHECK(store.payment(took.id)->state == Payment::State::paid);
    CHECK(store.payment(took.id)->ended == at(noon + 5));
    CHECK(used(store) == 6000);
    CHECK(store.balances(taking(pay(1, "x"))).at(0).reserved == 0);
    CHECK_FALSE(store.end_payment(took.id, Ending::not_paid, "", {}, at(noon + 6)));
    CHECK(used(store) == 6000);
  }
  SECTION("not paid: the money is free again, the number of payments isn't") {
    CHECK(store.end_payment(took.id, Ending::not_paid, "no funds", {}, at(noon + 5)));
    CHECK(used(store) == 0);
    CHECK(store.balances(taking(pay(1, "x"))).at(1).used == 1);
    CHECK(store.payment(took.id)->note == "no funds");
  }
  SECTION("not started: as if it had not been") {
    CHECK(store.end_payment(took.id, Ending::not_started, "no such program", {}, at(noon + 5)));
    CHECK(store.balances(taking(pay(1, "x"))).at(1).used == 0);
  }
  SECTION("unknown: it stays reserved, until the owner says what became of it") {
    CHECK(store.end_payment(took.id, Ending::unknown, "killed by signal 9", {}, at(noon + 5)));
    CHECK(used(store) == 6000);
    CHECK(store.payments(at(noon + 1000), std::nullopt).size() == 1);
    CHECK(store.end_payment(took.id, Ending::not_paid, "the owner says so", {}, at(noon + 9)));
    CHECK(used(store) == 0);
  }
}

TEST_CASE("what does not fit is not taken, but with the owner's yes") {
  Folder folder;
  Store store(folder.record(), Access::write);
  REQUIRE(reserve(store, pay(6000, "a")).how == How::taken);
  Took over = reserve(store, pay(4001, "b"));
  CHECK(over.how == How::beyond);
  CHECK(over.balances.at(0).fits == Balance::Fits::no);
  CHECK(over.balances.at(0).left() == 4000);
  CHECK(over.balances.at(0).opens == day_of(at(noon)).ends);
  CHECK(over.balances.at(1).fits == Balance::Fits::yes);
  CHECK_FALSE(store.payment_of("pi", "b"));
  CHECK(reserve(store, pay(4000, "c")).how == How::taken);
  CHECK(reserve(store, pay(1, "d")).how == How::beyond);

  Taking forced = taking(pay(4001, "b"));
  forced.beyond = Taking::Beyond::allowed;
  CHECK(store.reserve(forced, pay(4001, "b"), {}).how == How::taken);
  CHECK(used(store) == 14001);  // it counts, too
}

TEST_CASE("the number of payments is limited as well") {
  Folder folder;
  Store store(folder.record(), Access::write);
  int free = 0;
  for (int i = 0; i < 1000; ++i) {
    if (reserve(store, pay(1, "k" + std::to_string(i))).how == How::taken) ++free;
  }
  CHECK(free == 20);
  CHECK(used(store) == 20);
}

TEST_CASE("a key pays once, in whatever session and however often") {
  Folder folder;
  Store store(folder.record(), Access::write);
  Took first = reserve(store, pay(100, "k"));
  for (const char* session : {"pi-1", "pi-2"}) {
    Took again = reserve(store, pay(100, "k"), at(noon + 1), session);
    REQUIRE(again.how == How::known);
    CHECK(again.known->id == first.id);
    CHECK(is_same(*again.known, pay(100, "k")));
  }
  Took other = reserve(store, pay(200, "k"));
  REQUIRE(other.how == How::known);
  CHECK_FALSE(is_same(*other.known, pay(200, "k")));
  CHECK_FALSE(is_same(*other.known, pay(100, "k", "mallory")));
  CHECK(used(store) == 100);

  SECTION("also when it is paid, and the day after") {
    CHECK(store.end_payment(first.id, Ending::paid, "", {}, at(noon)));
    CHECK(reserve(store, pay(100, "k"), at(noon) + 24h).how == How::known);
  }
  SECTION("and for what beyond the limit was allowed") {
    Taking forced = taking(pay(100, "k"));
    forced.beyond = Taking::Beyond::allowed;
    CHECK(store.reserve(forced, pay(100, "k"), {}).how == How::known);
  }
  SECTION("one that was not paid may be tried again; both attempts stay in the ledger") {
    CHECK(store.end_payment(first.id, Ending::not_paid, "", {}, at(noon)));
    Took again = reserve(store, pay(100, "k"));
    CHECK(again.how == How::taken);
    CHECK(again.id != first.id);
    CHECK(store.payments(std::nullopt, std::nullopt).size() == 2);
  }
  SECTION("another profile has keys and limits of its own") {
    Taking others = taking(pay(9999, "k"));
    others.profile = "other";
    CHECK(store.reserve(others, pay(9999, "k"), {}).how == How::taken);
  }
}

TEST_CASE("what is allowed is recorded in the same transaction, what isn't is not recorded") {
  Folder folder;
  Store store(folder.record(), Access::write);
  std::vector<Event> events{event(1, What::request), event(1, What::verdict)};
  CHECK(store.reserve(taking(pay(6000, "a")), pay(6000, "a"), events).how == How::taken);
  CHECK(store.head().rows == 2);
  CHECK(store.reserve(taking(pay(6000, "b")), pay(6000, "b"), events).how == How::beyond);
  CHECK(store.reserve(taking(pay(6000, "a")), pay(6000, "a"), events).how == How::known);
  CHECK(store.head().rows == 2);
  CHECK(verified(folder.record()).empty());
  // Neither without the other: here the record can't take its rows.
  Raw(folder.record()).run("CREATE TRIGGER stop BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END");
  CHECK_THROWS_AS((void)store.reserve(taking(pay(10, "c")), pay(10, "c"), events), StoreError);
  CHECK(used(store) == 6000);
  CHECK_FALSE(store.payment_of("pi", "c"));
}

TEST_CASE("eight processes at once never get more than there is, nor one key twice") {
  Folder folder;
  Store(folder.record(), Access::write).append(event(1));
  at_once(8, [&](int process) {
    Store store(folder.record(), Access::write, std::chrono::minutes(1));
    for (int i = 0; i < 10; ++i) {
      // Half of them each process's own, half all of them want.
      std::string key = i % 2 == 0 ? "shared" + std::to_string(i) : std::to_string(process) + "-" + std::to_string(i);
      Payment one = pay(700 + i, key);
      Took took = store.reserve(taking(one, at(noon + i), "pi-" + std::to_string(process)), one, {});
      if (took.how == How::taken) (void)store.end_payment(took.id, Ending::paid, "", {}, at(noon + i));
    }
  });
  Store store(folder.record(), Access::write);
  std::vector<Payment> all = store.payments(std::nullopt, std::nullopt);
  std::int64_t sum = 0;
  std::vector<std::string> keys;
  for (const Payment& one : all) sum += one.amount, keys.push_back(one.key);
  std::ranges::sort(keys);
  CHECK(std::ranges::adjacent_find(keys) == keys.end());
  CHECK(sum <= 10000);
  CHECK(sum > 10000 - 710);
  CHECK(used(store) == sum);
}

TEST_CASE("killed at any point: what may have been paid counts") {
  Folder folder;
  Store(folder.record(), Access::write).append(event(1));
  std::int64_t expected = 0;
  SECTION("before the reservation: nothing") {
    killed_after([&] { Store store(folder.record(), Access::write); });
  }
  SECTION("between reservation and command, or while it runs: reserved") {
    killed_after([&] {
      Store store(folder.record(), Access::write);
      (void)reserve(store, pay(6000, "a"));
    });
    expected = 6000;
  }
  SECTION("after it was settled: paid") {
    killed_after([&] {
      Store store(folder.record(), Access::write);
      Took took = reserve(store, pay(6000, "a"));
      (void)store.end_payment(took.id, Ending::paid, "", {}, at(noon));
    });
    expected = 6000;
  }
  Store store(folder.record(), Access::write);
  CHECK(used(store) == expected);
  // And the same key doesn't pay again.
  CHECK(reserve(store, pay(6000, "a")).how == (expected == 0 ? How::taken : How::known));
}

TEST_CASE("a clock that is set back opens no new day, and one set forward opens one day") {
  Zone zone("UTC");
  Folder folder;
  Store store(folder.record(), Access::write);
  REQUIRE(reserve(store, pay(10000, "a"), at(noon)).how == How::taken);
  CHECK(reserve(store, pay(1, "b"), at(noon) - 24h).how == How::beyond);
  CHECK(reserve(store, pay(1, "b"), Time()).how == How::beyond);
  CHECK(reserve(store, pay(1, "b"), at(noon) + 11h).how == How::beyond);
  REQUIRE(reserve(store, pay(10000, "c"), at(noon) + 12h).how == How::taken);
  // Back to the first day, which is used up; and the second, which counts, is too.
  CHECK(reserve(store, pay(1, "d"), at(noon)).how == How::beyond);
  CHECK(store.ledger_time() == at(noon) + 12h);
  CHECK(store.payment_of("pi", "c")->reserved == at(noon) + 12h);
}

TEST_CASE("the owner may take back a clock that was far ahead; what was used then was used now") {
  Zone zone("UTC");
  Folder folder;
  Store store(folder.record(), Access::write);
  REQUIRE(reserve(store, pay(6000, "a"), at(noon) + 24h * 3000).how == How::taken);
  Event event = store_test::event(1, What::outcome);
  event.at = at(noon);
  store.set_ledger_time(event);
  CHECK(store.ledger_time() == at(noon));
  CHECK(used(store) == 6000);
  CHECK(used(store, at(noon) + 24h) == 0);
  CHECK(store.head().rows == 1);
}

TEST_CASE("a day is the calendar's, in the user's time zone") {
  SECTION("at midnight there") {
    Zone zone("Asia/Tokyo");  // UTC+9: midnight is at 15:00 UTC
    Folder folder;
    Store store(folder.record(), Access::write);
    REQUIRE(reserve(store, pay(10000, "a"), at(noon)).how == How::taken);
    CHECK(reserve(store, pay(1, "b"), at(noon) + 3h - 1ms).how == How::beyond);
    CHECK(reserve(store, pay(1, "b"), at(noon) + 3h).how == How::taken);
  }
  auto hours = [](const char* zone, std::int64_t time) {
    Zone set(zone);
    auto day = day_of(at(time * 1000));
    CHECK(day.begins <= at(time * 1000));
    CHECK(day.ends > at(time * 1000));
    CHECK(day_of(day.begins) == day);
    CHECK(day_of(day.ends - 1ms) == day);
    CHECK(day_of(day.ends).begins == day.ends);
    return (day.ends - day.begins) / 1h;
  };
  CHECK(hours("UTC", noon / 1000) == 24);
  CHECK(hours("Europe/Berlin", 1'774'778'400) == 23);      // 2026-03-29, one hour less
  CHECK(hours("Europe/Berlin", 1'792'926'000) == 25);      // 2026-10-25, one more
  CHECK(hours("America/Sao_Paulo", 1'541'340'000) == 23);  // 2018-11-04: there was no midnight
  CHECK(hours("America/Sao_Paulo", 1'518'890'400) == 25);  // 2018-02-17: 23:00 came twice, just before midnight
  CHECK(hours("America/Havana", 1'793'563'200) == 25);     // 2026-11-01: midnight came twice
  Zone zone("Europe/Berlin");
  CHECK(local_text(at(1'774'778'400'000)) == "2026-03-29 12:00 CEST");
}

TEST_CASE("a day with a change of the clocks opens once") {
  Zone zone("America/Sao_Paulo");
  Folder folder;
  Store store(folder.record(), Access::write);
  auto begins = day_of(at(1'518'890'400'000)).begins;
  int free = 0;
  for (int half_hour = 0; half_hour < 50; ++half_hour) {  // the 25 hours of that day
    Time now = begins + 30min * half_hour;
    if (reserve(store, pay(10000, "k" + std::to_string(half_hour)), now).how == How::taken) ++free;
  }
  CHECK(free == 1);
  CHECK(reserve(store, pay(10000, "next"), begins + 25h).how == How::taken);
}

TEST_CASE("one mechanism: counts of another kind, in sessions and moving windows") {
  Folder folder;
  Store store(folder.record(), Access::write);
  auto message = [](Period period, std::chrono::seconds every, std::string session, Time now) {
    Limit limit{.name = "messages.limit",
                .kind = "message",
                .subject = {},
                .counts = Limit::Counts::times,
                .budget = {.text = "2", .amount = 2, .unit = {}, .period = period, .every = every},
                .origin = {}};
    return Taking{.profile = "pi",
                  .session = std::move(session),
                  .use = {.kind = "message", .subject = "bob", .unit = {}, .amount = 1},
                  .limits = {limit},
                  .now = now};
  };
  SECTION("a session counts its own, and the next one begins at 0") {
    for (How how : {How::taken, How::taken, How::beyond}) {
      CHECK(store.take(message(Period::session, 0s, "pi-1", at(noon)), {}).how == how);
    }
    CHECK(store.take(message(Period::session, 0s, "pi-2", at(noon)), {}).how == How::taken);
    store.forget_session("pi-1");
    CHECK(store.take(message(Period::session, 0s, "pi-1", at(noon)), {}).how == How::taken);
  }
  SECTION("a moving window lets no more through at its edge") {
    for (How how : {How::taken, How::taken, How::beyond}) {
      CHECK(store.take(message(Period::minute, 600s, "pi-1", at(noon)), {}).how == how);
    }
    CHECK(store.take(message(Period::minute, 600s, "pi-2", at(noon) + 10min), {}).how == How::beyond);
    CHECK(store.take(message(Period::minute, 600s, "pi-2", at(noon) + 10min + 1ms), {}).how == How::taken);
  }
}

TEST_CASE("each recipient, where the profile limits that") {
  Folder folder;
  Store store(folder.record(), Access::write);
  auto to = [&](const std::string& name, const std::string& key) {
    Payment one = pay(3000, key, name);
    Taking take = taking(one);
    take.limits.push_back(usd(4000));
    take.limits.back().name = "spending.per_recipient";
    take.limits.back().subject = name;
    return store.reserve(take, one, {}).how;
  };
  CHECK(to("alice", "1") == How::taken);
  CHECK(to("alice", "2") == How::beyond);
  CHECK(to("bob", "3") == How::taken);

  SECTION("and the view shows each budget, as it was last written") {
    std::vector<BudgetState> states = store.budgets(at(noon));
    REQUIRE(states.size() == 4);
    CHECK(states[0].profile == "pi");
    CHECK(states[0].balance.limit.name == "spending.limit");
    CHECK(states[0].balance.limit.budget.text == "100 USD/day");
    CHECK(states[0].balance.limit.origin.file == "pi.toml");
    CHECK(states[0].balance.limit.origin.at.line == 3);
    CHECK(states[0].balance.used == 6000);
    CHECK(states[1].balance.limit.name == "spending.count");
    CHECK(states[1].balance.used == 2);
    CHECK(states[2].balance.limit.subject == "alice");
    CHECK(states[2].balance.used == 3000);
    CHECK(states[3].balance.limit.subject == "bob");
    CHECK(store.budgets(at(noon) + 48h).size() == 2);
  }
}

// Whatever the order of sessions, crashes and clocks: what was free never exceeds the limit of any one day.
TEST_CASE("no sequence of free payments exceeds the limit") {
  Zone zone("UTC");
  std::uint32_t seed = 20261123;
  auto random = [&](std::uint32_t below) {
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % below;
  };
  for (int round = 0; round < 5; ++round) {
    Folder folder;
    std::vector<Store> sessions;
    for (int i = 0; i < 3; ++i) sessions.emplace_back(folder.record(), Access::write);
    std::vector<std::int64_t> open;
    std::map<Time, std::int64_t> free;  // by day
    Time clock = at(noon);
    for (int step = 0; step < 150; ++step) {
      clock += std::chrono::minutes(static_cast<int>(random(120)) - 20);
      const std::size_t which = random(3);
      Store& store = sessions[which];
      if (random(8) == 0) {  // it dies, with whatever it had open
        sessions[which] = Store(folder.record(), Access::write);
      } else if (random(3) != 0 || open.empty()) {
        Payment one = pay(1 + random(5000), "k" + std::to_string(random(100)));
        Took took = reserve(store, one, clock, "pi-" + std::to_string(which));
        if (took.how != How::taken) continue;
        open.push_back(took.id);
        free[day_of(store.payment(took.id)->reserved).begins] += one.amount;
      } else {
        const std::int64_t id = open[random(static_cast<std::uint32_t>(open.size()))];
        const bool paid = random(3) != 0;
        const Payment before = *store.payment(id);
        if (store.end_payment(id, paid ? Ending::paid : Ending::not_paid, "", {}, clock) && !paid) {
          free[day_of(before.reserved).begins] -= before.amount;
        }
        std::erase(open, id);
      }
      for (const auto& [day, sum] : free) REQUIRE(sum <= 10000);
    }
    REQUIRE(free.size() > 1);
  }
}

TEST_CASE("whom a use has reached is no stranger to its profile any more") {
  Folder folder;
  auto reaching = [](std::vector<std::string> whom, std::string profile = "pi") {
    return Taking{.profile = std::move(profile),
                  .session = "pi-1",
                  .use = {.kind = "message", .subject = {}, .unit = {}, .amount = 1},
                  .limits = {},
                  .reaches = std::move(whom),
                  .now = at(noon)};
  };
  using Names = std::vector<std::string>;
  {
    Store store(folder.record(), Access::write);
    CHECK(store.strangers(reaching({"email a", "email b"})) == Names{"email a", "email b"});
    Taking beyond = reaching({"email a"});
    beyond.limits = {
        {.name = "messages.limit", .kind = "message", .subject = {}, .budget = {.text = "0/day"}, .origin = {}}};
    CHECK(store.take(beyond, {}).how == How::beyond);
    CHECK(store.strangers(reaching({"email a"})) == Names{"email a"});
    CHECK(store.take(reaching({"email a"}), {}).how == How::taken);
    CHECK(store.take(reaching({"email a"}), {}).how == How::taken);
  }
  Store store(folder.record(), Access::read);
  CHECK(store.strangers(reaching({"email a", "email b", "signal a"})) == Names{"email b", "signal a"});
  CHECK(store.strangers(reaching({"email a"}, "other")) == Names{"email a"});
}
