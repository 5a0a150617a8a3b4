#pragma once

// Which process writes for a session, so that who reads the record later knows whether it was killed.

#include <cstdint>
#include <string>
#include <string_view>

namespace agentbox::store {

// "BOOT NAMESPACE PID START": the machine's boot id, the pid namespace's inode, and the process's number and start time
// (proc(5), stat, field 22). Empty where /proc doesn't say.
[[nodiscard]] std::string this_process();

enum class Running : std::uint8_t {
  yes,
  no,
  unknown  // it is no such text, or of a pid namespace that can't be seen from here
};
[[nodiscard]] Running is_running(std::string_view process);

}  // namespace agentbox::store
