#pragma once

// `agentbox approve` on a terminal: the questions of all sessions, newest first, live; one that is opened is asked as at
// its session's own terminal, by the same page.

#include <functional>

#include "agentbox/broker/watch.hpp"
#include "agentbox/prompt/human_terminal.hpp"
#include "agentbox/prompt/page.hpp"

namespace agentbox::broker {

struct ConsoleEnd {
  enum class How : std::uint8_t { left, terminal_lost, signalled } how = How::left;
  int signal = 0;
};

// Until the owner leaves. The terminal is as it was afterwards. Throws base::SystemError.
[[nodiscard]] ConsoleEnd run_console(prompt::HumanTerminal& terminal, prompt::Colours colours,
                                     std::function<Watch::Sockets()> look);

}  // namespace agentbox::broker
