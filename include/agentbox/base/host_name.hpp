#pragma once

// The one grammar of host names: of rules in a profile, and of names that an agent connects to. Two grammars would be
// two chances for a name that one of them reads as something else.

#include <cstddef>
#include <optional>
#include <string_view>

namespace agentbox::base {

enum class NameFault {
  too_long,         // more than 253 bytes
  empty_label,      // "a..b", ".", ""
  long_label,       // more than 63 bytes between two dots
  byte,             // not a lower-case letter, a digit or '-'
  hyphen,           // a label that begins or ends with '-'
  odd_address,      // "0x7f.1", "2130706433": what RFC 1123 §2.1 and the URL standard read as an address
  below_localhost,  // "x.localhost"
};

struct NameProblem {
  NameFault fault;
  std::size_t offset, length;  // in bytes, of the part that is wrong
};

// The first thing that is wrong with a name, which is already in lower case and without the dot at its end. "localhost"
// itself is a name.
[[nodiscard]] std::optional<NameProblem> problem_of_name(std::string_view name);

}  // namespace agentbox::base
