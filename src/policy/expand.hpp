#pragma once

// What stands in a profile as text → places. Every error carries the line that says it.

#include <string>
#include <string_view>
#include <vector>

#include "agentbox/policy/look.hpp"

namespace agentbox::policy {

[[nodiscard]] base::Diagnostic error_at(const profile::Origin& origin, std::string message, std::string hint = {});
[[nodiscard]] std::unexpected<base::Diagnostics> fail_at(const profile::Origin& origin, std::string message,
                                                         std::string hint = {});

// A pattern taken apart: what it counts from, and the components below that.
struct PatternPlace {
  enum class Base { workspace, roots, gitdirs, root_folder } base = Base::workspace;  // root_folder: "/"
  std::vector<std::string> components;  // without a leading "**": that is `any_depth`
  bool any_depth = false;
  bool literal = true;
  bool directory = false;
  // "a/b"; precondition: literal.
  [[nodiscard]] std::string relative() const;
};
[[nodiscard]] base::Result<PatternPlace> place_of(const profile::Located<profile::PatternText>& pattern,
                                                  const Places& places);

// "${SHELL}", "${HOME}", "${USER}", "${workspace}" and the XDG folders inside a value; "$${" is a literal
// "${".
struct ValueNames {
  const Places& places;
  std::string user, shell;
};
[[nodiscard]] base::Result<std::string> expand_value(const profile::Located<std::string>& value,
                                                     const ValueNames& names);

}  // namespace agentbox::policy
