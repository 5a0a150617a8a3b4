#pragma once

// Which file of the host a command names, and whether it is still the one that was named. The word comes from the room;
// the folders in which a bare name is looked up never do.

#include <cstdint>
#include <expected>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "agentbox/base/path.hpp"
#include "agentbox/base/sha256.hpp"
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

// A file that is hashed a piece at a time: a large one must not hold up the loop.
class FileHash {
 public:
  // `size`: it may not have more, nor less, when it is read.
  FileHash(base::UniqueFd file, std::int64_t size) : file_(std::move(file)), size_(size) {}
  enum class State : std::uint8_t { unfinished, finished };
  // Reads at most 8 MiB.
  State go_on();
  // When it is finished. Nothing: it can't be read, or has changed meanwhile.
  [[nodiscard]] const std::optional<std::string>& digest() const noexcept { return digest_; }
  [[nodiscard]] base::UniqueFd take_file() { return std::move(file_); }

 private:
  base::UniqueFd file_;
  std::int64_t size_ = 0, done_ = 0;
  base::Sha256 hash_;
  std::optional<std::string> digest_;
};

// Of a command that the profile names and agentbox runs outside the room: could the room change what it does? A
// program, a script or settings that one of its words names ("/x", "--config=/x", "-C/x", ". /x && y") may not lie in
// what the room can write to (`writable`), neither by that name nor where its links lead. One clause that says so;
// empty: none does.
[[nodiscard]] std::string within_reach(const std::vector<std::string>& argv, std::span<const base::AbsPath> writable);

class HostPrograms {
 public:
  // Looked up in this order. What isn't there is passed over.
  explicit HostPrograms(std::vector<base::AbsPath> folders);
  // NixOS' folders where they are, then /usr/local/bin:/usr/bin:/bin and their sbin. Never what a PATH says.
  [[nodiscard]] static std::vector<base::AbsPath> usual_folders(std::string_view user);

  // `word` is a bare name or an absolute path (policy::is_program_name). Follows links, since /usr/bin is full of them.
  // Program::writable is `yes` when this user could change the file, one of the links, or a directory on the way to any
  // of them; with root's rights that is everything that is not mounted read-only.
  // In steps: `hash`, if it is there, must be brought to its end before `finish`; until then Program::sha256 is empty.
  struct Measuring;
  [[nodiscard]] std::expected<Measuring, NotMeasured> begin(const std::string& word);
  [[nodiscard]] std::expected<Measured, NotMeasured> finish(Measuring begun);
  // At once.
  [[nodiscard]] std::expected<Measured, NotMeasured> measure(const std::string& word);

  // The very file, opened and hashed once more, byte by byte: execute this descriptor. `changed` when path, inode or
  // content are others by now. In steps, and at once.
  [[nodiscard]] static std::expected<FileHash, NotMeasured> begin_again(const policy::Program& program);
  [[nodiscard]] static std::expected<base::UniqueFd, NotMeasured> finish_again(FileHash hash,
                                                                               const policy::Program& program);
  [[nodiscard]] static std::expected<base::UniqueFd, NotMeasured> open_again(const policy::Program& program);

  // The folders as a PATH.
  [[nodiscard]] const std::string& search_path() const noexcept { return search_path_; }

 private:
  // device, inode, size, ctime
  using Identity = std::tuple<std::uint64_t, std::uint64_t, std::int64_t, std::int64_t, std::int64_t>;

  [[nodiscard]] std::expected<Measuring, NotMeasured> begin_file(const base::AbsPath& path);

  std::vector<base::AbsPath> folders_;
  std::string search_path_;
  std::map<Identity, std::string> hashes_;
};

struct HostPrograms::Measuring {
  Measured measured;
  std::optional<FileHash> hash;  // nothing: it is known
  Identity identity;
};

}  // namespace agentbox::gates::commands
