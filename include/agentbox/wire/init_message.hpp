#pragma once

// What the supervisor and the room's init say to each other. The room is hostile: the supervisor believes
// nothing of it but that its own init said it before the agent started; what init reports afterwards only
// changes how the run is reported, never what is allowed.
//
// The start message may be long (argv, environment), so it lies in a sealed memfd that init inherits. All
// others are packets of a SOCK_SEQPACKET pair.

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace agentbox::wire {

// Descriptors that init finds open.
inline constexpr int init_control_fd = 3;
inline constexpr int init_start_fd = 4;
inline constexpr int init_stream_fd = 5;  // 5, 6, 7: the agent's fds 0, 1, 2, where they are not the room's terminal

// Bytes of an encoded start message; Linux itself takes at most 6 MiB of arguments and environment.
inline constexpr std::size_t start_limit = 8 << 20;
inline constexpr std::size_t packet_limit = 4096;

struct Start {
  std::vector<std::string> argv;
  std::vector<std::string> environment;  // "NAME=value"
  std::string directory;
  std::uint64_t processes = 0, open_files = 0, file_size = 0, cpu_seconds = 0;  // rlimits; 0: leave as it is
  // Bit 0, 1, 2: this standard stream is the room's terminal, /dev/pts/0. With any of them it is the
  // controlling one.
  std::uint8_t terminal = 0;
  friend bool operator==(const Start&, const Start&) = default;
};
[[nodiscard]] std::vector<std::byte> encode(const Start& message);
[[nodiscard]] std::expected<Start, std::string_view> decode_start(std::span<const std::byte> bytes);

// Supervisor → init.
struct Continue {  // the supervisor was continued: so is the agent's group
  friend bool operator==(const Continue&, const Continue&) = default;
};
struct Signal {  // to the agent's foreground group
  std::int32_t number = 0;
  friend bool operator==(const Signal&, const Signal&) = default;
};
using ToInit = std::variant<Continue, Signal>;

// Init → supervisor.
enum class Step : std::uint8_t { read_start, set_session, open_terminal, set_limits, change_directory, fork, execute };
struct Started {
  friend bool operator==(const Started&, const Started&) = default;
};
struct Failed {  // `error` is an errno value
  Step step = Step::execute;
  std::int32_t error = 0;
  friend bool operator==(const Failed&, const Failed&) = default;
};
struct Stopped {
  std::int32_t signal = 0;
  friend bool operator==(const Stopped&, const Stopped&) = default;
};
struct Exited {  // `status` as waitpid(2) gives it
  std::int32_t status = 0;
  friend bool operator==(const Exited&, const Exited&) = default;
};
using FromInit = std::variant<Started, Failed, Stopped, Exited>;

[[nodiscard]] std::vector<std::byte> encode(const ToInit& message);
[[nodiscard]] std::vector<std::byte> encode(const FromInit& message);
// The reason when the bytes are not exactly one such message.
[[nodiscard]] std::expected<ToInit, std::string_view> decode_to_init(std::span<const std::byte> bytes);
[[nodiscard]] std::expected<FromInit, std::string_view> decode_from_init(std::span<const std::byte> bytes);

}  // namespace agentbox::wire
