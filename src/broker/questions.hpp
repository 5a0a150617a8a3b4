#pragma once

// Between what a gate hands in, what a person sees, and what goes over control.sock.

#include <chrono>
#include <cstdint>
#include <string>

#include "agentbox/broker/broker.hpp"
#include "agentbox/prompt/question.hpp"
#include "agentbox/wire/broker_message.hpp"

namespace agentbox::broker {

// SHA-256 over everything that the question shows and that will be done: the answer carries it back.
[[nodiscard]] std::string digest_of(const std::string& id, const Asked& asked, const Settings& settings);
[[nodiscard]] prompt::Question question_of(const std::string& id, const Asked& asked, const Settings& settings);

// The same moment by both clocks: a deadline is kept by the one that nobody sets, and told by the other.
struct Moment {
  prompt::Clock::time_point here;
  std::int64_t wall = 0;  // milliseconds since 1970
};
[[nodiscard]] Moment now();

// There and back a question is the same, and looks the same. The time that is left counts from `at`, whatever the
// reader's clock says.
[[nodiscard]] wire::WireQuestion to_wire(const prompt::Question& question, const Moment& at = now());
[[nodiscard]] prompt::Question from_wire(const wire::WireQuestion& question, prompt::Clock::time_point at);
[[nodiscard]] wire::WireFlood to_wire(const prompt::Flood& flood, const Moment& at = now());
[[nodiscard]] prompt::Flood from_wire(const wire::WireFlood& flood, prompt::Clock::time_point at);
[[nodiscard]] wire::SessionChoose to_wire(prompt::Banner::Choice choice) noexcept;
[[nodiscard]] prompt::Banner::Choice from_wire(const wire::SessionChoose& choose) noexcept;
[[nodiscard]] wire::QuestionAnswer to_wire(const std::string& id, const prompt::Answer& answer);
[[nodiscard]] prompt::Answer from_wire(const wire::QuestionAnswer& answer);
[[nodiscard]] wire::Verdict::Kind to_wire(Verdict::Kind kind) noexcept;
[[nodiscard]] wire::Verdict to_wire(const Verdict& verdict);

// "2 minutes"
[[nodiscard]] std::string in_words(std::chrono::seconds time);

// What the agent reads, with what to do now.
[[nodiscard]] std::string reason_denied_by_rule(const policy::Ruling& ruling);

}  // namespace agentbox::broker
