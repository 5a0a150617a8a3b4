#pragma once

// What `agentbox` in the room says to an agent: what was refused, why, and what to do instead. Pure.

#include <string>

#include "agentbox/wire/broker_message.hpp"

namespace agentbox::inside {

// Exit codes besides the command's own (128+n for a signal).
enum class Exit : std::uint8_t {
  done = 0,
  not_paid = 1,  // nor sent
  usage = 2,
  try_later = 75,  // EX_TEMPFAIL of sysexits(3): expired, unavailable, or done by a twin
  denied = 77,     // EX_NOPERM
  failed = 125,    // no broker, or it makes no sense
  not_started = 126,
  not_found = 127,
  cancelled = 130
};
[[nodiscard]] Exit exit_of(wire::Verdict::Kind kind) noexcept;
[[nodiscard]] Exit exit_of(wire::Code code) noexcept;
[[nodiscard]] Exit exit_of(wire::PaymentEnded::Outcome outcome) noexcept;
[[nodiscard]] Exit exit_of(wire::MessageEnded::Outcome outcome) noexcept;

// Lines, each with its newline; every foreign byte is escaped. `what` is quoted already. Not for `allow` and `pass`.
enum class Deed { command, change, payment, message };
[[nodiscard]] std::string in_words(const std::string& what, const wire::Verdict& verdict, Deed deed);
[[nodiscard]] std::string in_words(const std::string& what, const wire::Refusal& refusal, Deed deed);
[[nodiscard]] std::string in_words(const std::string& what, const wire::PaymentEnded& ended);
[[nodiscard]] std::string in_words(const std::string& what, const wire::MessageEnded& ended);
[[nodiscard]] std::string in_words(const wire::RequestDelayed& delayed, Deed deed);
[[nodiscard]] std::string in_words(const wire::RoomStatus& status);
// The result object alone, in one line.
[[nodiscard]] std::string in_json(const wire::RoomStatus& status);
[[nodiscard]] std::string help();

}  // namespace agentbox::inside
