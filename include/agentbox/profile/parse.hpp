#pragma once

// TOML bytes → Profile. No file is opened here: `load` is given a function that finds what `extends` names.

#include <cstddef>
#include <cstdint>
#include <functional>
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
  std::string name;  // "pi", or a path when it was named by its path
  std::string file;  // where it was found, for messages: "/usr/share/agentbox/profiles/pi.toml"
  std::string bytes;
  // In which of the lookup folders it was found: a name in `extends` that equals the file's own is looked up
  // behind it.
  std::size_t folder = 0;
  // The same file as an absolute path without "..", for the room's guard. Empty where `file` is one.
  std::string place = {};
};

// What `extends` asks for.
struct Wanted {
  std::string name;         // [a-z0-9_-]+, or a path if it has a '/'
  std::size_t from_folder;  // look from this folder on
  Origin origin;            // which line says so
};

// Finds and reads the file that `wanted` names. Its diagnostics are about the file that it could not read;
// `load` says which line asked for it.
using Lookup = std::function<base::Result<Source>(const Wanted& wanted)>;

// The file with all that it extends, merged: parents left to right, then the file itself (DESIGN §3,
// "Merging"), each file once, at its first place in that order. Every error of every file is reported; a
// circle and a chain longer than `depth_limit` are errors that show the chain.
[[nodiscard]] base::Result<Profile> load(const Source& first, const Lookup& find);

// The parents that one file names; all diagnostics of that file at once. Nothing is merged.
[[nodiscard]] base::Result<std::vector<Wanted>> parents(const Source& source);

// `load` for sources that are all at hand: the file first; `resolved[i][k]` is the index in `sources` of the
// k-th parent of sources[i].
[[nodiscard]] base::Result<Profile> merge(const std::vector<Source>& sources,
                                          const std::vector<std::vector<std::size_t>>& resolved);

// `.agentbox.toml` of the workspace: lies in a tree that the agent can write, so it may only tighten
// `profile`. A widening is an error that names the line.
[[nodiscard]] base::Result<Profile> tighten(const Profile& profile, const Source& workspace_file);

// What agentbox-profile(5), `explain` and the completions know of a key: the public part of the schema's row.
// The other part is how the key is read, merged and tightened (src/profile/schema.cpp, the only place that
// knows a key).
struct KeyDoc {
  std::string_view section;     // "network"; empty for the top level; "messages.NAME" where the user names the table
  std::string_view key;         // "allow"
  std::string_view type;        // as the man page shows it: "list of hosts"
  std::string_view fallback;    // what holds without it, as TOML; empty for none
  std::string_view text;        // one paragraph of plain text
  std::string_view example;     // TOML that parses as it stands, with its section's header
  std::string_view merging;     // how it joins what the parents say: "adds up", "replaced", "by key"
  std::string_view tightening;  // what `.agentbox.toml` may do with it; empty: nothing
};
[[nodiscard]] const std::vector<KeyDoc>& schema();

struct SectionDoc {
  std::string_view name;  // "network"; empty for the top level
  std::string_view text;  // one paragraph of plain text
};
// In the order of the man page; every KeyDoc's section is one of these.
[[nodiscard]] const std::vector<SectionDoc>& sections();

// What holds for each key where no file says anything: the `fallback` column as values.
[[nodiscard]] const Profile& defaults();

// Checks a profile name: [a-z0-9_-]+, at most 64 bytes.
[[nodiscard]] bool is_profile_name(std::string_view name);

// How many decimals an ISO 4217 currency has: 0, 2 or 3; 2 for any other word.
[[nodiscard]] std::size_t decimals_of(std::string_view currency) noexcept;

// "12.50" of 1250 USD, "1250" of JPY; without the currency.
[[nodiscard]] std::string amount_text(std::int64_t amount, std::string_view currency);
// What may be paid: "12.50" of USD is 1250. Exact: digits and at most the currency's own decimals, more than 0, no sign,
// blank, exponent or separator, and one spelling of each amount but for its last zeros.
[[nodiscard]] base::Result<std::int64_t> parse_amount(std::string_view text, std::string_view currency);

// Parsers of single values, shared with the command line (--allow HOST and the like). `origin` names the
// flag.
[[nodiscard]] base::Result<HostRule> parse_host_rule(std::string_view text, const Origin& origin);
[[nodiscard]] base::Result<CommandPattern> parse_command_pattern(std::string_view text, const Origin& origin);
[[nodiscard]] base::Result<PathText> parse_path(std::string_view text, const Origin& origin);
[[nodiscard]] base::Result<PatternText> parse_pattern(std::string_view text, const Origin& origin);
[[nodiscard]] base::Result<Budget> parse_money(std::string_view text, const Origin& origin);  // "12.50 USD"

}  // namespace agentbox::profile
