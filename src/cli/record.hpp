#pragma once

#include <optional>

#include "agentbox/store/store.hpp"

namespace agentbox::cli {

// This user's record. Nothing when there is none yet: looking at it must not begin one. Throws StoreError.
[[nodiscard]] std::optional<store::Store> open_record(store::Store::Access access);

}  // namespace agentbox::cli
