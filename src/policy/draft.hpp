#pragma once

// What `decide` has in hand while it decides. Each file of this folder contributes one part, in the order of
// decide.cpp; nothing of this outlives the call.

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "agentbox/base/join.hpp"
#include "agentbox/policy/look.hpp"
#include "agentbox/policy/policy.hpp"

#include "expand.hpp"
#include "forbidden.hpp"
#include "resolver.hpp"
#include "tree.hpp"

namespace agentbox::policy {

// The entries that were looked at, and those that the walk met: of these, what they are is known as well.
class FactsDisk final : public Disk {
 public:
  FactsDisk(const HostFacts& facts, const base::AbsPath& workspace);
  [[nodiscard]] FileFact look(const base::AbsPath& path) override;

 private:
  void add_folder(std::string_view path);

  const Snapshot& snapshot_;
  std::unordered_map<std::string, FileKind> met_;
};

// The workspace as its links say, and the same for what lies below it as the collector named it.
struct RealWorkspace {
  base::AbsPath named, real;
  [[nodiscard]] base::AbsPath operator()(const base::AbsPath& path) const;
};

struct Draft {
  Draft(const profile::Profile& with_flags, const HostFacts& host, const Flags& command_line);

  void error(const profile::Origin& origin, std::string message, std::string hint = {});
  void note(Note::Kind kind, std::string text, const profile::Origin& origin = {});
  void fail(const base::Diagnostics& more) { errors.insert(errors.end(), more.begin(), more.end()); }

  const profile::Profile& profile;
  const HostFacts& facts;
  const Flags& flags;
  Places places;  // with the workspace as it was named
  RealWorkspace workspace;
  FactsDisk disk;
  Resolver resolve;
  Forbidden forbidden;
  AccessTree tree;
  // Links on the way to what is granted; those that lie in the room's own folders are made again there.
  std::deque<Resolution::Link> links;
  base::Diagnostics errors;
  Policy policy;
};

// "'/a/b c'": a path as messages and notes show it.
[[nodiscard]] std::string shown(const base::AbsPath& path);
using base::join;

// The parts, each in the file of its name (grants.cpp, marks.cpp, ...).
void grant_system(Draft& draft);  // private folders, floor, /etc
void grant_devices(Draft& draft);
void grant_workspace(Draft& draft);
void grant_git(Draft& draft);    // common directories outside the workspace
void grant_files(Draft& draft);  // files.read and files.write; the last: it settles the tree
void mark_hidden(Draft& draft);
void mark_protected(Draft& draft);
void report_lost_grants(Draft& draft);
void mark_held(Draft& draft);
void place_mounts(Draft& draft);  // mounts, room_links
void choose_shell(Draft& draft);
void place_files(Draft& draft);  // the generated files
void decide_environment(Draft& draft);
void decide_network(Draft& draft);
void decide_limits(Draft& draft);
void say_what_it_exposes(Draft& draft);

// The room's git configuration: the owner's keys that execute nothing and name no file or host.
struct InertConfig {
  std::string text;    // in git's own grammar
  bool signs = false;  // the owner signs commits, tags or pushes: the room can't
  std::size_t left_out = 0;
};
// Of the list that it goes by: "user.name", "color.branch.current"; as `git config --list` names them.
[[nodiscard]] bool is_inert_git_key(std::string_view key);
[[nodiscard]] InertConfig inert_git_config(const std::vector<std::pair<std::string, std::string>>& config);

// git in the room says so when it could not do its work: the hooks for that, and the lines that switch them on.
void place_git_hooks(Draft& draft);
[[nodiscard]] std::string git_hooks_config();

}  // namespace agentbox::policy
