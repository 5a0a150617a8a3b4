#pragma once

// What a person is shown of a connection before he says yes, and what the record says of one that ended. Pure.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "agentbox/broker/decider.hpp"
#include "agentbox/gates/network/gate.hpp"

#include "first_bytes.hpp"
#include "gate_connection.hpp"

namespace agentbox::gates::network {

struct QuestionFacts {
  Protocol protocol = Protocol::unknown;
  std::optional<Requester> requester;
  std::optional<std::string> looks_like;  // a name of the profile that it could be taken for
  std::optional<std::string> domain;      // what its owner has registered
  std::uint64_t sent = 0;                 // bytes that left the room so far in this session
  std::chrono::seconds once_holds{};
};
[[nodiscard]] broker::Asked question_about(const policy::Connect& action, const QuestionFacts& facts);

// Of a limit that lets nothing more go, and the connection that wants more.
[[nodiscard]] broker::Asked question_about(const policy::Balance& balance, const policy::Connect& connection,
                                           const std::optional<Requester>& requester);

[[nodiscard]] broker::Decider::Done record_of(const Ended& ended);

}  // namespace agentbox::gates::network
