// The doors without a room (agentbox broker): the same broker, sockets, gates and questions as in a run, for a caller that
// somebody else confines.
//
// Trust: whoever reaches request.sock, which the session's folder (0700) and SO_PEERCRED leave to this user. Nothing is
// made of the host's but the session's folder, so a death at any moment leaves that alone.

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <optional>

#include <sys/signalfd.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <fmt/format.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/launch/run.hpp"
#include "agentbox/launch/sessions.hpp"
#include "agentbox/prompt/human_terminal.hpp"

#include "doors.hpp"
#include "places.hpp"
#include "report.hpp"
#include "signals.hpp"

namespace agentbox::launch {

namespace {

using Descriptor = boost::asio::posix::stream_descriptor;

// Stops the loop when somebody wants an end.
void wait_for_signals(boost::asio::io_context& loop, Descriptor& signals) {
  signals.async_wait(Descriptor::wait_read, [&loop, &signals](boost::system::error_code error) {
    if (error) return;
    signalfd_siginfo info{};
    while (::read(signals.native_handle(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
      if (info.ssi_signo != SIGTSTP) return loop.stop();
      ::raise(SIGSTOP);  // Ctrl-Z: our shell takes over
    }
    wait_for_signals(loop, signals);
  });
}

void tell(const RunRequest& request, const Session& session) {
  base::Diagnostic note{.severity = base::Severity::note,
                        .message = fmt::format("broker {} answers at {}", session.id(),
                                               base::escape((session.folder() / request_socket).str())),
                        .hint = fmt::format("ask it by `agentbox host --in {} -- COMMAND`", session.id())};
  std::fputs(base::render(note, request.colour).c_str(), stderr);
}

}  // namespace

int run_broker(const RunRequest& request, const std::string& name) {
  SignalGate signals;
  for (const policy::ToMake& folder : request.policy.to_make) make_private_folders(folder.path);
  (void)list_sessions();  // which removes what killed ones left
  Session session(request.policy, SessionInfo::Kind::broker, name);
  boost::asio::io_context loop(1);
  std::optional<prompt::HumanTerminal> human;
  if (request.on_ask == OnAsk::terminal) human = prompt::HumanTerminal::open();
  Doors doors(loop, request, session);
  doors.open(nullptr, human ? &*human : nullptr, nullptr);
  Descriptor arriving(loop, ::dup(signals.fd()));
  wait_for_signals(loop, arriving);
  StatusLine status(request.status_fd);
  status.serving(session.id(), ::getpid(), session.folder());
  tell(request, session);
  loop.run();
  doors.leave_terminal();
  doors.shut();
  doors.close();
  status.served(0);
  return 0;
}

void become_client(const std::vector<std::string>& arguments) {
  const base::AbsPath program = room_program();
  std::vector<std::string> words{"agentbox"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::execv(program.c_str(), argv.data());
  throw base::SystemError(errno, "cannot execute " + base::escape(program.str()));
}

}  // namespace agentbox::launch
