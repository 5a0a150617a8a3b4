#pragma once

// Which addresses a command of git's talks to: the arguments say a remote's name at most, and what it means is in the
// repository's settings, which the room can write, and in the owner's, which may rewrite any address. Pure.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agentbox/policy/action.hpp"

namespace agentbox::policy {

struct GitTraffic {
  enum class Way : std::uint8_t { push, fetch } way = Way::fetch;
  enum class Whom : std::uint8_t {
    one,
    all,    // each remote of the repository
    unsure  // an option, an alias or a command of which that isn't known
  } whom = Whom::unsure;
  std::string remote;  // of `one`: as it stands there; empty: git chooses
};
// Nothing: what this command of git's does it does here. argv[0] isn't looked at.
[[nodiscard]] std::optional<GitTraffic> traffic_of_git(const std::vector<std::string>& argv);

// Is it git, and will it talk to somebody, or may it?
[[nodiscard]] bool talks_to_remotes(const Command& command);

// What git sees of the world where it is to run.
struct GitView {
  std::vector<std::pair<std::string, std::string>> config;  // all files together, in git's order; see read_git_list
  std::optional<std::string> branch;                        // that is checked out; empty: none; nothing: can't be told
  // Files of old in the git directory that give names an address (gitrepository-layout(5): remotes/, branches/).
  enum class OldFiles : std::uint8_t { no, yes } old_files = OldFiles::yes;
};
// What `git config --list -z` prints: "key\nvalue\0", keys without a value "key\0".
[[nodiscard]] std::vector<std::pair<std::string, std::string>> read_git_list(std::string_view text);

// As git's own remote.c finds them, with url, pushurl, insteadOf and pushInsteadOf; certain only where nothing is left
// to guess and each is a plain address (is_plain_git_address). In their order, each once.
[[nodiscard]] Remotes remotes_of(const GitTraffic& traffic, const GitView& view);

}  // namespace agentbox::policy
