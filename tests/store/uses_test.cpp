// What is counted elsewhere and told now and then.

#include "support.hpp"

using namespace store_test;
using namespace std::chrono_literals;
using agentbox::policy::Limit;
using agentbox::policy::Use;
using agentbox::profile::Period;

namespace {

constexpr std::int64_t noon = 1'795'435'200'000;

Limit bytes(Period period, std::string subject = {}) {
  return {.name = subject.empty() ? "network.bytes_out" : "network.bytes_out_per_host",
          .kind = "traffic",
          .subject = std::move(subject),
          .budget = {.text = "1000 B", .amount = 1000, .unit = "B", .period = period},
          .origin = {}};
}
Use sent(std::string site, std::int64_t amount) {
  return {.kind = "traffic", .subject = std::move(site), .unit = "B", .amount = amount};
}
std::int64_t used(const Store& store, const Limit& limit, const std::string& session, std::int64_t time) {
  const Taking taking{.profile = "pi", .session = session, .use = {}, .limits = {limit}, .now = at(time)};
  return store.balances(taking).at(0).used;
}

}  // namespace

TEST_CASE("uses add up, for each recipient and for all, in one row for ten seconds") {
  Folder folder;
  Store store(folder.record(), Store::Access::write);
  const std::vector<Limit> limits{bytes(Period::day, "a.example"), bytes(Period::day)};
  const std::vector<Use> both{sent("a.example", 100), sent("b.example", 7)};
  for (int i = 0; i < 50; ++i) store.add_uses("pi", "pi-1", both, limits, at(noon + i * 100));
  CHECK(used(store, bytes(Period::day), "pi-1", noon + 20'000) == 50 * 107);
  CHECK(used(store, bytes(Period::day, "a.example"), "pi-1", noon + 20'000) == 5000);
  CHECK(used(store, bytes(Period::session), "pi-1", noon) == 50 * 107);
  CHECK(used(store, bytes(Period::session), "pi-2", noon) == 0);
  // A moving window never forgets too early.
  CHECK(used(store, bytes(Period::minute), "pi-2", noon + 64'000) == 50 * 107);
  CHECK(used(store, bytes(Period::minute), "pi-2", noon + 75'000) == 0);
  CHECK(store.budgets(at(noon)).size() >= 2);
}

TEST_CASE("what no limit counts any more is forgotten, and what one counts is not") {
  Folder folder;
  constexpr std::int64_t day = 24 * 60 * 60 * 1000;
  const auto rows = [&] { return Raw(folder.record()).run("SELECT count(*) FROM used").at(0); };
  Store store(folder.record(), Store::Access::write);
  const std::vector<Limit> short_ones{bytes(Period::day)};
  const std::vector<Use> one{sent("a.example", 5)};
  for (int i = 0; i < 100; ++i) store.add_uses("pi", "pi-1", one, short_ones, at(noon + i * 10'000));
  store.forget_session("pi-1");
  store.add_uses("pi", "pi-2", one, short_ones, at(noon + 2'000'000));
  CHECK(rows() == "101");
  // Of another profile, and of a session that goes on: kept. A limit for a month counts all.
  Limit month = bytes(Period::session);
  month.budget.every = std::chrono::days(30);
  month.budget.period = Period::day;
  store.add_uses("other", "other-1", one, short_ones, at(noon + 9 * day));
  CHECK(rows() == "102");
  store.add_uses("pi", "pi-3", one, {&month, 1}, at(noon + 9 * day));
  CHECK(rows() == "103");
  CHECK(used(store, month, "pi-3", noon + 9 * day) == 102 * 5);
  store.add_uses("pi", "pi-3", one, short_ones, at(noon + 9 * day + 60'000));
  CHECK(rows() == "4");
  CHECK(used(store, bytes(Period::session), "pi-2", noon + 9 * day) == 5);
}
