#pragma once

// How the guard's files on disk spell bytes and kinds. The files are JSON, and JSON can't hold a path that
// isn't UTF-8.

#include <optional>
#include <string>
#include <string_view>

#include "agentbox/policy/facts.hpp"

namespace agentbox::launch {

// Percent-encoding: '%', control characters and everything beyond ASCII become %XX. Reads back to the same
// bytes.
[[nodiscard]] std::string encode_bytes(std::string_view bytes);
// Nothing for a '%' without two hexadecimal digits behind it.
[[nodiscard]] std::optional<std::string> decode_bytes(std::string_view text);

[[nodiscard]] std::string_view kind_name(policy::FileKind kind);
[[nodiscard]] std::optional<policy::FileKind> kind_of_name(std::string_view name);

}  // namespace agentbox::launch
