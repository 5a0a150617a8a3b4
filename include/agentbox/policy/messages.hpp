#pragma once

// Messages to people: what could be sent at all, to whom it goes, and how its program is called. Pure.

#include <cstddef>
#include <string>
#include <vector>

#include "agentbox/policy/action.hpp"
#include "agentbox/policy/ruling.hpp"

namespace agentbox::policy {

inline constexpr std::size_t most_recipients = 20, most_subject = 200, most_attachments = 10, most_file_name = 200;

// Why this message is none that could be sent this way; empty: it can. Its recipients are in their normal form and no two
// the same; its subject is one line of plain text; its body is text, UTF-8, whose only controls are newlines and tabs;
// names of attachments are plain, and no paths.
[[nodiscard]] std::string problem_of(const Message& message, const Rules::Way& way);

// Those of its recipients who are not the owner himself: the first message to each asks.
[[nodiscard]] std::vector<std::string> others_of(const Rules::Messages& rules, const Message& message);
// How the store knows them; empty for all that is no message. The same name by another way is somebody else.
[[nodiscard]] std::vector<std::string> strangers_of(const Rules& rules, const Action& action);

// The command of the way with its placeholders replaced, each a whole argument.
[[nodiscard]] std::vector<std::string> message_argv(const Rules::Way& way, const Message& message);

// For the agent: a line each. Empty: nothing is sent.
[[nodiscard]] std::vector<std::string> messages_in_words(const Rules::Messages& rules);

}  // namespace agentbox::policy
