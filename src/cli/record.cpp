#include "record.hpp"

#include "agentbox/launch/look.hpp"

namespace agentbox::cli {

using store::Store;
using store::StoreError;

std::optional<Store> open_record(Store::Access access) {
  const base::AbsPath file = launch::look_at_user().state_home / "agentbox" / store::file_name;
  try {
    // A writer would begin one.
    std::optional<Store> record(std::in_place, file, Store::Access::read);
    if (access == Store::Access::write) record.emplace(file, access);
    return record;
  } catch (const StoreError& error) {
    if (error.kind() == StoreError::Kind::missing) return std::nullopt;
    throw;
  }
}

}  // namespace agentbox::cli
