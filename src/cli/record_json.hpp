#pragma once

// The record for scripts. ASCII only: what a terminal would act upon is \u-escaped.

#include <string>
#include <vector>

#include "agentbox/store/store.hpp"

namespace agentbox::cli {

// One object on one line, without the newline. A text that is not UTF-8 is escaped (base::escape).
[[nodiscard]] std::string json_line(const store::Row& row);
// An array, indented. `now` decides "holds".
[[nodiscard]] std::string json_of(const std::vector<store::Remembered>& answers, store::Time now);

// What the detail of an outcome says: "not started: ...". Escaped; empty where it says nothing.
[[nodiscard]] std::string outcome_of(const store::Event& event);
// Why a verdict is what it is, as its requester was told. Escaped; empty where it says nothing.
[[nodiscard]] std::string reason_of(const store::Event& event);
// Of a session's end: an agentbox that was killed did not say it itself.
[[nodiscard]] bool was_killed(const store::Event& event);
// Of a request: it was not to be done before the clock said so.
[[nodiscard]] bool is_delayed(const store::Event& event);
// Of a session's beginning, for store::is_running.
[[nodiscard]] std::string process_of(const store::Event& event);

}  // namespace agentbox::cli
