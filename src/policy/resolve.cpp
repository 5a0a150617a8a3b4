#include <string_view>
#include <utility>

#include "agentbox/policy/facts.hpp"

#include "resolver.hpp"

namespace agentbox::policy {

namespace {

using base::AbsPath;

constexpr std::size_t link_limit = 40;  // MAXSYMLINKS, path_resolution(7)

enum class Last { follow, keep };

// One walk. Link targets come from the disk and may be hostile: each is taken apart and walked like the path
// itself, so that ".." means the parent of where the walk really is, and a path that grows too long ends it.
class Walk {
 public:
  Walk(Disk& disk, Resolution start) : disk_(disk), state_(std::move(start)) {}

  Resolution run(std::string_view rest, Last last) {
    push(rest);
    while (!pending_.empty()) {
      std::string name = std::move(pending_.back());
      pending_.pop_back();
      if (name == "..") {
        state_.path = state_.path.parent();
        state_.deepest = state_.path;
        state_.fact = {.kind = FileKind::directory};
        continue;
      }
      std::optional<AbsPath> child = AbsPath::parse(state_.path.str() + "/" + name);
      if (!child) return end(FileKind::unreadable, state_.path);
      FileFact fact = disk_.look(*child);
      if (fact.kind == FileKind::symlink && (last == Last::follow || !pending_.empty())) {
        if (state_.links.size() == link_limit) return end(FileKind::symlink, *std::move(child));
        if (fact.target.empty()) return end(FileKind::missing, *std::move(child));
        state_.links.push_back({*std::move(child), fact.target});
        if (fact.target.front() == '/') state_.path = state_.deepest = AbsPath();
        push(fact.target);
        continue;
      }
      if (!pending_.empty() && fact.kind != FileKind::directory) {
        // Behind a file there is nothing; behind a folder that can't be searched nobody knows.
        return beyond(fact.kind == FileKind::unreadable ? FileKind::unreadable : FileKind::missing, *std::move(child));
      }
      state_.fact = std::move(fact);
      state_.path = *std::move(child);
      if (state_.fact.kind != FileKind::directory) return end(state_.fact.kind, std::move(state_.path));
      state_.deepest = state_.path;
    }
    return end(FileKind::directory, std::move(state_.path));
  }

 private:
  // The components in reverse, so that the next is at the end.
  void push(std::string_view text) {
    std::size_t end = text.size();
    while (end > 0) {
      std::size_t slash = text.rfind('/', end - 1);
      std::size_t begin = slash == std::string_view::npos ? 0 : slash + 1;
      std::string_view part = text.substr(begin, end - begin);
      if (!part.empty() && part != ".") pending_.emplace_back(part);
      end = begin == 0 ? 0 : begin - 1;
    }
  }

  Resolution end(FileKind kind, AbsPath path) {
    state_.kind = kind;
    state_.path = std::move(path);
    if (kind == FileKind::missing) state_.fact = {};
    state_.fact.kind = kind;
    return std::move(state_);
  }

  // Where the rest would be if what is missing were made.
  Resolution beyond(FileKind kind, AbsPath path) {
    while (!pending_.empty()) {
      std::string name = std::move(pending_.back());
      pending_.pop_back();
      std::optional<AbsPath> next = name == ".." ? path.parent() : AbsPath::parse(path.str() + "/" + name);
      if (!next) return end(FileKind::unreadable, std::move(path));
      path = *std::move(next);
    }
    return end(kind, std::move(path));
  }

  Disk& disk_;
  Resolution state_;
  std::vector<std::string> pending_;
};

Resolution at_root() {
  return {.kind = FileKind::directory, .fact = {.kind = FileKind::directory}};
}

}  // namespace

FileFact SnapshotDisk::look(const AbsPath& path) {
  auto found = snapshot_.find(path);
  return found == snapshot_.end() ? FileFact{} : found->second;
}

Resolution resolve(const AbsPath& path, Disk& disk) {
  return Walk(disk, at_root()).run(path.str(), Last::follow);
}

Resolution resolve_parent(const AbsPath& path, Disk& disk) {
  return Walk(disk, at_root()).run(path.str(), Last::keep);
}

const Resolution& Resolver::folder(const AbsPath& path) {
  auto found = folders_.find(path);
  if (found != folders_.end()) return found->second;
  Resolution resolution = path.is_root() ? at_root() : (*this)(path);
  return folders_.emplace(path, std::move(resolution)).first->second;
}

Resolution Resolver::operator()(const AbsPath& path) {
  if (path.is_root()) return at_root();
  const Resolution& parent = folder(path.parent());
  if (parent.kind != FileKind::directory) return resolve(path, disk_);
  return Walk(disk_, parent).run(path.name(), Last::follow);
}

Resolution Resolver::parent_of(const AbsPath& path) {
  if (path.is_root()) return at_root();
  const Resolution& parent = folder(path.parent());
  if (parent.kind != FileKind::directory) return resolve_parent(path, disk_);
  return Walk(disk_, parent).run(path.name(), Last::keep);
}

}  // namespace agentbox::policy
