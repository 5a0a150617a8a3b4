#include "installed.hpp"

#include "folders.hpp"

namespace agentbox::cli {

const char* shipped_profiles() {
  return AGENTBOX_PROFILE_DIR;
}

}  // namespace agentbox::cli
