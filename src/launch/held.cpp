#include "held.hpp"

#include <algorithm>
#include <cerrno>
#include <map>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"

#include "guard_text.hpp"

namespace agentbox::launch {

namespace {

using base::AbsPath;
using base::SystemError;
using base::UniqueFd;
using policy::FileKind;

std::string shown(const AbsPath& path) {
  return base::escape(path.str());
}

// ---- at the start -------------------------------------------------------------------------------------------

class Holder {
 public:
  Holder(const AbsPath& path, int copies, std::uint64_t& offset) : path_(path), copies_(copies), offset_(offset) {}

  HeldPath hold(int parent, const std::string& name) {
    add(parent, name, "", 0);
    return {.path = path_, .nodes = std::move(nodes_)};
  }

 private:
  [[noreturn]] void too_much(std::string_view what) const {
    throw SystemError(0, fmt::format("cannot hold {}: {}", shown(path_), what),
                      fmt::format("take it out of the profile's `hold` list (\"!...\"), or make it smaller"));
  }

  void add(int parent, const std::string& name, const std::string& relative, int depth) {
    std::optional<Entry> entry = look_at(parent, name);
    if (!entry) return;
    if (nodes_.size() == held_entries_limit) too_much(fmt::format("more than {} entries", held_entries_limit));
    if (depth > held_depth_limit) too_much(fmt::format("deeper than {} directories", held_depth_limit));
    nodes_.push_back(
        {.relative = relative, .kind = entry->kind, .mode = entry->mode, .modified_ns = entry->modified_ns});
    HeldNode& node = nodes_.back();
    if (entry->kind == FileKind::symlink) {
      node.target = read_link(parent, name);
    } else if (entry->kind == FileKind::regular) {
      add_bytes(parent, name, node);
    } else if (entry->kind == FileKind::directory) {
      std::expected<UniqueFd, int> inside = open_directory(parent, name);
      if (!inside) throw SystemError(inside.error(), "cannot open " + shown(path_));
      std::optional<std::vector<std::string>> names = names_in(inside->get(), held_entries_limit);
      if (!names) too_much(fmt::format("more than {} entries", held_entries_limit));
      for (const std::string& child : *names) {
        add(inside->get(), child, relative.empty() ? child : relative + "/" + child, depth + 1);
      }
    }
    // A FIFO, a socket, a device: noted, so that what replaces it is seen; there is nothing to copy.
  }

  void add_bytes(int parent, const std::string& name, HeldNode& node) {
    std::expected<UniqueFd, int> file = open_regular(parent, name);
    if (!file) throw SystemError(file.error(), "cannot copy " + shown(path_));
    node.size = look_at(file->get()).size;
    if (node.size > held_bytes_limit || offset_ + node.size > held_bytes_limit) {
      too_much(fmt::format("more than {} MiB are held", held_bytes_limit >> 20));
    }
    node.offset = offset_;
    copy_bytes(file->get(), 0, copies_, static_cast<std::int64_t>(offset_), node.size);
    offset_ += node.size;
  }

  const AbsPath& path_;
  int copies_;
  std::uint64_t& offset_;
  std::vector<HeldNode> nodes_;
};

}  // namespace

HeldPath hold(const Tree& tree, const AbsPath& path, int copies, std::uint64_t& offset) {
  std::expected<UniqueFd, int> parent = tree.directory(path.parent());
  if (!parent) {
    if (parent.error() == ENOENT || parent.error() == ENOTDIR) return {.path = path, .nodes = {}};
    throw SystemError(parent.error(), "cannot open " + shown(path.parent()));
  }
  return Holder(path, copies, offset).hold(parent->get(), std::string(path.name()));
}

HeldPath hold_as(const HeldPath& other, int other_copies, int copies, std::uint64_t& offset) {
  HeldPath held = other;
  for (HeldNode& node : held.nodes) {
    if (node.kind != FileKind::regular) continue;
    if (offset + node.size > held_bytes_limit) throw SystemError(0, "cannot hold " + shown(held.path) + ": too much");
    copy_bytes(other_copies, static_cast<std::int64_t>(node.offset), copies, static_cast<std::int64_t>(offset),
               node.size);
    node.offset = offset;
    offset += node.size;
  }
  return held;
}

// ---- at the end ---------------------------------------------------------------------------------------------

namespace {

constexpr const char* temporary_name = ".agentbox-restore";

enum class Same { yes, but_mode, no };

Same compare(int parent, const std::string& name, const HeldNode& node, const Entry& entry, int copies) {
  if (entry.kind != node.kind) return Same::no;
  if (node.kind == FileKind::symlink) return read_link(parent, name) == node.target ? Same::yes : Same::no;
  if (node.kind == FileKind::regular) {
    if (entry.size != node.size) return Same::no;
    std::expected<UniqueFd, int> file = open_regular(parent, name);
    if (!file) return Same::no;
    if (!same_bytes(file->get(), 0, copies, static_cast<std::int64_t>(node.offset), node.size)) return Same::no;
  }
  return entry.mode == node.mode ? Same::yes : Same::but_mode;
}

// What differs in a held directory: a few words for its owner, and when the last of it changed.
struct Differences {
  std::vector<std::string> words;
  std::int64_t last_ns = 0;
};

class Comparison {
 public:
  Comparison(const HeldPath& held, int copies) : copies_(copies) {
    for (const HeldNode& node : held.nodes) nodes_.emplace(node.relative, &node);
  }

  Differences run(int parent, const std::string& name) {
    compare_entry(parent, name, "", 0);
    for (const auto& [relative, node] : nodes_) note("gone: ", relative);
    return std::move(found_);
  }

 private:
  void note(std::string_view what, const std::string& relative) {
    found_.words.push_back(std::string(what) + base::escape(relative));
  }

  void compare_entry(int parent, const std::string& name, const std::string& relative, int depth) {
    std::optional<Entry> entry = look_at(parent, name);
    if (!entry) return;
    found_.last_ns = std::max(found_.last_ns, entry->changed_ns);
    auto known = nodes_.find(relative);
    if (known == nodes_.end()) {
      note("new: ", relative);
      return;
    }
    Same same = compare(parent, name, *known->second, *entry, copies_);
    nodes_.erase(known);
    if (same != Same::yes) note("changed: ", relative);
    if (entry->kind != FileKind::directory || depth > held_depth_limit) return;
    std::expected<UniqueFd, int> inside = open_directory(parent, name);
    std::optional<std::vector<std::string>> names;
    if (inside) names = names_in(inside->get(), held_entries_limit * 2);
    if (!names) {
      note("too many new entries: ", relative);
      return;
    }
    for (const std::string& child : *names) {
      compare_entry(inside->get(), child, relative.empty() ? child : relative + "/" + child, depth + 1);
    }
  }

  int copies_;
  std::map<std::string, const HeldNode*> nodes_;
  Differences found_;
};

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (std::size_t i = 0; i < words.size() && i < 5; ++i) text += (i == 0 ? "" : ", ") + words[i];
  if (words.size() > 5) text += fmt::format(" and {} more", words.size() - 5);
  return text;
}

class Settler {
 public:
  Settler(Settling& settling, const HeldPath& held) : settling_(settling), held_(held) {}

  std::vector<GuardEvent> run() {
    if (held_.nodes.empty()) {
      take_new();
    } else {
      bring_back();
    }
    return std::move(events_);
  }

 private:
  void tell(GuardEvent::Kind kind, std::string id, std::string detail) {
    events_.push_back({.kind = kind, .path = held_.path, .detail = std::move(detail), .id = std::move(id)});
  }
  Taking taking(const AbsPath& path, std::string why) const {
    Taking one = settling_.taking;
    one.path = path;
    one.why = std::move(why);
    return one;
  }
  [[nodiscard]] bool is_later(std::int64_t changed_ns) const {
    return settling_.until_ns && changed_ns > *settling_.until_ns;
  }

  void take_new() {
    std::optional<GuardEvent> event = take_away(settling_, held_.path, "it is held, and did not exist before the run");
    if (event) events_.push_back(*std::move(event));
  }

  void bring_back() {
    std::string name(held_.path.name());
    // Other programs may be at work in the tree: what appears between the taking and the restoring is taken
    // as well.
    for (int attempt = 0; attempt < 4; ++attempt) {
      UniqueFd parent = way_to(held_.path.parent());
      std::optional<Entry> entry = look_at(parent.get(), name);
      std::string taken, difference = "was deleted";
      if (entry) {
        Differences found = Comparison(held_, settling_.copies).run(parent.get(), name);
        if (found.words.empty()) return;
        if (mend_mode(parent.get(), name, *entry)) return;
        if (is_later(std::max(found.last_ns, entry->changed_ns))) return keep_later();
        bool directory = held_.nodes.front().kind == FileKind::directory && entry->kind == FileKind::directory;
        difference = directory ? join(found.words) : "was changed";
        Taking why = taking(held_.path, "it is held, and the run changed it: " + difference);
        if (std::optional<Taken> one = take(why, parent.get(), name, Writers::none)) taken = one->id;
      }
      if (!put_back(parent.get(), name)) continue;
      std::string detail = fmt::format("{} during the run; what was there before is back", difference);
      tell(GuardEvent::Kind::restored, std::move(taken), detail + settling_.note);
      return;
    }
    throw SystemError(EBUSY, "cannot restore " + shown(held_.path) + ": something writes it again and again");
  }

  // Only the permission bits differ: there is no other version to keep.
  bool mend_mode(int parent, const std::string& name, const Entry& entry) {
    const HeldNode& node = held_.nodes.front();
    if (node.kind != FileKind::regular || is_later(entry.changed_ns)) return false;
    if (compare(parent, name, node, entry, settling_.copies) != Same::but_mode) return false;
    std::expected<UniqueFd, int> file = open_regular(parent, name);
    if (!file || ::fchmod(file->get(), node.mode & 0777) != 0) return false;
    tell(GuardEvent::Kind::restored, "", fmt::format("its mode was {:o}, and is {:o} again", entry.mode, node.mode));
    return true;
  }

  // Changed by whoever came after the room: his version stays, the original is kept beside it.
  void keep_later() {
    std::string id;
    const HeldNode& node = held_.nodes.front();
    if (node.kind == FileKind::regular) {
      id = keep(taking(held_.path, "the version from before a run that was killed; the file was changed since"),
                {settling_.copies, static_cast<std::int64_t>(node.offset), node.size, node.mode, node.modified_ns});
    }
    tell(GuardEvent::Kind::kept, id,
         "differs from before a run that was killed, and was changed after it; look at it" +
             std::string(id.empty() ? "" : " (the version from before is in the quarantine)"));
  }

  // The parent directory, made where it is gone, freed from links and files that stand in its way.
  UniqueFd way_to(const AbsPath& parent) {
    std::expected<UniqueFd, int> there = settling_.tree.directory(parent);
    if (there) return std::move(*there);
    const AbsPath& workspace = settling_.tree.workspace();
    if (!parent.is_below(workspace)) throw SystemError(there.error(), "cannot open " + shown(parent));
    UniqueFd above = way_to(parent.parent());
    std::string name(parent.name());
    std::optional<Entry> entry = look_at(above.get(), name);
    if (entry && entry->kind != FileKind::directory) {
      std::optional<Taken> taken =
          take(taking(parent, "it stood in the way of a held file"), above.get(), name, Writers::none);
      if (taken) {
        events_.push_back({.kind = GuardEvent::Kind::quarantined,
                           .path = parent,
                           .detail = fmt::format("a {} stood in the way of a held file", kind_name(entry->kind)),
                           .id = taken->id});
      }
    }
    int error = make_directory(above.get(), name, 0755);
    if (error != 0 && error != EEXIST) throw SystemError(error, "cannot make " + shown(parent));
    std::expected<UniqueFd, int> made = open_directory(above.get(), name);
    if (!made) throw SystemError(made.error(), "cannot open " + shown(parent));
    return std::move(*made);
  }

  // False when something is there again.
  bool put_back(int parent, const std::string& name) {
    std::map<std::string, UniqueFd> made;  // the held directories, by their relative names
    for (const HeldNode& node : held_.nodes) {
      std::size_t slash = node.relative.rfind('/');
      int at = parent;
      if (!node.relative.empty()) at = made.at(slash == std::string::npos ? "" : node.relative.substr(0, slash)).get();
      std::string own = node.relative.empty() ? name : node.relative.substr(slash == std::string::npos ? 0 : slash + 1);
      int error = put_node(at, own, node);
      if (error == EEXIST) return false;
      if (error != 0) throw SystemError(error, "cannot restore " + shown(held_.path));
      if (node.kind != FileKind::directory) continue;
      std::expected<UniqueFd, int> inside = open_directory(at, own);
      if (!inside) return false;
      made.emplace(node.relative, std::move(*inside));
    }
    for (const HeldNode& node : held_.nodes) {  // last: a directory that is not writable must be filled first
      if (node.kind != FileKind::directory) continue;
      (void)!::chmod(fmt::format("/proc/self/fd/{}", made.at(node.relative).get()).c_str(), node.mode & 0777);
    }
    return true;
  }

  int put_node(int at, const std::string& name, const HeldNode& node) {
    switch (node.kind) {
      case FileKind::regular:
        return place_file(
            at, name,
            {settling_.copies, static_cast<std::int64_t>(node.offset), node.size, node.mode, node.modified_ns},
            temporary_name);
      case FileKind::symlink: return ::symlinkat(node.target.c_str(), at, name.c_str()) == 0 ? 0 : errno;
      case FileKind::directory: return make_directory(at, name, 0700);
      case FileKind::fifo: return ::mkfifoat(at, name.c_str(), node.mode & 0777) == 0 ? 0 : errno;
      default: return 0;
    }
  }

  Settling& settling_;
  const HeldPath& held_;
  std::vector<GuardEvent> events_;
};

}  // namespace

std::vector<GuardEvent> settle(Settling& settling, const HeldPath& held) {
  return Settler(settling, held).run();
}

std::optional<GuardEvent> take_away(Settling& settling, const AbsPath& path, const std::string& why, Link how) {
  AbsPath victim = path;
  std::string reason = why;
  std::expected<UniqueFd, int> parent = settling.tree.directory(path.parent());
  if (!parent && parent.error() == ELOOP) {
    // A directory on the way was replaced by a link, through which a program outside would find the name.
    // What it leads to may be the owner's own: the link goes, not the file.
    struct stat followed = {};
    bool reached = ::fstatat(AT_FDCWD, path.c_str(), &followed, AT_SYMLINK_NOFOLLOW) == 0;
    if (!reached && how == Link::if_reached) return std::nullopt;
    std::optional<AbsPath> link = settling.tree.first_link(path.parent());
    if (!link) return std::nullopt;
    victim = *link;
    reason = fmt::format("it was put in a directory's place, and leads to {}", shown(path));
    parent = settling.tree.directory(victim.parent());
  }
  if (!parent) {
    if (parent.error() == ENOENT || parent.error() == ENOTDIR) return std::nullopt;
    throw SystemError(parent.error(), "cannot open " + shown(path.parent()));
  }
  std::optional<Entry> entry = look_at(parent->get(), std::string(victim.name()));
  if (!entry) return std::nullopt;
  if (settling.until_ns && entry->changed_ns > *settling.until_ns) {
    return GuardEvent{.kind = GuardEvent::Kind::kept,
                      .path = victim,
                      .detail = "it was made after a room that was killed had died; left as it is",
                      .id = {}};
  }
  Taking taking = settling.taking;
  taking.path = victim;
  taking.why = reason;
  Writers writers = settling.unsealed != nullptr ? Writers::maybe : Writers::none;
  std::optional<Taken> taken = take(taking, parent->get(), std::string(victim.name()), writers);
  if (!taken) return std::nullopt;
  GuardEvent event{.kind = GuardEvent::Kind::quarantined, .path = victim, .detail = reason, .id = taken->id};
  if (taken->file) settling.unsealed->push_back(*std::move(taken));
  return event;
}

}  // namespace agentbox::launch
