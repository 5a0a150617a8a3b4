#pragma once

// Which file of the host a command names, and whether it is still the one that was named. The word comes from the room;
// the folders in which a bare name is looked up never do.

#include <expected>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "agentbox/base/path.hpp"
#include "agentbox/base/unique_fd.hpp"
#include "agentbox/policy/action.hpp"

namespace agentbox::gates::commands {

// A file that may run, as it was when it was measured.
struct Measured {
  policy::Program program;
  enum class Form : std::uint8_t {
    binary,  // executed by its descriptor
    script   // "#!": its interpreter opens it by its path
  } form = Form::binary;
  // Does the kernel give it other rights than the owner's (set-user-ID, set-group-ID, file capabilities)?
  enum class Rights : std::uint8_t { owners, others } rights = Rights::owners;
};

struct NotMeasured {
  enum class Why : std::uint8_t { not_found, not_executable, changed } why = Why::not_found;
  std::string text;  // one clause, lower case; foreign bytes escaped
};

class HostPrograms {
 public:
  // Looked up in this order. What isn't there is passed over.
  explicit HostPrograms(std::vector<base::AbsPath> folders);
  // NixOS' folders where they are, then /usr/local/bin:/usr/bin:/bin and their sbin. Never what a PATH says.
  [[nodiscard]] static std::vector<base::AbsPath> usual_folders(std::string_view user);

  // `word` is a bare name or an absolute path (policy::is_program_name). Follows links, since /usr/bin is full of them.
  // Program::writable is `yes` when this user could change the file, one of the links, or a directory on the way to any
  // of them; with root's rights that is everything that is not mounted read-only.
  [[nodiscard]] std::expected<Measured, NotMeasured> measure(const std::string& word);
  // The very file, opened and hashed once more, byte by byte: execute this descriptor. `changed` when path, inode or
  // content are others by now.
  [[nodiscard]] static std::expected<base::UniqueFd, NotMeasured> open_again(const policy::Program& program);

  // The folders as a PATH.
  [[nodiscard]] const std::string& search_path() const noexcept { return search_path_; }

 private:
  // device, inode, size, ctime
  using Identity = std::tuple<std::uint64_t, std::uint64_t, std::int64_t, std::int64_t, std::int64_t>;

  [[nodiscard]] std::expected<Measured, NotMeasured> measure_file(const base::AbsPath& path);

  std::vector<base::AbsPath> folders_;
  std::string search_path_;
  std::map<Identity, std::string> hashes_;
};

}  // namespace agentbox::gates::commands
