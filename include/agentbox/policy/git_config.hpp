#pragma once

// A git configuration that somebody else wrote, read without running git on it (git-config(1), "Syntax"). Pure; the bytes
// are hostile.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace agentbox::policy {

struct GitSetting {
  std::string section;                    // lower case
  std::optional<std::string> subsection;  // as it stands there; of the old form [section.sub] in lower case
  std::string name;                       // lower case
  std::string value;                      // without blanks at its ends; empty where there is no '='
  friend bool operator==(const GitSetting&, const GitSetting&) = default;
};
// "core.fsmonitor", "remote.origin.url"
[[nodiscard]] std::string key_of(const GitSetting& setting);

// All settings, in their order; includes are settings like others. Reads on after what git would call an error, for
// another git may be more patient. Never more settings than the text has bytes.
[[nodiscard]] std::vector<GitSetting> read_git_config(std::string_view config);

// https, http, git and ssh, also user@host:path, in plain letters: nothing that git or ssh could take for an option, a
// helper or a path of this machine.
[[nodiscard]] bool is_plain_git_address(std::string_view address);

// Of a repository's own configuration: why git on the host must not be run in it, one clause a setting, each once, at most
// `limit`. Everything that isn't known to be harmless is a reason: "core.fsmonitor"; "remote.origin.url, which is no plain
// https, ssh or git address". Foreign bytes are escaped.
[[nodiscard]] std::vector<std::string> unfit_for_host(std::string_view config, std::size_t limit = 8);

}  // namespace agentbox::policy
