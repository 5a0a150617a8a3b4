#pragma once

#include "agentbox/policy/ruling.hpp"

namespace agentbox::policy {

[[nodiscard]] Rules::Traffic traffic_of(const profile::Profile& profile);

}  // namespace agentbox::policy
