#include "approve.hpp"

#include <filesystem>
#include <optional>

#include <sys/stat.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/broker/console.hpp"
#include "agentbox/launch/sessions.hpp"
#include "agentbox/prompt/human_terminal.hpp"

#include "options.hpp"
#include "report.hpp"

namespace agentbox::cli {

namespace {

using broker::Watch;

constexpr const char* socket_name = "control.sock";

// Of every session of this user, whether somebody listens there or not.
Watch::Sockets running_sessions(const std::string& only) {
  Watch::Sockets sockets;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(launch::runtime_folder().str(), error)) {
    auto folder = base::AbsPath::parse(entry.path().native());
    if (!folder || (!only.empty() && entry.path().filename() != only)) continue;
    struct stat info{};
    base::AbsPath socket = *folder / socket_name;
    if (::lstat(socket.c_str(), &info) == 0 && S_ISSOCK(info.st_mode)) sockets.all.push_back(std::move(socket));
  }
  return sockets;
}

base::Result<Watch::Sockets> named_sockets(const std::vector<std::string>& paths) {
  Watch::Sockets sockets{.all = {}, .named = Watch::Sockets::Named::by_owner};
  for (const std::string& path : paths) {
    std::error_code error;
    auto absolute = base::AbsPath::parse(std::filesystem::absolute(path, error).lexically_normal().native());
    if (error || !absolute) return base::fail("--socket: " + base::quote(path) + " is no path");
    sockets.all.push_back(*std::move(absolute));
  }
  return sockets;
}

int on_terminal(const std::function<Watch::Sockets()>& look, const Terminal& terminal) {
  prompt::Streams streams = prompt::look_at_streams();
  std::optional<prompt::HumanTerminal> screen;
  if (streams.is_terminal(0) && streams.is_terminal(1)) screen = prompt::HumanTerminal::open();
  if (!screen) {
    return refuse({{.message = "there is no terminal to show questions on",
                    .hint = "--list prints them, --json what comes and goes, --answer gives an answer"}},
                  terminal, base::ExitCode::failed);
  }
  auto colours = terminal.out == base::Colour::on ? prompt::Colours::sixteen : prompt::Colours::none;
  broker::ConsoleEnd end = broker::run_console(*screen, colours, look);
  switch (end.how) {
    case broker::ConsoleEnd::How::left: return 0;
    case broker::ConsoleEnd::How::terminal_lost: return static_cast<int>(base::ExitCode::failed);
    case broker::ConsoleEnd::How::signalled: return 128 + end.signal;
  }
  return 0;
}

}  // namespace

int approve(const ApproveOptions& options, const Terminal& terminal) {
  std::function<Watch::Sockets()> look = [only = options.session] { return running_sessions(only); };
  if (!options.sockets.empty()) {
    base::Result<Watch::Sockets> sockets = named_sockets(options.sockets);
    if (!sockets) return refuse(sockets.error(), terminal, base::ExitCode::usage);
    look = [all = *std::move(sockets)] { return all; };
  }
  if (!options.answer.empty()) return answer_question(options, look, terminal);
  if (options.list) return list_questions(options, look, terminal);
  if (options.json) return follow_questions(look, terminal);
  return on_terminal(look, terminal);
}

}  // namespace agentbox::cli
