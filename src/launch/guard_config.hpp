#pragma once

// What a git configuration that somebody else wrote would execute. Pure.

#include <string>
#include <string_view>
#include <vector>

namespace agentbox::launch {

// The keys of `config` that make git run a program, read another configuration or another tree, or that hide
// such a thing: "core.fsmonitor", "filter.x.clean", "include.path". As git names them: section and key in
// lower case. Each once, at most `limit`. Reads on after what git would call an error, for another git may be
// more patient.
[[nodiscard]] std::vector<std::string> executing_keys(std::string_view config, std::size_t limit = 32);

}  // namespace agentbox::launch
