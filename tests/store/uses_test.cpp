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
