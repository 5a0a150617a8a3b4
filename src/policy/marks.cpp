// What the patterns of hide, protect and hold mean on this machine.
//
// Trust: the workspace may be an earlier agent's work. A link at a protected or hidden place is never
// followed for the room's sake: the link itself is pinned (or masked), and what it leads to gets the same
// grade where the room could reach it. It can thereby make more read-only or hidden than its owner meant,
// never less, and nothing readable.

#include <algorithm>
#include <functional>
#include <unordered_set>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"

#include "draft.hpp"

namespace agentbox::policy {

namespace {

using base::AbsPath;
using Why = Mount::Why;
using PatternList = profile::List<profile::PatternText>;

// Every place that one list of patterns names, with the pattern: literal ones whether they exist or not,
// others as far as the walk met them.
class Named {
 public:
  explicit Named(Draft& draft) : draft_(draft) {
    for (const Match& match : draft.facts.matches) matches_[match.pattern].push_back(&match);
    for (const GitFact& repository : draft.facts.repositories) {
      git_dirs_.push_back(repository.git_dir);
      git_dirs_.push_back(repository.common_dir);
      git_dirs_.insert(git_dirs_.end(), repository.modules.begin(), repository.modules.end());
    }
    std::ranges::sort(git_dirs_);
    git_dirs_.erase(std::ranges::unique(git_dirs_).begin(), git_dirs_.end());
  }

  using Visit = std::function<void(const AbsPath&, const PatternPlace&, const profile::Origin&)>;
  void each(const PatternList& list, const Visit& visit) {
    for (const auto& item : list) {
      base::Result<PatternPlace> place = place_of(item, draft_.places);
      if (!place) {
        draft_.fail(place.error());
        continue;
      }
      if (place->literal) {
        std::string relative = place->relative();
        auto below = [&](const AbsPath& folder) {
          if (std::optional<AbsPath> path = join(folder, relative)) visit(*path, *place, item.origin);
        };
        switch (place->base) {
          case PatternPlace::Base::root_folder: below(AbsPath()); break;
          case PatternPlace::Base::workspace: below(draft_.workspace.real); break;
          case PatternPlace::Base::roots:
            for (const Root& root : draft_.facts.roots) below(draft_.workspace(root.path));
            break;
          case PatternPlace::Base::gitdirs: std::ranges::for_each(git_dirs_, below); break;
        }
      }
      // A literal pattern that counts from a fixed place is done; a match of it would say the same.
      if (place->literal && !place->any_depth) continue;
      auto found = matches_.find(item.value.text);
      if (found == matches_.end()) continue;
      for (const Match* match : found->second) visit(draft_.workspace(match->path), *place, item.origin);
    }
  }

 private:
  Draft& draft_;
  std::unordered_map<std::string_view, std::vector<const Match*>> matches_;
  std::vector<AbsPath> git_dirs_;
};

// The first component that is missing on the way to a missing path.
AbsPath first_missing(const Resolution& missing) {
  std::string_view rest = missing.path.relative_to(missing.deepest);
  return join(missing.deepest, rest.substr(0, rest.find('/'))).value_or(missing.path);
}

// One place that is to be hidden or protected, followed to its end; what can't be followed ends the launch.
class Marker {
 public:
  Marker(Draft& draft, std::string_view verb) : draft_(draft), verb_(verb) {}
  virtual ~Marker() = default;
  Marker(const Marker&) = delete;
  Marker& operator=(const Marker&) = delete;

  void operator()(const AbsPath& path, const PatternPlace& pattern, const profile::Origin& origin) {
    if (!seen_.insert(path.str()).second) return;
    Resolution found = draft_.resolve(path);
    if (found.kind == FileKind::missing && draft_.disk.look(found.path).kind == FileKind::symlink) {
      draft_.error(origin, fmt::format("can't {} {}: it changed while it was looked at", verb_, shown(path)),
                   "try again");
      return;
    }
    for (const Resolution::Link& link : found.links) {
      if (!concerns(link.at)) continue;
      // To follow a link to a folder around it would hide or protect everything.
      if (found.path != link.at && link.at.is_within(found.path)) {
        draft_.error(origin,
                     fmt::format("{} is a link to {}, a folder around it: to {} that would {} everything",
                                 shown(link.at), shown(found.path), verb_, verb_),
                     "remove the link");
        return;
      }
      on_link(link.at, link.at == path, origin);
    }
    switch (found.kind) {
      case FileKind::unreadable:
        if (concerns(found.deepest)) {
          draft_.error(origin, fmt::format("can't {} {}: what is there can't be looked at", verb_, shown(path)),
                       fmt::format("make {} readable for you", shown(found.path.parent())));
        }
        break;
      case FileKind::symlink: break;  // a circle: it leads nowhere, and its links are marked
      case FileKind::missing: on_missing(found, pattern, origin); break;
      default: on_found(found, origin); break;
    }
  }

 protected:
  // Is there anything of the host at this place that the room could see (hide) or change (protect)?
  [[nodiscard]] virtual bool concerns(const AbsPath& path) const = 0;
  virtual void on_link(const AbsPath& at, bool is_last, const profile::Origin& origin) = 0;
  virtual void on_found(const Resolution& found, const profile::Origin& origin) = 0;
  virtual void on_missing(const Resolution& missing, const PatternPlace& pattern, const profile::Origin& origin) = 0;

  Draft& draft_;
  std::string_view verb_;

 private:
  std::unordered_set<std::string> seen_;
};

class Hider final : public Marker {
 public:
  explicit Hider(Draft& draft) : Marker(draft, "hide") {}

 private:
  bool concerns(const AbsPath& path) const override {
    return draft_.tree.at(path).access != Access::hidden && draft_.tree.hidden_by(path) == nullptr;
  }
  void on_link(const AbsPath& at, bool is_last, const profile::Origin& origin) override {
    if (is_last) draft_.tree.hide(at, FileKind::regular, origin);  // the link's own place: a file lies over it
  }
  void on_found(const Resolution& found, const profile::Origin& origin) override {
    // A link in the workspace must not take the system away, nor what lies around a grant.
    AccessTree::Place place = draft_.tree.at(found.path);
    bool own = place.access == Access::hidden || place.grant->why == Why::floor;
    if (!found.links.empty() && own) return;
    FileKind kind = found.kind == FileKind::directory ? FileKind::directory : FileKind::regular;
    draft_.tree.hide(found.path, kind, origin);
  }
  void on_missing(const Resolution& missing, const PatternPlace& /*pattern*/, const profile::Origin& origin) override {
    if (!concerns(missing.deepest)) return;
    draft_.policy.watched.push_back({.directory = missing.deepest,
                                     .name = std::string(first_missing(missing).name()),
                                     .why = Watched::Why::hide,
                                     .origin = origin,
                                     .wanted = missing.path});
  }
};

class Protector final : public Marker {
 public:
  explicit Protector(Draft& draft) : Marker(draft, "protect") {}

  // --write of exactly such a place lifts its protection.
  void lift(const AbsPath& path) { lifted_.insert(path.str()); }

 private:
  bool concerns(const AbsPath& path) const override {
    return draft_.tree.at(path).access == Access::write && draft_.tree.hidden_by(path) == nullptr;
  }
  void on_link(const AbsPath& at, bool /*is_last*/, const profile::Origin& origin) override {
    draft_.tree.protect(at, FileKind::symlink, Why::pin, origin);
  }
  void on_found(const Resolution& found, const profile::Origin& origin) override {
    if (is_lifted(found.path, origin)) return;
    draft_.tree.protect(found.path, found.kind, Why::protect, origin);
  }
  void on_missing(const Resolution& missing, const PatternPlace& pattern, const profile::Origin& origin) override {
    if (!concerns(missing.deepest) || is_lifted(missing.path, origin)) return;
    AbsPath first = first_missing(missing);
    // Behind a folder that is missing nothing can be watched for; the folder itself can be kept empty.
    if (pattern.directory || first != missing.path) {
      draft_.tree.protect(first, FileKind::directory, Why::ghost, origin);
    } else {
      draft_.policy.watched.push_back({.directory = missing.deepest,
                                       .name = std::string(first.name()),
                                       .why = Watched::Why::protect,
                                       .origin = origin,
                                       .wanted = first});
    }
  }
  bool is_lifted(const AbsPath& path, const profile::Origin& origin) {
    if (!lifted_.contains(path.str())) return false;
    draft_.note(Note::Kind::changed, fmt::format("--write lifts the protection of {}", shown(path)), origin);
    return true;
  }

  std::unordered_set<std::string> lifted_;
};

void lift_by_flags(Draft& draft, const std::function<void(const AbsPath&)>& lift) {
  for (const auto& item : draft.flags.write) {
    base::Result<AbsPath> path = expand(item, draft.places);
    if (path) lift(draft.resolve(*path).path);
  }
}

// agentbox's own profiles, wherever the workspace lies: who can write them decides what the next room holds.
void protect_own_files(Draft& draft, Protector& protect) {
  PatternPlace folder{.directory = true};
  protect(draft.facts.config_home / "agentbox", folder, {.file = "agentbox", .at = {}, .source_line = {}});
  for (const std::string& file : draft.profile.files) {
    const profile::Origin origin{.file = "agentbox", .at = {}, .source_line = {}};
    const std::optional<AbsPath> path = AbsPath::parse(file);
    if (!path) {
      draft.error(origin, fmt::format("can't protect the profile {}: where it lies can't be told", base::quote(file)),
                  "name it by its absolute path");
      continue;
    }
    if (draft.resolve(*path).kind != FileKind::regular) continue;
    protect(*path, {}, origin);
  }
}

// A .git that is a file or a link says where git's data is: who can write it can name a directory of his own making.
// And what git executes from outside its own folder is as good as a hook.
void protect_git_entries(Draft& draft, Protector& protect) {
  profile::Origin origin{.file = "agentbox", .at = {}, .source_line = {}};
  for (const GitFact& repository : draft.facts.repositories) {
    AbsPath entry = draft.workspace(repository.entry);
    if (repository.layout == GitLayout::linked) {
      draft.tree.protect(entry, FileKind::symlink, Why::pin, origin);
    } else if (repository.layout == GitLayout::worktree || repository.layout == GitLayout::submodule) {
      draft.tree.protect(entry, FileKind::regular, Why::protect, origin);
    }
    for (const AbsPath& place : repository.hook_places) {
      AbsPath real = draft.workspace(place);
      if (draft.workspace.real.is_within(real)) {
        draft.error({}, fmt::format("git runs hooks from {}, which is all of the workspace", shown(real)),
                    "set core.hooksPath to a folder of its own");
      } else {
        protect(real, {.directory = true}, origin);
      }
    }
  }
}

bool needs_walk(Draft& draft, const PatternList& list) {
  return std::ranges::any_of(list, [&](const auto& item) {
    base::Result<PatternPlace> place = place_of(item, draft.places);
    return place && (place->any_depth || !place->literal || place->base == PatternPlace::Base::roots ||
                     place->base == PatternPlace::Base::gitdirs);
  });
}

// What the search did not see was not compared. There is no room with half of its protections.
void refuse_incomplete_walk(Draft& draft) {
  bool is_refused = draft.tree.at(draft.workspace.real).access == Access::hidden;  // that says enough
  if (draft.facts.walk_complete || is_refused) return;
  const auto& workspace = draft.profile.workspace;
  if (!needs_walk(draft, workspace.hide) && !needs_walk(draft, workspace.protect) &&
      !needs_walk(draft, draft.profile.files_section.hide)) {
    return;
  }
  std::string why = draft.facts.walk_stopped.empty() ? fmt::format("{} entries were seen", draft.facts.walk_entries)
                                                     : draft.facts.walk_stopped;
  draft.error({},
              fmt::format("the workspace {} could not be searched to its end, so that not everything that is hidden or "
                          "protected is known: {}",
                          shown(draft.workspace.real), why),
              draft.facts.walk_hint.empty() ? "start in a smaller folder" : draft.facts.walk_hint);
}

// A grant that a wider one covers, or a stricter one of the same path.
void note_dropped(Draft& draft, const AccessTree::Lost& lost) {
  const Grant& grant = *lost.grant;
  const char* able = grant.access == Access::write ? "writable" : "readable";
  draft.note(Note::Kind::shadowed,
             grant.path == *lost.covered_by
                 ? fmt::format("{} is named more than once, and the strictest counts", shown(grant.path))
                 : fmt::format("{} is {} already, as all of {}", shown(grant.path), able, shown(*lost.covered_by)),
             grant.origin);
}

}  // namespace

void mark_hidden(Draft& draft) {
  refuse_incomplete_walk(draft);
  Hider hider(draft);
  Named named(draft);
  auto visit = std::ref(hider);
  named.each(draft.profile.workspace.hide, visit);
  named.each(draft.profile.files_section.hide, visit);
  // `ask` is not built yet, and `unbuilt` refuses to run with it. Until then what it names is not there.
  for (const auto& item : draft.profile.files_section.ask) {
    base::Result<AbsPath> path = expand(item, draft.places);
    if (path) hider(*path, {}, item.origin);
  }
}

void mark_protected(Draft& draft) {
  Protector protector(draft);
  lift_by_flags(draft, [&](const AbsPath& path) { protector.lift(path); });
  protect_own_files(draft, protector);
  protect_git_entries(draft, protector);
  Named(draft).each(draft.profile.workspace.protect, std::ref(protector));
  // Where the room can't write, nothing can be made.
  std::erase_if(draft.policy.watched, [&](const Watched& watched) {
    std::optional<AbsPath> path = join(watched.directory, watched.name);
    if (!path || draft.tree.hidden_by(*path) != nullptr) return true;
    return watched.why == Watched::Why::protect && draft.tree.protected_by(*path) != nullptr;
  });
}

void mark_held(Draft& draft) {
  std::unordered_set<std::string> seen, lifted;
  lift_by_flags(draft, [&](const AbsPath& path) { lifted.insert(path.str()); });
  auto hold = [&](const AbsPath& path, FileKind kind, const profile::Origin& origin) {
    if (!draft.tree.is_writable(path) || !seen.insert(path.str()).second) return;
    if (lifted.contains(path.str())) {
      draft.note(Note::Kind::changed, fmt::format("--write lets go of {}: it is not held", shown(path)), origin);
    } else {
      draft.policy.held.push_back({.path = path, .kind = kind, .origin = origin});
    }
  };
  Named(draft).each(draft.profile.workspace.hold,
                    [&](const AbsPath& path, const PatternPlace&, const profile::Origin& origin) {
                      Resolution found = draft.resolve(path);
                      for (const Resolution::Link& link : found.links) hold(link.at, FileKind::symlink, origin);
                      if (found.kind == FileKind::symlink || found.kind == FileKind::unreadable) return;
                      hold(found.path, found.kind, origin);
                    });
  std::ranges::sort(draft.policy.held, {}, &Held::path);
}

// What a hide or a protection takes from a grant. In one file the two lines contradict each other.
void report_lost_grants(Draft& draft) {
  for (const AccessTree::Lost& lost : draft.tree.lost()) {
    const Grant& grant = *lost.grant;
    if (grant.why != Why::grant && grant.why != Why::workspace) continue;
    if (lost.by == nullptr) {
      if (grant.why == Why::grant && !grant.through_links) note_dropped(draft, lost);
      continue;
    }
    bool hidden = lost.by->why == Why::hide;
    std::string text = fmt::format("{} stays {}", shown(grant.path), hidden ? "hidden" : "read-only");
    const profile::Origin& origin = lost.by->origin;
    std::string line = origin.at.line == 0 ? std::string()
                                           : fmt::format("{}:{} says so, and {} wins", base::escape(origin.file),
                                                         origin.at.line, hidden ? "`hide`" : "`protect`");
    bool contradiction = origin.file == grant.origin.file || grant.origin.file.starts_with("--");
    if (grant.why == Why::workspace) {
      if (hidden) draft.error(origin, fmt::format("this hides the workspace {} itself", shown(grant.path)));
    } else if (contradiction) {
      draft.error(grant.origin, std::move(text), std::move(line));
    } else {
      draft.note(Note::Kind::shadowed, std::move(text), grant.origin);
    }
  }
}

}  // namespace agentbox::policy
