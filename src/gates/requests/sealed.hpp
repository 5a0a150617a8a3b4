#pragma once

// Content that the room sends beside a line: a memfd which nobody can change any more.

#include <cstdint>
#include <expected>
#include <optional>
#include <string>

#include "agentbox/base/unique_fd.hpp"

namespace agentbox::gates::requests {

// Its bytes. Else why it is none, one clause.
[[nodiscard]] std::expected<std::uint64_t, std::string> sealed_size(const base::UniqueFd& memory);
// `size` bytes from `offset` on; nothing when there are fewer.
[[nodiscard]] std::optional<std::string> read_part(const base::UniqueFd& memory, std::uint64_t offset,
                                                   std::uint64_t size);

}  // namespace agentbox::gates::requests
