// Bytes and connections against their limits: exactly, across sessions, and in bounded memory.

#include "network/meter.hpp"

#include <atomic>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

#include "agentbox/base/error.hpp"
#include "agentbox/policy/traffic.hpp"

using namespace agentbox;
using namespace agentbox::gates::network;
using namespace std::chrono_literals;

namespace {

profile::Located<profile::Budget> budget(std::int64_t amount, std::string unit, profile::Period period) {
  return {.value = {.text = "t", .amount = amount, .unit = std::move(unit), .period = period}, .origin = {}};
}

// The record, in memory.
class Record final : public broker::Decider {
 public:
  Ticket ask(broker::Asked, std::function<void(const broker::Verdict&)>) override { return 0; }
  void cancel(Ticket) override {}
  void outcome(const broker::Verdict&, const policy::Action&, const std::string&) override {}
  void outcomes(std::vector<Done>) override {}
  std::vector<policy::Balance> standing(std::span<const policy::Limit> limits) override {
    if (broken) throw base::SystemError(0, "the record is broken");
    std::vector<policy::Balance> balances;
    for (const policy::Limit& limit : limits) {
      std::int64_t sum = 0;
      if (auto one = used.find(limit.subject); one != used.end()) sum = one->second;
      if (limit.subject.empty()) {
        for (const auto& [site, amount] : used) sum += amount;
      }
      balances.push_back({.limit = limit, .used = sum, .opens = {}});
    }
    return balances;
  }
  bool counted(std::span<const policy::Use> uses, std::span<const policy::Limit>) override {
    if (full) return false;
    ++writes;
    for (const policy::Use& use : uses) used[use.subject] += use.amount;
    return true;
  }
  void settle(const broker::Verdict&, const policy::Action&, Paid, const std::string&) override {}
  std::map<std::string, std::int64_t> used;
  int writes = 0;
  bool broken = false, full = false;
};

policy::Rules rules_of(profile::Period period = profile::Period::session) {
  policy::Rules rules;
  rules.traffic.bytes_out = budget(10'000, "B", period);
  rules.traffic.bytes_out_per_host = budget(4'000, "B", period);
  rules.traffic.connections_per_host = budget(3, "", profile::Period::minute);
  return rules;
}

std::int64_t left(const Meter::Tallies& tallies) {
  std::int64_t least = 1 << 30;
  for (const auto& one : tallies) least = std::min(least, one->left());
  return least;
}

const Meter::Clock::time_point start = Meter::Clock::now();

}  // namespace

TEST_CASE("each connection takes from its host's limit and from that of all, to the byte") {
  Record record;
  const policy::Rules rules = rules_of();
  Meter meter(rules, record);
  const auto one = meter.bytes({"a.example", 443}, "a.example"), two = meter.bytes({"www.a.example", 80}, "a.example");
  const auto other = meter.bytes({"b.example", 443}, "b.example");
  (void)meter.took(one, 0, 1'000);
  (void)meter.took(two, 0, 2'999);
  CHECK(left(one) == 1);
  CHECK(left(other) == 4'000);
  (void)meter.took(one, 0, 1);
  CHECK(left(two) == 0);
  const auto third = meter.bytes({"c.example", 443}, "c.example");
  (void)meter.took(other, 0, 3'000);
  (void)meter.took(third, 0, 2'500);
  CHECK(left(third) == 500);
  CHECK(left(meter.bytes({"d.example", 443}, "d.example")) == 500);
  // A yes is for the limit that it was about.
  one.front()->allow(4'000, "1");
  one.front()->allow(4'000, "1");
  CHECK(one.front()->left() == 4'000);
  CHECK(left(one) == 500);
  CHECK(meter.bytes({"localhost", 80}, "localhost").empty());
}

TEST_CASE("what was used is written once, soon, and again when it could not be") {
  Record record;
  const policy::Rules rules = rules_of();
  Meter meter(rules, record);
  const auto one = meter.bytes({"a.example", 443}, "a.example");
  meter.write(Meter::Due::now_and_then, start);
  CHECK(record.writes == 0);
  // Once that there is something, and once that it presses.
  CHECK(meter.took(one, 0, 5));
  CHECK_FALSE(meter.took(one, 0, 5));
  CHECK(meter.has_unwritten());
  CHECK(meter.took(one, 0, 1'000));
  CHECK_FALSE(meter.took(one, 0, 0));
  record.full = true;
  meter.write(Meter::Due::now_and_then, start + 10s);
  CHECK(meter.has_unwritten());
  record.full = false;
  meter.write(Meter::Due::now_and_then, start + 20s);
  CHECK_FALSE(meter.has_unwritten());
  CHECK(record.used == std::map<std::string, std::int64_t>{{"a.example", 1'010}});
  CHECK(left(one) == 2'990);
}

TEST_CASE("bytes that pass on several threads, while others are written, are each written once") {
  Record record;
  policy::Rules rules = rules_of();
  rules.traffic.bytes_out = rules.traffic.bytes_out_per_host = budget(1'000'000'000, "B", profile::Period::session);
  Meter meter(rules, record);
  const auto one = meter.bytes({"a.example", 443}, "a.example"), two = meter.bytes({"b.example", 443}, "b.example");
  constexpr int times = 20'000;
  {
    std::vector<std::jthread> lanes;
    for (const auto* tallies : {&one, &two, &one}) {
      lanes.emplace_back([&meter, tallies] {
        for (int i = 0; i < times; ++i) (void)meter.took(*tallies, 0, 1);
      });
    }
    for (int i = 0; i < 200; ++i) meter.write(Meter::Due::all, start + i * 1s);
  }
  meter.write(Meter::Due::all, start + 300s);
  CHECK(record.used == std::map<std::string, std::int64_t>{{"a.example", 2 * times}, {"b.example", times}});
  CHECK(one.front()->left() + one.back()->left() == 2'000'000'000 - 5 * times);
  CHECK_FALSE(meter.has_unwritten());
}

TEST_CASE("what is reserved is nobody else's, and what was not taken of it comes back") {
  Record record;
  const policy::Rules rules = rules_of();
  Meter meter(rules, record);
  const auto one = meter.bytes({"a.example", 443}, "a.example"), two = meter.bytes({"b.example", 443}, "b.example");
  CHECK(meter.reserve(one, 3'000) == 3'000);
  CHECK(meter.reserve(one, 3'000) == 1'000);
  CHECK(meter.reserve(one, 1) == 0);
  // It is used when it goes, not before; and the limit of all goes with that of each.
  CHECK(left(one) == 4'000);
  CHECK(meter.reserve(two, 9'000) == 4'000);
  (void)meter.took(one, 1'000, 0);
  (void)meter.took(one, 3'000, 2'500);
  (void)meter.took(two, 4'000, 4'000);
  CHECK(left(one) == 1'500);
  CHECK(meter.reserve(one, 9'000) == 1'500);
  // The record is looked at meanwhile.
  meter.write(Meter::Due::all, start);
  meter.look_again(*one.front());
  CHECK(meter.reserve(one, 1) == 0);
}

TEST_CASE("many threads never get more than a limit lets go, and get all of it") {
  Record record;
  policy::Rules rules = rules_of();
  rules.traffic.bytes_out = budget(1'000'000, "B", profile::Period::session);
  rules.traffic.bytes_out_per_host.reset();
  Meter meter(rules, record);
  const auto all = meter.bytes({"a.example", 443}, "a.example");
  std::atomic<std::uint64_t> gone = 0;
  {
    std::vector<std::jthread> lanes;
    for (std::uint64_t i = 0; i < 4; ++i) {
      lanes.emplace_back([&, i] {
        while (left(all) > 0) {
          const std::uint64_t reserved = meter.reserve(all, 700 + i);
          const std::uint64_t went = reserved > 300 ? reserved / 2 : reserved;
          gone += went;
          (void)meter.took(all, reserved, went);
        }
      });
    }
  }
  CHECK(gone == 1'000'000);
}

TEST_CASE("what other sessions used counts, where the limit outlives a session") {
  Record record;
  record.used["a.example"] = 3'500;
  const policy::Rules rules = rules_of(profile::Period::day);
  Meter meter(rules, record);
  const auto one = meter.bytes({"a.example", 443}, "a.example");
  CHECK(left(one) == 500);
  (void)meter.took(one, 0, 500);
  record.used["a.example"] = 100;  // a new day
  meter.look_again(*one.front());
  CHECK(left(one) == 3'400);
  record.broken = true;
  (void)meter.took(one, 0, 3'400);
  meter.look_again(*one.front());
  CHECK(left(one) == 0);
  CHECK_THROWS_AS(meter.bytes({"new.example", 443}, "new.example"), base::SystemError);
}

TEST_CASE("connections are counted in a window that moves, and a yes lets as many more be made") {
  Record record;
  const policy::Rules rules = rules_of();
  Meter meter(rules, record);
  const policy::Connect host{"a.example", 443};
  for (int i = 0; i < 3; ++i) CHECK(meter.connection(host, start + i * 10s) == nullptr);
  const auto full = meter.connection(host, start + 25s);
  REQUIRE(full != nullptr);
  CHECK(full->balance().used == 3);
  CHECK(meter.connection({"b.example", 443}, start + 25s) == nullptr);
  CHECK(meter.connection(host, start + 61s) == nullptr);
  REQUIRE(meter.connection(host, start + 62s) != nullptr);
  full->allow(3, "2");
  for (int i = 0; i < 3; ++i) CHECK(meter.connection(host, start + 63s) == nullptr);
  CHECK(meter.connection(host, start + 64s) != nullptr);
  // The quiet takes the yes back.
  for (int i = 0; i < 3; ++i) CHECK(meter.connection(host, start + 600s) == nullptr);
  CHECK(meter.connection(host, start + 600s) != nullptr);
}

TEST_CASE("70,000 names take a bounded memory, lose no byte, and those in use stay") {
  Record record;
  policy::Rules rules = rules_of();
  rules.traffic.bytes_out = budget(1'000'000'000, "B", profile::Period::session);
  Meter meter(rules, record);
  std::vector<Meter::Tallies> in_use;
  for (int i = 0; i < 2'000; ++i) {
    const std::string name = "used" + std::to_string(i) + ".example";
    in_use.push_back(meter.bytes({name, 443}, name));
  }
  for (int i = 0; i < 70'000; ++i) {
    const std::string name = "n" + std::to_string(i) + ".example";
    (void)meter.took(meter.bytes({name, 443}, name), 0, 10);
    CHECK(meter.connection({name, 443}, start) == nullptr);
    if (i % 1'000 == 0) (void)meter.took(in_use[static_cast<std::size_t>(i / 100)], 0, 1);
  }
  CHECK(meter.size() <= Meter::most);
  // One that was forgotten is read again.
  CHECK(left(meter.bytes({"n7.example", 443}, "n7.example")) == 3'990);
  CHECK(left(in_use[10]) == 3'999);
  meter.write(Meter::Due::all, start);
  std::int64_t all = 0;
  for (const auto& [site, amount] : record.used) all += amount;
  CHECK(all == 700'070);
}
