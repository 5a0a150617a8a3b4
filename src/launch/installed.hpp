#pragma once

namespace agentbox::launch {

// Where this build was configured to be installed: a constant of its own file, which another prefix compiles again.
[[nodiscard]] const char* shipped_profiles();
[[nodiscard]] const char* shipped_apparmor_profile();

}  // namespace agentbox::launch
