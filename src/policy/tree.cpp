#include "tree.hpp"

#include <algorithm>
#include <iterator>
#include <unordered_set>

namespace agentbox::policy {

namespace {

using base::AbsPath;

// "/a/b" → "/a" → "/" → "".
std::string_view up(std::string_view path) {
  if (path.size() <= 1) return {};
  std::size_t slash = path.rfind('/');
  return path.substr(0, slash == 0 ? 1 : slash);
}

}  // namespace

void AccessTree::settle() {
  // At equal path the private folder goes last: a grant of exactly that place stands above it.
  auto rank = [](const Grant& grant) {
    return std::pair(grant.access == Access::hidden ? 3 : static_cast<int>(grant.access), grant.number);
  };
  std::ranges::sort(grants_, [&](const Grant& left, const Grant& right) {
    auto order = left.path <=> right.path;
    return order != 0 ? order < 0 : rank(left) < rank(right);
  });
  std::vector<Grant> kept;
  kept.reserve(grants_.size());
  std::vector<std::size_t> open;  // the kept grants that enclose the present one, outermost first
  for (Grant& grant : grants_) {
    while (!open.empty() && !grant.path.is_within(kept[open.back()].path)) open.pop_back();
    if (!open.empty()) {
      const Grant& outer = kept[open.back()];
      bool same = outer.path == grant.path;
      if (same || (outer.access == grant.access && grant.access != Access::hidden && grant.why != Mount::Why::device)) {
        dropped_.push_back({.grant = std::move(grant), .covered_by = outer.path});
        continue;
      }
    }
    open.push_back(kept.size());
    kept.push_back(std::move(grant));
  }
  grants_ = std::move(kept);
  index_.reserve(grants_.size());
  for (std::size_t i = 0; i < grants_.size(); ++i) index_.emplace(grants_[i].path.str(), i);
}

AccessTree::Place AccessTree::at(std::string_view path) const {
  for (; !path.empty(); path = up(path)) {
    auto found = index_.find(path);
    if (found != index_.end()) return {grants_[found->second].access, &grants_[found->second]};
  }
  return {};
}

void AccessTree::Marks::add(const AbsPath& path, Mark mark) {
  if (by_path.contains(path.str())) return;
  all.emplace_back(path, std::move(mark));
  by_path.emplace(all.back().first.str(), &all.back().second);
}

const AccessTree::Mark* AccessTree::nearest(const Marks& marks, std::string_view path) {
  if (marks.all.empty()) return nullptr;
  for (; !path.empty(); path = up(path)) {
    auto found = marks.by_path.find(path);
    if (found != marks.by_path.end()) return found->second;
  }
  return nullptr;
}

void AccessTree::hide(const AbsPath& path, FileKind kind, const profile::Origin& origin) {
  hidden_.add(path, {.kind = kind, .why = Mount::Why::hide, .origin = origin});
}

void AccessTree::protect(const AbsPath& path, FileKind kind, Mount::Why why, const profile::Origin& origin) {
  if (at(path).access != Access::write || hidden_by(path) != nullptr) return;
  protected_.add(path, {.kind = kind, .why = why, .origin = origin});
}

std::vector<AccessTree::Lost> AccessTree::lost() const {
  std::vector<Lost> lost;
  auto marked = [&](const Grant& grant) {
    const Mark* by = hidden_by(grant.path);
    return by == nullptr && grant.access == Access::write ? protected_by(grant.path) : by;
  };
  for (const Grant& grant : grants_) {
    const Mark* by = marked(grant);
    if (by != nullptr && grant.access != Access::hidden) lost.push_back({.grant = &grant, .by = by});
  }
  for (const Dropped& one : dropped_) {
    lost.push_back({.grant = &one.grant, .by = marked(one.grant), .covered_by = &one.covered_by});
  }
  return lost;
}

// Writes the list of mounts: what is left of the grants, the protections with the folders on the way to them,
// the masks.
class AccessTree::Emission {
 public:
  explicit Emission(const AccessTree& tree) : tree_(tree) {}

  std::vector<Mount> run() {
    for (const Grant& grant : tree_.grants_) emit(grant);
    for (const auto& [path, mark] : tree_.protected_.all) emit(path, mark);
    for (const auto& [path, mark] : tree_.hidden_.all) mask(path, mark);
    std::ranges::move(ancestors_, std::back_inserter(mounts_));
    std::ranges::sort(mounts_, {}, &Mount::target);
    return std::move(mounts_);
  }

 private:
  void emit(const Grant& grant) {
    if (grant.access == Access::hidden || tree_.hidden_by(grant.path) != nullptr) return;
    // Below a protected folder nothing is left to grant.
    if (is_covered(grant.path)) return;
    auto mark = tree_.protected_.by_path.find(grant.path.str());
    if (mark != tree_.protected_.by_path.end()) {
      place(grant.path, grant.kind, Access::read, mark->second->why, mark->second->origin);
    } else {
      place(grant.path, grant.kind, grant.access, grant.why, grant.origin);
    }
    if (mounts_.back().access == Access::read) keep_ancestors(grant.path, mounts_.back().origin);
  }

  void emit(const AbsPath& path, const Mark& mark) {
    if (is_covered(path) || tree_.index_.contains(path.str())) return;
    place(path, mark.kind, Access::read, mark.why, mark.origin);
    keep_ancestors(path, mark.origin);
  }

  void mask(const AbsPath& path, const Mark& mark) {
    if (path.is_root()) return;
    if (tree_.at(up(path.str())).access == Access::hidden) return;  // its only grant is gone: nothing is there
    if (nearest(tree_.hidden_, up(path.str())) != nullptr) return;
    place(path, mark.kind, Access::hidden, Mount::Why::hide, mark.origin);
  }

  bool is_covered(const AbsPath& path) const { return nearest(tree_.protected_, up(path.str())) != nullptr; }

  void place(const AbsPath& path, FileKind kind, Access access, Mount::Why why, const profile::Origin& origin) {
    mounts_.push_back({.target = path, .source = path, .kind = kind, .access = access, .why = why, .origin = origin});
  }

  // `mv parent elsewhere; cp -r elsewhere parent` would put a writable copy in the place of what is
  // read-only: every folder between it and the writable root becomes a mount point, which can't be renamed or
  // removed.
  void keep_ancestors(const AbsPath& path, const profile::Origin& origin) {
    std::string_view folder = up(path.str());
    Place root = tree_.at(folder);
    if (root.access != Access::write) return;
    for (; folder != root.grant->path.str(); folder = up(folder)) {
      if (!ancestor_paths_.insert(std::string(folder)).second) return;
      AbsPath at = *AbsPath::parse(folder);
      ancestors_.push_back({.target = at,
                            .source = at,
                            .kind = FileKind::directory,
                            .access = Access::write,
                            .why = Mount::Why::ancestor,
                            .origin = origin});
    }
  }

  const AccessTree& tree_;
  std::vector<Mount> mounts_, ancestors_;
  std::unordered_set<std::string> ancestor_paths_;
};

std::vector<Mount> AccessTree::mounts() const {
  return Emission(*this).run();
}

}  // namespace agentbox::policy
