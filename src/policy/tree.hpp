#pragma once

// The effective access tree: which host path is absent, readable, writable, protected or hidden in the room.
//
// Precedence (DESIGN §3, "Paths"): hide beats everything beneath it, then protect, then the longest of the
// grants (files.read, files.write, the workspace, the floor); at equal path read beats write. All paths are
// real paths: every link has been followed before, and inside they are what they are outside.

#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "agentbox/policy/policy.hpp"

namespace agentbox::policy {

struct Grant {
  base::AbsPath path;
  FileKind kind = FileKind::directory;
  Access access = Access::read;  // hidden: a private folder of the room, below which nothing of the host is seen
  Mount::Why why = Mount::Why::grant;
  profile::Origin origin;
  bool through_links = false;  // the profile names it by another path, which is made in the room
  std::size_t number = 0;      // of equal ones the first stands
};

class AccessTree {
 public:
  AccessTree() = default;
  AccessTree(const AccessTree&) = delete;  // it points into itself
  AccessTree& operator=(const AccessTree&) = delete;

  // Every grant first, in any order; then `settle`.
  void add(Grant grant) {
    grant.number = grants_.size();
    grants_.push_back(std::move(grant));
  }
  // Sorts and folds: what lies in a wider grant of the same access, and what a stricter one of the same path
  // covers, is dropped.
  void settle();

  // What the grants alone say about a path, and the grant that says so (nullptr: absent).
  struct Place {
    Access access = Access::hidden;
    const Grant* grant = nullptr;
  };
  [[nodiscard]] Place at(const base::AbsPath& path) const { return at(std::string_view(path.str())); }

  // After `settle`.
  void hide(const base::AbsPath& path, FileKind kind, const profile::Origin& origin);
  // After all hides. Remembers the path if it is writable and not hidden. `why`: protect, ghost or pin.
  void protect(const base::AbsPath& path, FileKind kind, Mount::Why why, const profile::Origin& origin);

  struct Mark {
    FileKind kind = FileKind::missing;
    Mount::Why why = Mount::Why::protect;
    profile::Origin origin;
  };
  // The hide or protection at this path or above it; nullptr if there is none.
  [[nodiscard]] const Mark* hidden_by(const base::AbsPath& path) const { return nearest(hidden_, path.str()); }
  [[nodiscard]] const Mark* protected_by(const base::AbsPath& path) const { return nearest(protected_, path.str()); }
  // Nothing stands in the way of writing there.
  [[nodiscard]] bool is_writable(const base::AbsPath& path) const {
    return at(path).access == Access::write && hidden_by(path) == nullptr && protected_by(path) == nullptr;
  }

  // Grants that had no effect: because of a hide or (writing only) a protection, or because they were
  // dropped.
  struct Lost {
    const Grant* grant = nullptr;
    const Mark* by = nullptr;  // nullptr: dropped
    const base::AbsPath* covered_by = nullptr;
  };
  [[nodiscard]] std::vector<Lost> lost() const;

  // By path, so that parents come first. No two have the same target.
  [[nodiscard]] std::vector<Mount> mounts() const;

 private:
  // Looked up by text, without a copy for each folder on the way up.
  struct Marks {
    std::deque<std::pair<base::AbsPath, Mark>> all;  // addresses stay
    std::unordered_map<std::string_view, const Mark*> by_path;
    void add(const base::AbsPath& path, Mark mark);
  };
  [[nodiscard]] static const Mark* nearest(const Marks& marks, std::string_view path);
  [[nodiscard]] Place at(std::string_view path) const;

  class Emission;

  struct Dropped {
    Grant grant;
    base::AbsPath covered_by;
  };
  std::vector<Grant> grants_;  // after `settle`: sorted, none redundant
  std::vector<Dropped> dropped_;
  std::unordered_map<std::string_view, std::size_t> index_;
  Marks hidden_, protected_;
};

}  // namespace agentbox::policy
