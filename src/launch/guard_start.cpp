#include "guard_start.hpp"

#include <algorithm>
#include <cerrno>
#include <set>

#include <unistd.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"

#include "guard_git.hpp"
#include "held.hpp"

namespace agentbox::launch {

namespace {

using base::AbsPath;
using base::SystemError;
using base::UniqueFd;
using policy::FileKind;

std::vector<AbsPath> paths_to_hold(const policy::Policy& policy, const std::vector<GuardedName>& names,
                                   const Tree& tree) {
  std::vector<AbsPath> paths;
  for (const policy::Held& one : policy.held) paths.push_back(one.path);
  // A protected file with a second name can be written through that name: a mount doesn't hold it, a copy does.
  LastDirectory parents(tree);
  for (const GuardedName& name : names) {
    if (name.role != GuardedName::Role::mount || name.directory || name.ancestor) continue;
    const auto* bind = std::get_if<plan::Bind>(&*name.furnishing);
    if (bind == nullptr || bind->why != policy::Mount::Why::protect) continue;
    const std::expected<UniqueFd, int>& parent = parents.open(name.host.parent());
    std::optional<Entry> entry;
    if (parent) entry = look_at(parent->get(), std::string(name.host.name()));
    if (entry && entry->kind == FileKind::regular && entry->links > 1) paths.push_back(name.host);
  }
  return paths;
}

// Somebody else's copy of a path that was there when his run began.
struct Original {
  const Record* holder = nullptr;
  const HeldPath* held = nullptr;
};
Original original_of(const AbsPath& path, const std::vector<Record>& others) {
  for (const Record& other : others) {
    auto found = std::ranges::find(other.held, path, &HeldPath::path);
    if (found != other.held.end()) return {&other, &*found};
  }
  return {};
}

class Copies {
 public:
  explicit Copies(const RunFolder& folder) : folder_(folder) {}

  HeldPath take(const Tree& tree, const AbsPath& path) {
    // Most of what is held is missing: then no file is needed.
    if (!tree.look(path)) return {.path = path, .nodes = {}};
    return hold(tree, path, file(), offset_);
  }

  // What another room's agent has made of it by now is not the original.
  HeldPath take_over(const Original& original, const AbsPath& state_folder) {
    if (original.held->nodes.empty()) return *original.held;
    std::expected<UniqueFd, int> theirs = copies_of(state_folder, original.holder->session);
    if (!theirs) throw SystemError(theirs.error(), "cannot copy what session " + original.holder->session + " holds");
    return hold_as(*original.held, theirs->get(), file(), offset_);
  }

 private:
  int file() {
    if (!file_) file_ = folder_.create_copies();
    return file_.get();
  }

  const RunFolder& folder_;
  UniqueFd file_;
  std::uint64_t offset_ = 0;
};

Record describe(const policy::Policy& policy, const Tree& tree, const std::string& session, std::int64_t started) {
  Entry root = tree.root();
  Record record;
  record.session = session;
  record.profile = policy.profile;
  record.workspace = policy.workspace;
  record.workspace_device = root.device;
  record.workspace_inode = root.inode;
  record.started = started;
  record.pid = ::getpid();
  record.git = record_git(tree, policy.repositories);
  for (const policy::Watched& watched : policy.watched) {
    // What is hidden is the owner's, or the agent's own: it is not taken at the end.
    if (watched.why == policy::Watched::Why::hide) continue;
    if (std::optional<AbsPath> path = below(watched.directory, watched.name)) record.watched.push_back(*path);
  }
  return record;
}

// What can't be made for another reason the furnisher tries again, and then says why it can't.
void make_ghosts(const std::vector<GuardedName>& names, const Tree& tree, Spares& spares) {
  LastDirectory parents(tree);
  std::vector<AbsPath> made;
  for (const GuardedName& name : names) {
    if (!name.furnishing || !std::holds_alternative<plan::Ghost>(*name.furnishing)) continue;
    const std::expected<UniqueFd, int>& parent = parents.open(name.host.parent());
    int error = parent ? spares.take(parent->get(), std::string(name.host.name()), Spares::Mode::open) : parent.error();
    if (error == 0) made.push_back(name.host);
    if (error != EACCES) continue;
    for (const AbsPath& ghost : made) {
      const std::expected<UniqueFd, int>& there = parents.open(ghost.parent());
      if (there) (void)spares.give_back(there->get(), std::string(ghost.name()));
    }
    // To open it up would give the agent what its owner has kept from everybody.
    throw SystemError(
        0, base::quote(name.host.parent().str()) + " can't be written, so its missing folders can't be guarded",
        "chmod u+rwx it, hide it, or have the workspace read-only ([workspace] mode = \"read-only\")");
  }
}

}  // namespace

WrittenDown write_down(const policy::Policy& policy, const std::vector<GuardedName>& names, const Tree& tree,
                       const AbsPath& state_folder, const std::string& session, std::int64_t started) {
  Record record = describe(policy, tree, session, started);
  RunsLock runs(state_folder);
  Spares spares(state_folder);
  WrittenDown written{std::move(record), RunFolder::create(runs, session, spares)};
  try {
    std::vector<Record> others = living_records(state_folder, session);
    std::set<AbsPath> ghosts_of_others;
    for (const Record& other : others) ghosts_of_others.insert(other.ghosts.begin(), other.ghosts.end());
    for (const GuardedName& name : names) {
      bool ghost = name.furnishing && std::holds_alternative<plan::Ghost>(*name.furnishing);
      // An empty directory that another room made: it is there for as long as one of both lives.
      if (ghost || ghosts_of_others.contains(name.host)) written.record.ghosts.push_back(name.host);
    }
    Copies copies(written.folder);
    for (const AbsPath& path : paths_to_hold(policy, names, tree)) {
      Original original = original_of(path, others);
      written.record.held.push_back(original.held != nullptr ? copies.take_over(original, state_folder)
                                                             : copies.take(tree, path));
    }
    written.folder.write(written.record);
    make_ghosts(names, tree, spares);
  } catch (...) {
    written.folder.remove(runs, spares);
    throw;
  }
  return written;
}

}  // namespace agentbox::launch
