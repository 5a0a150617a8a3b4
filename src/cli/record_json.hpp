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

}  // namespace agentbox::cli
