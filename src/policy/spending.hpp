#pragma once

#include "agentbox/policy/ruling.hpp"

namespace agentbox::policy {

[[nodiscard]] Ruling rule_on_payment(const Rules::Spending& spending, const Payment& payment);
[[nodiscard]] Rules::Spending spending_of(const profile::Profile& profile);

}  // namespace agentbox::policy
