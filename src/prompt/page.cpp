#include "agentbox/prompt/page.hpp"

namespace agentbox::prompt {

// 1049: xterm's alternate screen with the cursor saved. 2004: pasted text comes between CSI 200 ~ and CSI 201 ~.
std::string_view enter_pages() noexcept {
  return "\033[?1049h\033[?2004h\033[?25l\033[?6l\033[?7l\033[r\033(B\017\033[m\033[2J";
}

std::string_view leave_pages() noexcept {
  return "\033[m\033[?7h\033[?25h\033[?2004l\033[?1049l";
}

}  // namespace agentbox::prompt
