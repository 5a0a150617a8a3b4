#pragma once

// `agentbox demo` plays a hostile agent: the same list of misdeeds is tried without a room and in one. Everything that
// is attacked is planted by the demo itself in a throw-away world.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <sys/types.h>

namespace agentbox::cli::stage {

// What the agent is told about the world that it attacks.
struct Target {
  std::uint16_t port = 0;  // a server of the owner's, on 127.0.0.1
  pid_t victim = 0;        // a process of the owner's; `token` stands in its argv and its environment
  std::string base;        // home/, home/project/, run/ and the abstract socket named after it
};
[[nodiscard]] std::string encode(const Target& target);
[[nodiscard]] std::optional<Target> decode(std::string_view text);

inline constexpr std::string_view token = "agentbox-demo-secret";

enum class Ending { done, refused };
struct Outcome {
  Ending ending = Ending::refused;
  std::string text;  // what it got, or the kernel's words for the refusal
};

struct Attempt {
  std::string_view section, label;
  Outcome (*carry_out)(const Target& target);
};
[[nodiscard]] std::span<const Attempt> attempts();

// The honest work at the end: the one thing that must succeed.
inline constexpr std::string_view work_file = "README.md";

// The agent: tries everything, prints "done|refused TAB text" for each in order, then the same for its work. Returns
// its exit code.
[[nodiscard]] int play_agent(std::string_view target);

}  // namespace agentbox::cli::stage
