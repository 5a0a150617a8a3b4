#pragma once

// What may leave through connections without a question: the thresholds of [network], in the values of budget.hpp. The
// gate counts by itself, since nobody can be asked for each byte; what is beyond becomes an Excess.

#include <string>
#include <string_view>
#include <vector>

#include "agentbox/policy/budget.hpp"

namespace agentbox::policy {

inline constexpr std::string_view traffic_kind = "traffic";  // of its uses and its limits

// What the bytes of a connection take from. `site`: what they are counted for besides, the registered domain that the host
// is below, or the host itself. None for what stays on this machine.
[[nodiscard]] std::vector<Limit> byte_limits(const Rules& rules, const Connect& connect, const std::string& site);
// What the connection itself takes from: of it there is one.
[[nodiscard]] std::vector<Limit> pace_limits(const Rules& rules, const Connect& connect);

// So many bytes out, as they are counted.
[[nodiscard]] Use bytes_out(const std::string& site, std::int64_t amount);

// What is asked for when `balance` lets nothing more go. A yes lets as much go again as the limit does.
[[nodiscard]] Excess excess_of(const Balance& balance);

}  // namespace agentbox::policy
