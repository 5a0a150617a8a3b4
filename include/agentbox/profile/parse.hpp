#pragma once

// TOML bytes → Profile. No file is opened here: the caller reads what `missing` names and calls again.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "agentbox/profile/profile.hpp"

namespace agentbox::profile {

// A profile's text may be at most this long (the TOML library recurses; see DESIGN §9).
inline constexpr std::size_t size_limit = 32 * 1024;
// `extends` may nest this deep.
inline constexpr std::size_t depth_limit = 8;

// One file, read whole, named as the user knows it.
struct Source {
  std::string name;        // "pi", or a path when it was named by its path
  std::string file;        // where it was found, for messages: "/usr/share/agentbox/profiles/pi.toml"
  std::string bytes;
  // In which of the lookup folders it was found: a name in `extends` that equals the file's own is looked up behind it.
  std::size_t folder = 0;
};

// What `extends` asks for.
struct Wanted {
  std::string name;        // [a-z0-9_-]+, or a path if it has a '/'
  std::size_t from_folder; // look from this folder on
  Origin origin;           // which line says so
};

// The parents that one file names; all diagnostics at once. `source` is parsed alone, nothing is merged.
[[nodiscard]] base::Result<std::vector<Wanted>> parents(const Source& source);

// Merges parents left to right, then the file itself (DESIGN §3, "Merging"). `sources` holds the file first and every
// parent that `parents` named for it and, in turn, for them; `resolved[i][k]` is the index in `sources` of the k-th
// parent of sources[i]. Reports every error of every file.
[[nodiscard]] base::Result<Profile> merge(const std::vector<Source>& sources,
                                          const std::vector<std::vector<std::size_t>>& resolved);

// `.agentbox.toml` of the workspace: lies in a tree that the agent can write, so it may only tighten `profile`.
// A widening is an error that names the line.
[[nodiscard]] base::Result<Profile> tighten(const Profile& profile, const Source& workspace_file);

// One row of the schema: the only place that knows a key. Feeds the parser, agentbox-profile(5), `explain`, completions.
struct KeyDoc {
  std::string_view section;   // "network"; empty for the top level
  std::string_view key;       // "allow"
  std::string_view type;      // as the man page shows it: "list of hosts"
  std::string_view fallback;  // what holds without it; empty for none
  std::string_view text;      // one paragraph
  std::string_view example;   // TOML
};
[[nodiscard]] const std::vector<KeyDoc>& schema();

// Checks a profile name: [a-z0-9_-]+, at most 64 bytes.
[[nodiscard]] bool is_profile_name(std::string_view name);

// Parsers of single values, shared with the command line (--allow HOST and the like). `origin` names the flag.
[[nodiscard]] base::Result<HostRule> parse_host_rule(std::string_view text, const Origin& origin);
[[nodiscard]] base::Result<PathText> parse_path(std::string_view text, const Origin& origin);
[[nodiscard]] base::Result<PatternText> parse_pattern(std::string_view text, const Origin& origin);

}  // namespace agentbox::profile
