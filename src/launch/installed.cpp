#include "installed.hpp"

#include "folders.hpp"

namespace agentbox::launch {

const char* shipped_profiles() {
  return AGENTBOX_PROFILE_DIR;
}
const char* shipped_apparmor_profile() {
  return AGENTBOX_SHARE_DIR "/apparmor/agentbox";
}

}  // namespace agentbox::launch
