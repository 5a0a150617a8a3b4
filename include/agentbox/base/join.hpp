#pragma once

#include <optional>
#include <string_view>

#include "agentbox/base/path.hpp"

namespace agentbox::base {

// `folder` with `relative` below it, for words of somebody else's: nothing where AbsPath::parse gives nothing, that is
// for a ".." or a NUL in it, or for a path that would be too long. "." and "" give the folder itself.
[[nodiscard]] std::optional<AbsPath> join(const AbsPath& folder, std::string_view relative);

}  // namespace agentbox::base
