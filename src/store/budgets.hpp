#pragma once

// Parts of a transaction of the ledger.

#include <vector>

#include "agentbox/store/ledger.hpp"

#include "impl.hpp"

namespace agentbox::store {

// The latest that the ledger has seen, `now` included; `keep` writes that down.
[[nodiscard]] Time latest(Store::Impl& impl, Time now);
void keep_latest(Store::Impl& impl, Time time);

[[nodiscard]] policy::Balance balance_of(Store::Impl& impl, const std::string& profile, const std::string& session,
                                         const policy::Limit& limit, std::int64_t charge, Time now,
                                         const policy::Day& today);
[[nodiscard]] std::vector<policy::Balance> balances_of(Store::Impl& impl, const Taking& taking, Time now);
[[nodiscard]] bool all_fit(const std::vector<policy::Balance>& balances) noexcept;
// Returns the use's id.
[[nodiscard]] std::int64_t count(Store::Impl& impl, const Taking& taking, Time now, policy::Taken::State state);

}  // namespace agentbox::store
