#pragma once

// Times as people write and read them, in the local time zone.

#include <optional>
#include <string>
#include <string_view>

#include "agentbox/store/store.hpp"

namespace agentbox::cli {

// To the millisecond, as the record keeps it.
[[nodiscard]] store::Time now();

// "2h" (ago; s, m, h, d, w), "today", "yesterday", "2026-11-22", "2026-11-22 14:30[:05]", RFC 3339
// ("2026-11-22T14:30:05Z", "...+01:00"; local without a zone). A day is its beginning. Nothing for anything else, or for
// a day that no calendar has.
[[nodiscard]] std::optional<store::Time> parse_moment(std::string_view text, store::Time now);

// "2026-11-22 14:30:05"
[[nodiscard]] std::string local_second(store::Time time);
// "2026-11-22 14:30"
[[nodiscard]] std::string local_minute(store::Time time);
// "CET"
[[nodiscard]] std::string zone_of(store::Time time);
// "2026-11-22T13:30:05.250Z"
[[nodiscard]] std::string rfc3339(store::Time time);

}  // namespace agentbox::cli
