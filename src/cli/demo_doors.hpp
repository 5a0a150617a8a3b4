#pragma once

// What the agent of the tour does, one scene at a time. A new door is a new scene in demo_doors.cpp: words for the
// person, a script for the agent, and what must not be there afterwards.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace agentbox::cli::stage {

struct Scene {
  std::string_view title;
  std::string_view about;   // lines of at most 76 columns
  std::string_view tip;     // what to try, for somebody at a terminal
  std::string_view script;  // the agent: run by sh in the room, with $1 = the owner's home
  std::string_view stolen;  // below the home: if this is there afterwards, the agent got what it wanted; empty: nothing
  enum class Only : std::uint8_t {
    after_a_yes,  // whoever says yes gets it
    never
  } only = Only::never;
};
[[nodiscard]] std::span<const Scene> scenes();

// The profile of the room, as TOML: `home` is the owner's.
[[nodiscard]] std::string doors_profile(std::string_view home);
// The profile's name is what the questions call the agent.
inline constexpr std::string_view doors_profile_name = "agent";

// Below the project: made by the tour once the question is on the screen, for an agent that waits for that.
inline constexpr std::string_view asked_file = ".asked";

}  // namespace agentbox::cli::stage
