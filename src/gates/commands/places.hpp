#pragma once

// Where a host command may run: in the workspace or a granted folder, which have the same path on both sides.

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "agentbox/base/path.hpp"
#include "agentbox/base/unique_fd.hpp"
#include "agentbox/gates/commands/command_gate.hpp"

namespace agentbox::gates::commands {

struct Place {
  base::AbsPath path, root;
  base::UniqueFd directory;  // O_PATH
  std::uint64_t device = 0, inode = 0;
};

class Places {
 public:
  // Opens the roots, once: whatever is put in their place later is not meant. Throws base::SystemError.
  Places(const std::vector<Root>& roots, std::vector<base::AbsPath> hidden);

  // No link on the way, and never out of the root. Else why not, one clause.
  [[nodiscard]] std::expected<Place, std::string> open(const base::AbsPath& directory) const;
  // May the room write there?
  [[nodiscard]] bool is_writable(const base::AbsPath& path) const;

 private:
  struct Opened {
    Root root;
    base::UniqueFd directory;
  };
  std::vector<Opened> roots_;
  std::vector<base::AbsPath> hidden_;
};

}  // namespace agentbox::gates::commands
