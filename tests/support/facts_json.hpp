#pragma once

// HostFacts from and to JSON, so that a test can hold the picture of a machine in a file.
//
// "files" is an object: path → "directory", "regular", "missing", ... or {"link": "target"} or
// {"kind": "...", "uid": 0, "mode": 493}. Folders on the way to an entry need not be named. Everything else
// is named as the members of HostFacts; what is left out has a plain default (user u, home /home/u, workspace
// /home/u/work).

#include <string>
#include <string_view>

#include "agentbox/policy/facts.hpp"

namespace agentbox::test {

// Throws nlohmann::json::exception or std::invalid_argument on what it doesn't understand.
[[nodiscard]] policy::HostFacts facts_from_json(std::string_view text);
// Sorted and indented; bytes that are not UTF-8 are replaced.
[[nodiscard]] std::string facts_to_json(const policy::HostFacts& facts);

}  // namespace agentbox::test
