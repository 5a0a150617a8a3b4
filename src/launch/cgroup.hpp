#pragma once

// cgroup v2, as far as an ordinary user has it. Two ways to a group of one's own: the group that agentbox
// runs in is delegated to this user (he may make groups below it), or the user's systemd makes a scope.
// Nothing here is needed for a room to hold: freezing falls back to a tracer and killing to the pid namespace.
// Only `memory` and `cpu` need it.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <sys/types.h>

#include "agentbox/base/path.hpp"
#include "agentbox/base/unique_fd.hpp"
#include "agentbox/policy/facts.hpp"
#include "agentbox/policy/policy.hpp"

namespace agentbox::launch {

// What /proc says, taken apart. Pure, so that a test can show it a hybrid machine.
// The v2 hierarchy's place in `mountinfo` (/proc/self/mountinfo) and this process's group in it
// (/proc/self/cgroup).
[[nodiscard]] std::optional<base::AbsPath> own_cgroup(std::string_view mountinfo, std::string_view cgroup);

// `runtime_dir` holds the user's bus, if there is one.
[[nodiscard]] std::optional<policy::CgroupFact> look_at_cgroup(const std::optional<base::AbsPath>& runtime_dir,
                                                               std::uint32_t uid);

// The group of one room: everything in it can be frozen, counted and killed at once. Removes itself when it
// goes, killing what is left. Throws base::SystemError when the kernel or systemd refuses.
class RoomCgroup {
 public:
  // `name` is one component, unique on the machine ("agentbox-<session>"). `pid` (the room's first process,
  // still waiting) is moved into it. A limit of 0 is none; one that can't be set throws: there is no degraded
  // mode. Precondition: facts.cgroup, and cgroup_problem(facts, limits) has nothing to say.
  [[nodiscard]] static RoomCgroup create(const policy::HostFacts& facts, std::string_view name,
                                         const policy::Limits& limits, pid_t pid);

  RoomCgroup(RoomCgroup&&) noexcept = default;
  RoomCgroup& operator=(RoomCgroup&& other) noexcept;
  ~RoomCgroup();

  // Waits until the kernel says that nothing runs, two seconds at most; throws then.
  void freeze();
  void thaw();
  // SIGKILL to everything in it, at once (Linux 5.14), frozen or not. Says so if it can't.
  void kill();
  [[nodiscard]] bool is_populated() const;
  [[nodiscard]] const base::AbsPath& path() const { return path_; }

 private:
  RoomCgroup(base::AbsPath path, base::UniqueFd folder, bool is_ours)
      : path_(std::move(path)), folder_(std::move(folder)), is_ours_(is_ours) {}
  static RoomCgroup create_below(const base::AbsPath& parent, std::string_view name, const policy::Limits& limits,
                                 pid_t pid);
  static RoomCgroup create_scope(const policy::HostFacts& facts, std::string_view name, const policy::Limits& limits,
                                 pid_t pid);
  void set(const char* file, std::uint64_t value) const;
  void write(const char* file, std::string_view text) const;
  [[nodiscard]] std::string read(const char* file) const;
  // Waits until cgroup.events says `line` ("frozen 1"), until the deadline.
  [[nodiscard]] bool wait_for(std::string_view line) const;
  void remove() noexcept;

  base::AbsPath path_;
  base::UniqueFd folder_;
  bool is_ours_ = true;  // made by mkdir; else systemd removes it when it is empty
};

}  // namespace agentbox::launch
