#include <algorithm>

#include "agentbox/base/escape.hpp"
#include "agentbox/launch/run.hpp"
#include "agentbox/launch/sessions.hpp"

#include "options.hpp"
#include "report.hpp"

namespace agentbox::cli {

int host(const HostOptions& options, const Terminal& terminal) {
  std::vector<std::string> words{"host"};
  if (!options.session.empty()) {
    const std::vector<launch::SessionInfo> sessions = launch::list_sessions();
    if (std::ranges::find(sessions, options.session, &launch::SessionInfo::id) == sessions.end()) {
      return refuse({{.message = "no session " + base::quote(options.session) + " is running",
                      .hint = "`agentbox ps` lists them"}},
                    terminal, base::ExitCode::agentbox_failed);
    }
    words.insert(words.end(),
                 {"--socket", (launch::runtime_folder() / options.session / launch::request_socket).str()});
  } else if (!options.socket.empty()) {
    words.insert(words.end(), {"--socket", options.socket});
  }
  if (!options.why.empty()) words.insert(words.end(), {"--why", options.why});
  if (options.terminal == HostOptions::Terminal::wanted) words.emplace_back("--tty");
  if (options.terminal == HostOptions::Terminal::unwanted) words.emplace_back("--no-tty");
  words.emplace_back("--");
  words.insert(words.end(), options.command.begin(), options.command.end());
  launch::become_client(words);
}

}  // namespace agentbox::cli
