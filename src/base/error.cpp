#include "agentbox/base/error.hpp"

#include <cstring>

namespace agentbox::base {

std::string errno_text(int code) {
  const char* text = ::strerrordesc_np(code);  // glibc 2.32; no locale, no shared buffer
  return text != nullptr ? text : "error " + std::to_string(code);
}

SystemError::SystemError(int code, std::string what, std::string hint)
    : std::runtime_error(code == 0 ? std::move(what) : what + ": " + errno_text(code)),
      code_(code),
      hint_(std::move(hint)) {}

}  // namespace agentbox::base
