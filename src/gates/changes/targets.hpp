#pragma once

// The file that a proposal names, as it stands on the host. Everything goes through the descriptor of its directory, which
// was reached from a grant without following a link.

#include <cstdint>
#include <expected>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "agentbox/base/path.hpp"
#include "agentbox/base/unique_fd.hpp"

namespace agentbox::gates::changes {

struct Target {
  base::AbsPath path;
  base::UniqueFd directory;          // the deepest one on the way that is there, O_PATH
  std::vector<std::string> missing;  // those below it that are not
  std::string name;
  std::uint64_t directory_device = 0, directory_inode = 0;

  enum class Is : std::uint8_t { missing, file } is = Is::missing;
  // Of a file.
  std::string content, sha256;
  std::uint64_t device = 0, inode = 0, names = 1;
  std::uint32_t mode = 0, group = 0;  // mode: permission bits

  // The very same state of things?
  [[nodiscard]] bool is_as(const Target& other) const;
};

class Targets {
 public:
  // Opens the grants, once: whatever is put in their place later is not meant. Throws base::SystemError.
  Targets(const std::vector<base::AbsPath>& roots, std::uint64_t most_bytes);

  // `path` lies below `root`, one of them. Else why not, one clause.
  [[nodiscard]] std::expected<Target, std::string> open(const base::AbsPath& root, const base::AbsPath& path) const;

 private:
  std::map<base::AbsPath, base::UniqueFd> roots_;
  std::uint64_t most_bytes_;
};

// Carries it out: whole or not at all, and on the disk when it returns. The caller has seen to it that nobody in the room
// moves. With the mode of what is replaced, else 0644. Throws base::SystemError.
void write(const Target& target, std::string_view content);
void remove(const Target& target);

// The bytes of a memfd that nobody can change any more. Else why not.
[[nodiscard]] std::expected<std::string, std::string> read_sealed(const base::UniqueFd& memory,
                                                                  std::uint64_t most_bytes);

}  // namespace agentbox::gates::changes
