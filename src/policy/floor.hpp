#pragma once

// What every room has of the system, as tables: the folders of the floor, and the few entries of /etc that
// programs need. Whatever of it the host doesn't have is skipped.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agentbox/policy/facts.hpp"
#include "agentbox/policy/policy.hpp"

namespace agentbox::policy {

// Readable in every room. bwrap itself lays those that lie directly below "/".
[[nodiscard]] std::span<const std::string_view> system_folders();
// Entries of /etc that are readable in every room, without "/etc/".
[[nodiscard]] std::span<const std::string_view> etc_entries();
// Links by which Nix and Guix reach their stores. Only the links are made in the room, and only if they end
// in a store.
[[nodiscard]] std::vector<base::AbsPath> store_links(const base::AbsPath& home, const base::AbsPath& state_home);
[[nodiscard]] bool is_in_store(const base::AbsPath& path);
// What a GPU's user-space driver reads besides its device nodes.
[[nodiscard]] std::span<const std::string_view> gpu_folders();
// Private and empty in every room, each a tmpfs of its own; $HOME is one more.
// The program that is `agentbox` in the room, and by another name a shim for a command of the host.
inline constexpr std::string_view shim_folder = "/run/agentbox/bin";
inline constexpr std::string_view room_program = "agentbox";

// Of /proc, what tells the names of the owner's keys (proc(5)): the room's user has the same id on the host.
inline constexpr std::string_view masked_files[] = {"/proc/keys", "/proc/key-users"};

inline constexpr std::string_view private_folders[] = {"/tmp", "/var/tmp", "/dev/shm"};

// The generated part of /etc.
[[nodiscard]] base::Result<std::vector<RoomFile>> etc_files(const User& user, Outside outside);

}  // namespace agentbox::policy
