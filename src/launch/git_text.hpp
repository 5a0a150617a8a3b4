#pragma once

// The two small formats of git that agentbox reads by itself, because running git on a hostile repository is
// no way to find out whether it is one. Pure; the bytes are hostile.

#include <optional>
#include <string>
#include <string_view>

namespace agentbox::launch {

// The content of a .git file, "gitdir: PATH": the path, as it stands there.
[[nodiscard]] std::optional<std::string> parse_gitfile(std::string_view bytes);
// A file that holds one path and a newline: `commondir`, and a worktree's `gitdir`.
[[nodiscard]] std::optional<std::string> parse_path_line(std::string_view bytes);

// The last value of `section.key` in a git configuration (git-config(1), "Syntax"), without following
// includes. Both names in lower case; sections with a subsection are no match. A broken line ends the
// reading, as git's own does.
[[nodiscard]] std::optional<std::string> config_value(std::string_view bytes, std::string_view section,
                                                      std::string_view key);

}  // namespace agentbox::launch
