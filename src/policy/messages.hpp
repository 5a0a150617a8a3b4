#pragma once

#include "agentbox/policy/budget.hpp"
#include "agentbox/policy/messages.hpp"

namespace agentbox::policy {

[[nodiscard]] Ruling rule_on_message(const Rules::Messages& rules, const Message& message);
[[nodiscard]] Rules::Messages messages_of(const profile::Profile& profile);
[[nodiscard]] std::vector<Limit> limits_on_message(const Rules::Messages& rules);

}  // namespace agentbox::policy
