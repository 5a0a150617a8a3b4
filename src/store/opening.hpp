#pragma once

#include <memory>
#include <span>

#include "database.hpp"

namespace agentbox::store {

// SQL that brings a file of version N to version N + 1, the first from nothing to 1.
using Steps = std::span<const char* const>;
// Those of this agentbox. Their number is the version that it writes.
[[nodiscard]] Steps steps() noexcept;

// The place is checked (this user's alone, no symbolic link), made where it is missing and `access` is write, and the
// file moved forward to the last of `steps`, in one transaction. Throws StoreError.
[[nodiscard]] std::unique_ptr<Database> open_record(const base::AbsPath& file, Store::Access access,
                                                    std::chrono::milliseconds patience, Steps steps);

}  // namespace agentbox::store
