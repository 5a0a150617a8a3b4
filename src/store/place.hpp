#pragma once

#include "agentbox/base/path.hpp"
#include "agentbox/store/store.hpp"

namespace agentbox::store {

// Is the record, and the folder that it lies in, this user's alone? What is missing is made when `access` is write.
// Returns the same file by a path without symbolic links. Throws StoreError.
[[nodiscard]] base::AbsPath settle_place(const base::AbsPath& file, Store::Access access);

}  // namespace agentbox::store
