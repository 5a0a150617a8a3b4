#pragma once

// One pass over the workspace: where repositories and packages are, and which entries the profile's patterns
// name.
//
// Trust: the tree is hostile. It may hold endless or very wide directories, FIFOs, links that lead anywhere,
// names that are not text, and it may change while it is walked. So the walk follows no symbolic link, opens
// directories only, each relative to its parent (never by a path that could be swapped), and is bounded.
// Where a bound is met it says so; what it did not see was not compared, and the caller must not go on as if
// it had been.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agentbox/policy/facts.hpp"
#include "agentbox/policy/look.hpp"

#include "walk_memory.hpp"

namespace agentbox::launch {

struct WalkBounds {
  std::uint64_t entries = 1'000'000;       // about half a second from a warm cache
  unsigned depth = 64;                     // directories below the top; also bounds the descriptors held open
  std::chrono::milliseconds time{10'000};  // a cold disk
};

struct WalkRequest {
  base::AbsPath top;  // a real path: no component is a symbolic link
  // Look for the roots of repositories and packages? Never below a directory named in `foreign`.
  bool roots = false;
  std::span<const std::string_view> foreign, markers;
  // First components of the "${roots}" patterns: a root says which of these it has.
  std::vector<std::string> kinds;
  // Say where each of `kinds` is, at a root or not? Never below `foreign`, nor in a git directory.
  bool everywhere = false;
  // Patterns to compare every entry with, below `foreign` too: `hide` is a promise. Those that count from the
  // roots or git directories are left to the caller.
  std::span<const policy::PatternSet::Pattern> patterns;
  // PatternSet::match, called only for entries whose name may match. Called by two threads at a time. A link
  // is compared by its own name; whether it leads to a directory is not asked: to follow it could reach a
  // dead server.
  std::function<void(std::string_view relative, std::vector<std::size_t>& out)> match;
  WalkBounds bounds;
  // From so many entries on a second thread helps: for fewer it costs more than it takes over.
  std::uint64_t helper_from = 4000;
  // What an earlier walk left, or null. It must have known these markers, foreign directories, kinds and patterns; that it
  // knew more does no harm. Walked is the same with it as without, but for `listed`.
  std::shared_ptr<const WalkMemory> memory;
  enum class Noting { no, yes } noting = Noting::no;
  std::optional<std::int64_t> now_ns;  // since 1970; without it, the machine's clock
};

struct FoundRoot {
  policy::Root root;
  std::vector<std::uint32_t> kinds;  // indices into WalkRequest::kinds
};
struct FoundKind {
  base::AbsPath path;
  std::uint32_t kind = 0;  // index into WalkRequest::kinds
};
struct FoundMatch {
  std::size_t pattern = 0;
  base::AbsPath path;
  policy::FileKind kind = policy::FileKind::missing;
};

// What a later walk can be spared. It holds what was read; what was remembered stays in `before`.
struct WalkNotes {
  std::vector<DirectoryNote> directories;
  std::shared_ptr<const WalkMemory> before;
  MountPlace place;
};

// All sorted by path: the order in which the threads found things shows nowhere.
struct Walked {
  std::vector<FoundRoot> roots;     // the top itself is always among them
  std::vector<base::AbsPath> bare;  // git directories that lie open in the tree: HEAD, objects and refs
  std::vector<FoundMatch> matches;
  std::vector<FoundKind> kinds;  // only if asked for
  std::uint64_t entries = 0;
  std::uint64_t listed = 0;  // of the entries, those that were read from the disk
  WalkNotes notes;           // empty unless asked for, and unless the walk is complete
  // Why the walk is not complete, as one clause ("it has more than 1000000 entries"); empty when it is.
  std::string stopped;
  std::string hint;
};

[[nodiscard]] Walked walk(const WalkRequest& request);

}  // namespace agentbox::launch
