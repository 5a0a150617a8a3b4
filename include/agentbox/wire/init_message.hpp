#pragma once

// What the supervisor and the room's init say to each other over one SOCK_SEQPACKET pair. The room is hostile: the
// supervisor believes nothing of it but that its own init said it before the agent started, and what init reports
// afterwards only changes how the run is reported, never what is allowed.

#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace agentbox::wire {

inline constexpr std::size_t message_limit = 1 << 20;  // bytes of one message; a start message may carry long argvs

// Supervisor → init. The pty, if any, comes as an SCM_RIGHTS descriptor with it.
struct Start {
  std::vector<std::string> argv;
  std::vector<std::string> environment;   // "NAME=value"
  std::string directory;
  std::uint64_t processes = 0, open_files = 0, file_size = 0, cpu_seconds = 0;  // rlimits; 0: leave
  std::uint8_t terminal_fds = 0;          // bit 0, 1, 2: that standard stream is the pty
};
struct Continue {};                       // SIGCONT to the agent's group, after the supervisor itself was continued
struct Signal { std::int32_t number = 0; };  // to the agent's foreground group
using ToInit = std::variant<Start, Continue, Signal>;

// Init → supervisor.
struct Started { std::int32_t pid = 0; };         // as the room sees it
struct ExecFailed { std::int32_t error = 0; std::string step; };  // "execve", "chdir", "setrlimit"
struct Stopped { std::int32_t signal = 0; };
struct Exited { std::int32_t status = 0; };       // as waitpid(2) gives it
using FromInit = std::variant<Started, ExecFailed, Stopped, Exited>;

[[nodiscard]] std::vector<std::byte> encode(const ToInit& message);
[[nodiscard]] std::vector<std::byte> encode(const FromInit& message);
// The reason when the bytes are not exactly one such message.
[[nodiscard]] std::expected<ToInit, std::string_view> decode_to_init(std::span<const std::byte> bytes);
[[nodiscard]] std::expected<FromInit, std::string_view> decode_from_init(std::span<const std::byte> bytes);

}  // namespace agentbox::wire
