#pragma once

// What is written down before anything is made, so that a run which was killed can be cleared up by the next
// one: <state folder>/runs/<session>/ holds record.json, the copies of held files in one file, and a
// heartbeat. The folder is locked (flock) for as long as its supervisor lives: the kernel frees the lock
// whatever kills it.

#include <cstdint>
#include <expected>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agentbox/base/path.hpp"
#include "agentbox/base/unique_fd.hpp"
#include "agentbox/policy/policy.hpp"

namespace agentbox::launch {

// One file, link or directory of what is held, as it was at the start.
struct HeldNode {
  std::string relative;  // below the held path; empty for itself
  policy::FileKind kind = policy::FileKind::regular;
  std::uint32_t mode = 0;
  std::int64_t modified_ns = 0;
  std::uint64_t size = 0, offset = 0;  // where its bytes are in the file of copies
  std::string target;                  // of a link
  friend bool operator==(const HeldNode&, const HeldNode&) = default;
};
struct HeldPath {
  base::AbsPath path;
  std::vector<HeldNode> nodes;  // itself first, parents before children; empty: it was missing
  friend bool operator==(const HeldPath&, const HeldPath&) = default;
};

// A git directory of the workspace, for the scan at the end.
struct GitRecord {
  base::AbsPath entry;                                     // root/.git
  base::AbsPath directory;                                 // resolved
  std::string head;                                        // what HEAD said
  std::vector<base::AbsPath> modules;                      // git directories of submodules that were there
  std::vector<std::pair<std::string, std::string>> links;  // symbolic links in it and their targets
  friend bool operator==(const GitRecord&, const GitRecord&) = default;
};

struct Record {
  std::string session, profile;
  base::AbsPath workspace;
  std::uint64_t workspace_device = 0, workspace_inode = 0;
  std::int64_t started = 0;  // seconds since 1970
  std::int64_t pid = 0;      // for people; the lock says whether it lives
  std::vector<base::AbsPath> ghosts;
  std::vector<base::AbsPath> watched;  // what may not be there at the end
  std::vector<HeldPath> held;
  std::vector<GitRecord> git;
  friend bool operator==(const Record&, const Record&) = default;
};

[[nodiscard]] std::string to_json(const Record& record);
// Nothing for what isn't a record of this version.
[[nodiscard]] std::optional<Record> record_of_json(std::string_view text);

// Would a room with this record take (or restore over) what is put at `path`?
[[nodiscard]] bool guards(const Record& record, const base::AbsPath& path);

enum class Durable { no, yes };
// Writes a file whole or not at all (a new one is renamed over the old).
void write_file(int directory, const std::string& name, std::string_view text, Durable durable);

// A folder of the state folder, made (0700) with all above it where missing. O_PATH.
[[nodiscard]] base::UniqueFd open_state_folder(const base::AbsPath& state_folder, std::string_view name);

// Empty directories, kept in the state folder and used again: a file system may take a millisecond to make or remove
// one, and a room needs a dozen. To move one takes microseconds. Where the state folder is on another file system they
// are made and removed.
class Spares {
 public:
  // As many as a few rooms at once need.
  static constexpr std::size_t kept = 64;

  explicit Spares(const base::AbsPath& state_folder) : state_folder_(state_folder) {}
  // Puts one there, mode 0755 whatever the umask, 0700 if it is `secret`. 0 or the errno: EEXIST.
  enum class Mode : std::uint16_t { open = 0755, secret = 0700 };
  [[nodiscard]] int take(int parent, const std::string& name, Mode mode);
  // Takes one away if it is empty. 0 or the errno: ENOTEMPTY.
  [[nodiscard]] int give_back(int parent, const std::string& name);
  // Removes all but the `most`. Slow. Ends early when it is asked to.
  void trim(const std::stop_token& stop, std::size_t most) const;

 private:
  [[nodiscard]] int folder();

  const base::AbsPath& state_folder_;
  base::UniqueFd folder_;
  std::optional<std::vector<std::string>> names_;  // those that were there, the next one last
};

// Held while records are made, compared and removed: without it two rooms could each leave a ghost directory
// to the other. Not held while a room runs.
class RunsLock {
 public:
  // Throws when it is not to be had within a minute.
  explicit RunsLock(const base::AbsPath& state_folder);
  [[nodiscard]] int folder() const noexcept { return folder_.get(); }

 private:
  base::UniqueFd folder_;
};

// The folder of one run, locked by whoever has this object.
class RunFolder {
 public:
  // A new one. Throws when the name is taken.
  static RunFolder create(const RunsLock& runs, const std::string& session, Spares& spares);
  // One whose supervisor is dead; nothing if it lives, or isn't there.
  static std::optional<RunFolder> seize(const RunsLock& runs, const std::string& session);

  void write(const Record& record) const;
  [[nodiscard]] std::optional<Record> read() const;
  [[nodiscard]] bool has_record() const;
  // A new file for the copies, or the one that is there (an errno if it isn't).
  [[nodiscard]] base::UniqueFd create_copies() const;
  // To write at its end; made if it isn't there.
  [[nodiscard]] base::UniqueFd add_to_copies() const;
  [[nodiscard]] std::expected<base::UniqueFd, int> open_copies() const;
  // "Alive now": seconds since 1970, read back by `last_alive` after a crash. 0 when it was never told.
  void beat() const;
  [[nodiscard]] std::int64_t last_alive() const;
  // Brings all of it to the disk. Slow: not on the way to the agent's start.
  void sync() const;
  // Removes it, with all that is in it.
  void remove(const RunsLock& runs, Spares& spares) const;
  // When it was made.
  [[nodiscard]] std::int64_t made() const;

 private:
  RunFolder(std::string session, base::UniqueFd folder) : session_(std::move(session)), folder_(std::move(folder)) {}
  std::string session_;
  base::UniqueFd folder_;
};

// The records of supervisors that live, but for `except`.
[[nodiscard]] std::vector<Record> living_records(const base::AbsPath& state_folder, std::string_view except = {});
// Those of supervisors that were killed.
[[nodiscard]] std::vector<Record> dead_records(const base::AbsPath& state_folder);
// A living run's copies of held files.
[[nodiscard]] std::expected<base::UniqueFd, int> copies_of(const base::AbsPath& state_folder,
                                                           const std::string& session);

}  // namespace agentbox::launch
