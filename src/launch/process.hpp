#pragma once

#include <cstdint>
#include <string>

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

}  // namespace agentbox::launch
