// Any bytes as names, links and patterns of a hostile workspace. What it checks beyond "no crash" and "ends in time":
// a resolved path passes no link, and a room's mounts stand in the order of placing, each place once.
//
// The input, line by line: "p PATTERN" is protected, "h PATTERN" hidden, "o PATTERN" held, "r PATH" and "w PATH" granted,
// "l PATH TARGET" is a link, "f PATH" a file, "d PATH" a folder, "m PATTERN PATH" a match.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "agentbox/policy/look.hpp"
#include "agentbox/policy/policy.hpp"

using namespace agentbox;
using base::AbsPath;
using policy::FileKind;

namespace {

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

AbsPath path(std::string_view text) {
  return *AbsPath::parse(text);
}

struct Machine {
  policy::HostFacts facts;
  profile::Profile profile;

  Machine() {
    facts.user = {
        .uid = 1000, .gid = 1000, .name = "u", .group = "u", .home = path("/home/u"), .shell = path("/bin/sh")};
    facts.workspace = path("/home/u/w");
    facts.config_home = path("/home/u/.config");
    facts.state_home = path("/home/u/.local/state");
    facts.cache_home = path("/home/u/.cache");
    facts.data_home = path("/home/u/.local/share");
    facts.roots = {{facts.workspace, true, false}};
    for (const char* folder : {"/usr", "/tmp", "/home/u/w"}) put(folder, {.kind = FileKind::directory});
  }

  void put(std::string_view at, policy::FileFact fact) {
    std::optional<AbsPath> place = AbsPath::parse(at);
    if (!place || place->is_root()) return;
    for (AbsPath folder = place->parent(); !folder.is_root(); folder = folder.parent()) {
      auto [known, is_new] = facts.files.try_emplace(folder, policy::FileFact{.kind = FileKind::directory});
      if (known->second.kind != FileKind::directory) return;
    }
    facts.files.try_emplace(*place, std::move(fact));
  }

  void take(std::string_view line) {
    if (line.size() < 3 || line[1] != ' ') return;
    std::string_view text = line.substr(2), first = text.substr(0, text.find(' '));
    std::string second(first.size() < text.size() ? text.substr(first.size() + 1) : std::string_view());
    profile::Located<profile::PatternText> pattern{{std::string(text), text.ends_with('/')}, {}};
    profile::Located<profile::PathText> granted{{std::string(text), text.ends_with('/')}, {}};
    switch (line[0]) {
      case 'p': profile.workspace.protect.push_back(pattern); break;
      case 'h': profile.workspace.hide.push_back(pattern); break;
      case 'o': profile.workspace.hold.push_back(pattern); break;
      case 'r': profile.files_section.read.push_back(granted); break;
      case 'w': profile.files_section.write.push_back(granted); break;
      case 'l': put(first, {.kind = FileKind::symlink, .target = second}); break;
      case 'f': put(text, {.kind = FileKind::regular}); break;
      case 'd': put(text, {.kind = FileKind::directory}); break;
      case 'm':
        if (std::optional<AbsPath> at = AbsPath::parse(second); at && at->is_below(facts.workspace)) {
          facts.matches.push_back({std::string(first), *at, FileKind::regular});
        }
        break;
      default: break;
    }
  }
};

void check_resolution(const Machine& machine) {
  policy::SnapshotDisk disk(machine.facts.files);
  for (const auto& [at, fact] : machine.facts.files) {
    policy::Resolution found = policy::resolve(at, disk);
    if (found.kind == FileKind::missing || found.kind == FileKind::symlink || found.kind == FileKind::unreadable)
      continue;
    for (AbsPath folder = found.path; !folder.is_root(); folder = folder.parent()) {
      require(disk.look(folder).kind != FileKind::symlink, "a resolved path passes no link");
    }
  }
}

void check_patterns(const Machine& machine) {
  policy::PatternSet patterns(machine.profile, policy::places_of(machine.facts));
  std::vector<std::size_t> out;
  for (const auto& [at, fact] : machine.facts.files) {
    out.clear();
    patterns.match(std::string_view(at.str()).substr(1), out);
    for (std::size_t i : out) require(i < patterns.patterns().size(), "a match names a pattern");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Machine machine;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  for (int lines = 0; !text.empty() && lines < 200; ++lines) {
    std::string_view line = text.substr(0, text.find('\n'));
    machine.take(line);
    text.remove_prefix(std::min(line.size() + 1, text.size()));
  }
  check_resolution(machine);
  check_patterns(machine);
  base::Result<policy::Policy> policy = policy::decide(machine.profile, machine.facts, {});
  if (!policy) return 0;
  for (std::size_t i = 1; i < policy->mounts.size(); ++i) {
    require(policy->mounts[i - 1].target < policy->mounts[i].target, "mounts are in the order of placing, each once");
  }
  for (const policy::Mount& mount : policy->mounts) {
    require(mount.target == mount.source, "inside is where it is outside");
    require(!machine.facts.user.home.is_within(mount.target) || mount.target.is_root(), "home as a whole stays out");
  }
  return 0;
}
