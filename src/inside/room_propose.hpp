#pragma once

// Asks the owner to change a file that the room can't.

#include <optional>
#include <string>

namespace agentbox::inside {

struct Proposal {
  std::string path;  // absolute
  std::string why;
  enum class What { write, remove } what = What::write;
};

// As the owner's side takes it: absolute, without ".", ".." and empty parts. A ".." is folded where it says the same
// without looking: at the beginning of a relative path, since a working directory has no links in it. Nothing for any
// other one.
[[nodiscard]] std::optional<std::string> absolute(const std::string& path, const std::string& directory);

// Reads the new content from standard input. The exit code.
[[nodiscard]] int propose(const Proposal& proposal);

}  // namespace agentbox::inside
