#pragma once

// Between what a gate hands in, what a person sees, and what goes over control.sock.

#include <string>

#include "agentbox/broker/broker.hpp"
#include "agentbox/prompt/question.hpp"
#include "agentbox/wire/broker_message.hpp"

namespace agentbox::broker {

// SHA-256 over everything that the question shows and that will be done: the answer carries it back.
[[nodiscard]] std::string digest_of(const std::string& id, const Asked& asked, const Settings& settings);
[[nodiscard]] prompt::Question question_of(const std::string& id, const Asked& asked, const Settings& settings);

[[nodiscard]] wire::WireQuestion to_wire(const prompt::Question& question);
[[nodiscard]] wire::Verdict::Kind to_wire(Verdict::Kind kind) noexcept;
[[nodiscard]] wire::Verdict to_wire(const Verdict& verdict);

// What the agent reads, with what to do now.
[[nodiscard]] std::string reason_denied_by_rule(const policy::Ruling& ruling);

}  // namespace agentbox::broker
