#pragma once

// Policy → LaunchPlan: every step that `launch` will take, as values. `explain --bwrap` prints it and starts
// nothing.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "agentbox/plan/seccomp.hpp"
#include "agentbox/policy/policy.hpp"

namespace agentbox::plan {

// Which descriptor stands at this place of bwrap's argv; `launch` fills in the number.
enum class FdSlot { seccomp, info, block };

// One bwrap option with its operands. They go through --args, so no length limit and nothing visible in
// /proc.
struct BwrapOption {
  std::string option;  // "--ro-bind"
  std::vector<std::variant<std::string, FdSlot>> operands;
};

// ---- what the helper does in the waiting room
// ---------------------------------------------------------------- The list is in the order of placing: by
// path, so that a folder comes before what lies in it (tmpfs, files, links, mounts and masks alike; no two
// have the same target), and at last the seals.
struct MakeTmpfs {
  base::AbsPath target;
  std::uint64_t size = 0;
  std::uint32_t mode = 0700;
};
struct MakeFile {
  base::AbsPath target;
  std::string content;
  std::uint32_t mode = 0444;
};
struct MakeLink {
  base::AbsPath target;
  std::string to;
};
// Clones `source` of the host and moves it onto `target`. With kind `symlink` source and target are the link
// itself, opened with O_PATH | O_NOFOLLOW: it then can't be replaced, and stays a link. A missing target is
// made if it lies in one of the room's own tmpfs; on a host folder it must exist.
struct Bind {
  base::AbsPath source, target;
  policy::FileKind kind = policy::FileKind::directory;
  enum class Mode { read, write, device } mode = Mode::read;  // device: writable and not nodev
  policy::Mount::Why why = policy::Mount::Why::grant;
};
// An empty directory or file (mode 000) that can't be written, over what must not be seen. Any kind but
// `directory` is covered by the file, a symbolic link on its own place included.
struct Mask {
  base::AbsPath target;
  policy::FileKind kind = policy::FileKind::directory;
};
// A directory kind that is missing: made through the workspace's own mount, recorded on disk before, then
// masked.
struct Ghost {
  base::AbsPath target;
};
// Makes the tmpfs that is mounted at `target` read-only (the room's /, /etc, /run).
struct Seal {
  base::AbsPath target;
};
using Furnishing = std::variant<MakeTmpfs, MakeFile, MakeLink, Bind, Mask, Ghost, Seal>;
[[nodiscard]] const base::AbsPath& target_of(const Furnishing& furnishing);

// What init does before it becomes the agent's parent.
struct InitPlan {
  std::vector<std::string> argv;
  std::vector<std::pair<std::string, std::string>> environment;
  base::AbsPath directory;
  std::uint64_t processes = 0, open_files = 0, file_size = 0;  // rlimits; 0: leave
  std::uint64_t cpu_seconds = 0;
};

struct LaunchPlan {
  std::vector<BwrapOption> bwrap;
  SeccompProgram seccomp;
  std::vector<Furnishing> furnishings;
  InitPlan init;
};

// The path of init inside the room. bwrap executes it, and it is placed last (DESIGN §4.2).
inline constexpr std::string_view init_path = "/run/agentbox/init";

[[nodiscard]] LaunchPlan make(const policy::Policy& policy);

// What `explain --bwrap` prints: the command line as one would type it, then the furnishings, one a line.
[[nodiscard]] std::string describe(const LaunchPlan& plan);

}  // namespace agentbox::plan
