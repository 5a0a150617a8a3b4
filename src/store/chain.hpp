#pragma once

#include <string>

#include "agentbox/base/sha256.hpp"
#include "agentbox/store/store.hpp"

namespace agentbox::store {

// What comes before the first row.
inline const std::string no_row(64, '0');

// store.hpp has the encoding. The number comes last, so that verify can ask whether a row belongs somewhere else
// without hashing all of it again.
[[nodiscard]] base::Sha256 hash_but_number(const Row& row);
[[nodiscard]] std::string finish(base::Sha256 hash, std::int64_t number);
[[nodiscard]] std::string hash_of(const Row& row);

// What of an answer never changes: all but its use and its end.
[[nodiscard]] std::string hash_of(const Remembered& answer);

}  // namespace agentbox::store
