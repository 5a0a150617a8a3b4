#pragma once

// The machine's own disk behind policy's Disk. Trust: any path may lie in a tree that an agent wrote, so
// nothing is opened, followed or mounted by looking: one statx(2) and at most one readlink(2) for each entry.

#include <unordered_map>

#include "agentbox/policy/facts.hpp"

namespace agentbox::launch {

// Looks at each entry once and remembers what it saw: the decisions that follow are about one moment. What
// changes afterwards meets the furnisher's openat2(2), which follows nothing that was not seen here.
class HostDisk final : public policy::Disk {
 public:
  [[nodiscard]] policy::FileFact look(const base::AbsPath& path) override;
  // A directory was read, and this is not in it.
  void set_missing(const base::AbsPath& path) { seen_.try_emplace(path); }
  [[nodiscard]] bool is_known_missing(const base::AbsPath& path) const {
    auto found = seen_.find(path);
    return found != seen_.end() && found->second.kind == policy::FileKind::missing;
  }
  // Everything that was seen so far. What is missing is left out: in a snapshot that means the same.
  [[nodiscard]] policy::Snapshot snapshot() const;

 private:
  std::unordered_map<base::AbsPath, policy::FileFact> seen_;
};

}  // namespace agentbox::launch
