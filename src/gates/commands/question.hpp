#pragma once

// What a person is shown of a host command before he says yes. Pure.

#include <string>
#include <vector>

#include "agentbox/broker/decider.hpp"
#include "agentbox/gates/commands/programs.hpp"

namespace agentbox::gates::commands {

struct Known {
  Measured measured;
  enum class Changeable : std::uint8_t { no, yes } by_room = Changeable::no;  // can the room change the program?
  enum class Standstill : std::uint8_t { no, yes } standstill = Standstill::no;
  std::vector<std::string> notes;  // of git: one clause each
};

// `command.program` is set.
[[nodiscard]] broker::Asked question_about(policy::Command command, const Known& known, std::string said);

}  // namespace agentbox::gates::commands
