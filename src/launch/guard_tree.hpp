#pragma once

// Touching a tree that a hostile program may change at any moment. Everything goes through a descriptor of
// the parent directory that was reached without following a single link, and names one component below it:
// what a swapped parent or a planted link leads to is never touched. Nothing here opens a FIFO or a device
// for reading.

#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agentbox/base/path.hpp"
#include "agentbox/base/unique_fd.hpp"
#include "agentbox/policy/facts.hpp"

namespace agentbox::launch {

// One directory entry, its last component not followed.
struct Entry {
  policy::FileKind kind = policy::FileKind::missing;
  std::uint64_t device = 0, inode = 0;
  std::int64_t born_ns = 0;      // 0 where the file system doesn't say
  std::int64_t changed_ns = 0;   // ctime: the kernel's clock, a program can't set it
  std::int64_t modified_ns = 0;  // mtime: a program can
  std::uint64_t size = 0;
  std::uint32_t mode = 0;  // permission bits
  std::uint32_t uid = 0;
  std::uint32_t links = 0;
};

// `directory` with one more name, or with several; nothing when that is longer than a path may be. Unlike
// operator/, it takes what was found on the disk.
[[nodiscard]] std::optional<base::AbsPath> below(const base::AbsPath& directory, std::string_view relative);

// The very same object? Inode numbers are used again at once (ext4), so the time of birth counts too; where
// there is none, a changed ctime counts as another object.
[[nodiscard]] bool same_object(const Entry& left, const Entry& right) noexcept;

// Nothing when there is no such entry. Throws for any other failure.
[[nodiscard]] std::optional<Entry> look_at(int directory, const std::string& name);
// What a descriptor is open on.
[[nodiscard]] Entry look_at(int descriptor);

// The workspace, held by a descriptor from before the agent started: should the directory be moved away
// meanwhile, the guard goes on with this one, and not with what stands in its place.
class Tree {
 public:
  // Throws base::SystemError when the workspace can't be opened.
  explicit Tree(base::AbsPath workspace);

  [[nodiscard]] const base::AbsPath& workspace() const noexcept { return workspace_; }
  [[nodiscard]] Entry root() const { return look_at(root_.get()); }

  // A directory as a starting point for *at calls (O_PATH), or the errno: ENOENT, ENOTDIR, ELOOP for a link
  // on the way. One in the workspace is reached from the workspace's descriptor, any other from "/". A
  // directory of ours that was locked (chmod 000) is unlocked on the way.
  [[nodiscard]] std::expected<base::UniqueFd, int> directory(const base::AbsPath& path) const;
  // The first component of `path` that is a symbolic link, if there is one.
  [[nodiscard]] std::optional<base::AbsPath> first_link(const base::AbsPath& path) const;
  // Nothing when it, or a directory on the way, isn't there. Throws for the rest, a link on the way included.
  [[nodiscard]] std::optional<Entry> look(const base::AbsPath& path) const;

 private:
  base::AbsPath workspace_;
  base::UniqueFd root_, slash_;
};

// Opens each directory of a row of neighbours once. For one pass only: what it has open may have been replaced since.
class LastDirectory {
 public:
  explicit LastDirectory(const Tree& tree) : tree_(tree) {}
  [[nodiscard]] const std::expected<base::UniqueFd, int>& open(const base::AbsPath& path) {
    if (path_ != path) {
      directory_ = tree_.directory(path);
      path_ = path;
    }
    return directory_;
  }

 private:
  const Tree& tree_;
  std::optional<base::AbsPath> path_;
  std::expected<base::UniqueFd, int> directory_ = std::unexpected(0);
};

// Gives the owner of a directory its rwx back. False when there was nothing to give, it isn't ours, or an OwnersLocks
// lives.
bool unlock(int directory);

// While one lives, nothing here opens up what is locked (for this thread): before the agent runs it was the owner who
// locked it.
class OwnersLocks {
 public:
  OwnersLocks() noexcept;
  ~OwnersLocks();
  OwnersLocks(const OwnersLocks&) = delete;
  OwnersLocks& operator=(const OwnersLocks&) = delete;
};

// Opens a regular file for reading; the errno if it isn't there, isn't regular (EINVAL) or can't be opened.
[[nodiscard]] std::expected<base::UniqueFd, int> open_regular(int directory, const std::string& name);
// Has anybody a regular file open for writing, after a tenth of a second? False also where the file system can't tell.
[[nodiscard]] bool is_still_written(int directory, const std::string& name);
// The first `limit` bytes of a regular file: who must know whether that is all asks for one more.
[[nodiscard]] std::expected<std::string, int> read_start(int directory, const std::string& name, std::size_t limit);
// A link's target. Throws if it can't be read.
[[nodiscard]] std::string read_link(int directory, const std::string& name);

// Copies exactly `size` bytes, sharing the extents where the file system can. Throws on failure and when
// `from` ends early.
void copy_bytes(int from, std::int64_t from_offset, int to, std::int64_t to_offset, std::uint64_t size);
[[nodiscard]] bool same_bytes(int left, std::int64_t left_offset, int right, std::int64_t right_offset,
                              std::uint64_t size);

// Puts a regular file in place: it appears whole, with mode and time, or not at all. 0, or EEXIST when
// something is there. `temporary` is the name used where the file system knows no unnamed files. Throws for
// other failures.
struct NewFile {
  int from = -1;
  std::int64_t offset = 0;
  std::uint64_t size = 0;
  std::uint32_t mode = 0600;
  std::int64_t modified_ns = 0;
};
[[nodiscard]] int place_file(int directory, const std::string& name, const NewFile& file, const std::string& temporary);

// Removes one entry that isn't a directory, or an empty directory. 0 or the errno. Unlocks the parent if it
// must.
[[nodiscard]] int remove_entry(int directory, const std::string& name, policy::FileKind kind);
[[nodiscard]] int rename_entry(int from, const std::string& name, int to, const std::string& new_name);
[[nodiscard]] int make_directory(int directory, const std::string& name, std::uint32_t mode);

// Has a directory any entry? Takes a descriptor that can be read.
[[nodiscard]] bool is_empty(int listing);
// The names in a directory, sorted; at most `limit`, and nothing at all beyond that.
[[nodiscard]] std::optional<std::vector<std::string>> names_in(int directory, std::size_t limit);
// Opens an entry as a directory, O_PATH, its last component not followed.
[[nodiscard]] std::expected<base::UniqueFd, int> open_directory(int directory, const std::string& name);

// What a walk over somebody else's tree may cost at most.
struct Bound {
  std::size_t entries = 10000;
  std::uint64_t bytes = 64ULL << 20;
  int depth = 32;
};
// Copies the entry, whatever it is, to a new name. False when the bound was met; what was copied by then
// stays. Sockets and devices are left out: they hold nothing.
[[nodiscard]] bool copy_tree(int from, const std::string& name, int to, const std::string& new_name, Bound& bound);
// Removes the entry with all below it. False when the bound was met.
[[nodiscard]] bool remove_tree(int directory, const std::string& name, Bound& bound);

}  // namespace agentbox::launch
