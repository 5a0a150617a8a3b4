#pragma once

// git on the host, in a tree that the room can write: only where the repository can't make it run anything.

#include <expected>
#include <string>
#include <vector>

#include "agentbox/policy/git_remotes.hpp"

#include "places.hpp"

namespace agentbox::gates::commands {

// Is this the program whose repository must be looked at?
[[nodiscard]] bool is_git(const std::string& word, const base::AbsPath& program);

// What git is started with on top of the fixed environment; or why it isn't, one clause for people and agents.
struct GitRun {
  std::vector<std::string> environment;  // "NAME=value"
  policy::GitView view;                  // without the configuration, which git itself is asked for
};
[[nodiscard]] std::expected<GitRun, std::string> prepare_git(const std::vector<std::string>& argv, const Place& place);

}  // namespace agentbox::gates::commands
