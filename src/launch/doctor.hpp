#pragma once

// The doctor's chapters. Each adds what it found.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agentbox/launch/doctor.hpp"
#include "agentbox/policy/facts.hpp"

#include "doctor_try.hpp"

namespace agentbox::launch {

using Findings = std::vector<Finding>;

void examine_rooms(const policy::HostFacts& facts, Findings& findings);  // doctor_room.cpp
void examine_limits(const policy::HostFacts& facts, Findings& findings);
void examine_folders(const policy::HostFacts& facts, Findings& findings);
void examine_network(Findings& findings);
void examine_later(Findings& findings);
// What runs that were killed have left in workspaces. Adds nothing when there are none.
void examine_killed_runs(const base::AbsPath& state_folder, Findings& findings);

// Why a user namespace is refused, told from the machine's switches, and the words that mend it. Pure, so that every
// kind of machine can be shown to it.
struct UserNamespaceSwitches {
  std::string max_user_namespaces;  // /proc/sys/user/max_user_namespaces
  std::string
      unprivileged_userns_clone;  // /proc/sys/kernel/unprivileged_userns_clone (Debian's kernels, and Arch's hardened)
  std::string apparmor_restrict;  // /proc/sys/kernel/apparmor_restrict_unprivileged_userns (Ubuntu since 23.10)
  std::string apparmor_profile;   // the one that was installed with agentbox; empty if there is none
  bool in_container = false;      // /.dockerenv, /run/.containerenv
};
struct Explanation {
  std::string text, mend;
};
[[nodiscard]] Explanation explain_user_namespaces(const UserNamespaceSwitches& switches, const std::string& said);

// How a room is frozen here: what hindered a tracer, and whether a room can have a group of its own. Pure.
enum class OwnGroup : std::uint8_t { none, possible };
[[nodiscard]] Finding explain_freezing(const std::optional<Trouble>& tracing, OwnGroup group);

// A folder of mode 0700 that goes with everything in it.
class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace agentbox::launch
