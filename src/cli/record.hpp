#pragma once

#include <optional>

#include "agentbox/store/store.hpp"

namespace agentbox::cli {

// This user's record. Nothing when there is none yet: looking at it must not begin one. Throws StoreError.
[[nodiscard]] std::optional<store::Store> open_record(store::Store::Access access);

// This user's record for reading, with what nobody has written down yet: that a session was killed, and that nobody knows
// what became of what it was about to do. What can't be written then is written at another look.
[[nodiscard]] std::optional<store::Store> open_settled_record();

}  // namespace agentbox::cli
