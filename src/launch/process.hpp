#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <sys/types.h>

namespace agentbox::launch {

// What /proc/PID/stat says (proc_pid_stat(5)).
struct ProcessStat {
  char state = 0;  // 0: there is no such process
  pid_t parent = -1;
  std::uint64_t start_time = 0;  // clock ticks since boot
};
// `path` is a stat file: /proc/PID/stat or /proc/PID/task/TID/stat.
[[nodiscard]] ProcessStat read_stat(const std::string& path);
[[nodiscard]] ProcessStat stat_of(pid_t pid);
[[nodiscard]] pid_t parent_of(pid_t pid);

// The numbers among a directory's names: processes of /proc, threads of a task folder, descriptors of a process.
[[nodiscard]] std::vector<pid_t> numbers_in(const std::string& path);
// An orphan of the room becomes init's child, so the tree below init is the whole room, init included.
[[nodiscard]] std::vector<pid_t> room_processes(pid_t init);
// The same without a look at the rest of the machine (/proc/PID/task/TID/children). Good enough to show: what is being
// forked or ends in this moment may hide others.
[[nodiscard]] std::vector<pid_t> glance_at_room(pid_t init);

}  // namespace agentbox::launch
