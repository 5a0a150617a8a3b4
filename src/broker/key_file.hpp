#pragma once

#include <expected>
#include <string>

#include "agentbox/base/path.hpp"

namespace agentbox::broker {

// The first line of a small file that nobody else can read: printable ASCII without blanks, as it may stand in a header.
// The error is one clause, without anything that the file holds.
[[nodiscard]] std::expected<std::string, std::string> read_key(const base::AbsPath& file);

}  // namespace agentbox::broker
