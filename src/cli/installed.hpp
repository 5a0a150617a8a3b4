#pragma once

namespace agentbox::cli {

// The folder of the shipped profiles, as the manual page names it.
[[nodiscard]] const char* shipped_profiles();

}  // namespace agentbox::cli
