#pragma once

// Profiles from memory and from the folders of golden tests.

#include <map>
#include <string>
#include <string_view>

#include "agentbox/profile/parse.hpp"

namespace agentbox::profile::test {

// A source named `name`, of the first lookup folder.
[[nodiscard]] Source source(std::string_view name, std::string_view toml);

// Files by name; what `extends` names is found among them, and a `./x.toml` under that name.
using Files = std::map<std::string, std::string>;
[[nodiscard]] base::Result<Profile> load(const Files& files, const std::string& first = "profile");

// As above, and the profile must be sound: throws with the rendered errors.
[[nodiscard]] Profile sound(const Files& files, const std::string& first = "profile");
[[nodiscard]] Profile sound(std::string_view toml);
// The rendered errors; empty if there are none.
[[nodiscard]] std::string errors(const Files& files, const std::string& first = "profile");
[[nodiscard]] std::string errors(std::string_view toml);

[[nodiscard]] std::string read_file(const std::string& path);

}  // namespace agentbox::profile::test
