#pragma once

// What a person is shown of a proposed change before he says yes. Pure.

#include <cstdint>
#include <expected>
#include <optional>
#include <string>

#include "agentbox/broker/decider.hpp"
#include "agentbox/gates/changes/change_gate.hpp"
#include "agentbox/policy/standing.hpp"

#include "targets.hpp"

namespace agentbox::gates::changes {

struct Proposal {
  const Target& target;
  const policy::Standing& standing;
  const std::optional<Original>& original;  // of a held file
  std::optional<std::string> content;       // new; nothing: it is removed
  std::string said;
};

// The action alone: path and hashes.
[[nodiscard]] policy::Change change_of(const Target& target, const std::optional<std::string>& content);
// Else why it isn't asked: one clause.
[[nodiscard]] std::expected<broker::Asked, std::string> question_about(const Proposal& proposal);

}  // namespace agentbox::gates::changes
