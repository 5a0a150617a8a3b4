#include "room_command.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <optional>
#include <utility>

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "agentbox/base/escape.hpp"

#include "room_client.hpp"
#include "room_words.hpp"
#include "streams.hpp"

namespace agentbox::inside {

namespace {

constexpr std::uint64_t our_id = 1;
constexpr int asking_is_slow = 1500;  // ms, then a line says what is waited for
constexpr int last_words = 100;       // ms in which a terminal's last output may still come
constexpr std::array passed_on{SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGTSTP, SIGCONT, SIGWINCH};

void complain(const std::string& text) {
  (void)!::write(2, text.data(), text.size());
}

wire::WindowSize window_size() {
  winsize size{};
  for (int stream : {0, 1, 2}) {
    if (::ioctl(stream, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0) break;
  }
  auto within = [](unsigned short value, unsigned short otherwise) {
    return static_cast<std::uint16_t>(std::clamp<int>(value == 0 ? otherwise : value, 1, 10000));
  };
  return {within(size.ws_row, 24), within(size.ws_col, 80)};
}

class Run {
 public:
  Run(const HostCommand& command, RoomClient client) : command_(command), client_(std::move(client)) {
    sigset_t set;
    sigemptyset(&set);
    for (int number : passed_on) sigaddset(&set, number);
    ::sigprocmask(SIG_BLOCK, &set, &before_);
    ::signal(SIGPIPE, SIG_IGN);
    signals_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  }
  ~Run() {
    ::signal(SIGPIPE, SIG_DFL);
    ::sigprocmask(SIG_SETMASK, &before_, nullptr);
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  int run(wire::CommandRequest request) {
    if (!client_.send({our_id, std::move(request)})) return lost();
    while (!code_) turn();
    raw_.leave();
    return *code_;
  }

 private:
  enum class State { asking, allowed, running, exited };

  void turn() {
    std::vector<pollfd> list{{signals_.get(), POLLIN, 0}, {state_ == State::exited ? -1 : client_.fd(), POLLIN, 0}};
    for (Flow& flow : flows_) flow.add_to(list);
    int ready = ::poll(list.data(), list.size(), timeout());
    if (ready < 0) return;
    if (ready == 0 && state_ == State::asking && !std::exchange(said_so_, true)) {
      complain("agentbox: waiting for the owner's answer\n");
    }
    if (state_ == State::exited && is_finished(list)) {
      code_ = exit_code_;
      return;
    }
    if (list[0].revents != 0) hear_signals();
    for (Flow& flow : flows_) flow.go_on(list);
    if (list[1].revents != 0) listen();
  }

  int timeout() const {
    if (state_ == State::asking && !said_so_) return asking_is_slow;
    if (state_ == State::exited) return terminal_ ? last_words : 0;
    return -1;
  }

  // What the command said before its end is there by now; something that it left running may hold the stream open.
  bool is_finished(const std::vector<pollfd>& list) const {
    return std::ranges::all_of(flows_, [&](const Flow& flow) {
      return flow.role() == Flow::Role::input || flow.is_over() || (flow.is_empty() && !flow.is_readable(list));
    });
  }

  void listen() {
    std::deque<RoomClient::Heard> heard;
    const auto open = client_.receive(heard);
    for (RoomClient::Heard& one : heard) take(one);
    if (open == RoomClient::State::closed && !code_ && state_ != State::exited) code_ = lost();
  }

  void take(RoomClient::Heard& heard) {
    auto& body = heard.message.body;
    if (const auto* verdict = std::get_if<wire::Verdict>(&body)) {
      decided(*verdict);
    } else if (const auto* refusal = std::get_if<wire::Refusal>(&body)) {
      complain(in_words(base::quote(command_.argv), *refusal, Deed::command));
      code_ = static_cast<int>(exit_of(refusal->code));
    } else if (std::holds_alternative<wire::CommandStarted>(body)) {
      started(std::move(heard.with));
    } else if (const auto* exited = std::get_if<wire::CommandExited>(&body)) {
      if (!exited->reason.empty()) complain("agentbox: " + exited->reason + "\n");
      exit_code_ = exited->how == wire::CommandExited::How::killed ? 128 + exited->number : exited->number;
      state_ = State::exited;
    }
  }

  void decided(const wire::Verdict& verdict) {
    if (verdict.verdict == wire::Verdict::Kind::pass) {
      // It will probably fail here, and say why in words that lead astray.
      if (!verdict.comment.empty()) {
        complain("agentbox: note: this runs in the room: " + base::escape(verdict.comment) + "\n");
      }
      code_ = -1;
    } else if (verdict.verdict == wire::Verdict::Kind::allow) {
      state_ = State::allowed;
    } else {
      complain(in_words(base::quote(command_.argv), verdict, Deed::command));
      code_ = static_cast<int>(exit_of(verdict.verdict));
    }
  }

  void started(std::vector<base::UniqueFd> streams) {
    state_ = State::running;
    using Role = Flow::Role;
    if (streams.size() == 1) {
      terminal_ = true;
      base::UniqueFd copy(::dup(streams[0].get()));
      raw_.enter();
      flows_.emplace_back(Role::input, 0, std::move(streams[0]), true);
      flows_.emplace_back(Role::output, 1, std::move(copy), true);
    } else if (streams.size() == 3) {
      flows_.emplace_back(Role::input, 0, std::move(streams[0]), false);
      flows_.emplace_back(Role::output, 1, std::move(streams[1]), false);
      flows_.emplace_back(Role::output, 2, std::move(streams[2]), false);
    } else {
      code_ = lost();
    }
  }

  void hear_signals() {
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
      heard(static_cast<int>(info.ssi_signo));
    }
  }

  void heard(int number) {
    if (number == SIGWINCH) {
      if (terminal_) (void)client_.send({our_id, wire::CommandResize{window_size()}});
      return;
    }
    if (state_ == State::running) (void)client_.send({our_id, wire::CommandSignal{number}});
    if (number == SIGTSTP) {
      raw_.leave();
      ::raise(SIGSTOP);
      if (terminal_) raw_.enter();
      return;
    }
    if (state_ == State::asking && number != SIGCONT && number != SIGUSR1 && number != SIGUSR2) {
      // A second one does not wait for the broker.
      if (std::exchange(cancelled_, true)) code_ = static_cast<int>(Exit::cancelled);
      (void)client_.send({our_id, wire::Cancel{}});
    }
  }

  int lost() {
    raw_.leave();
    complain("agentbox: the broker has closed the connection\n");
    return static_cast<int>(Exit::failed);
  }

  const HostCommand& command_;
  RoomClient client_;
  base::UniqueFd signals_;
  sigset_t before_{};
  State state_ = State::asking;
  std::vector<Flow> flows_;
  RawMode raw_;
  bool terminal_ = false, said_so_ = false, cancelled_ = false;
  int exit_code_ = 0;
  std::optional<int> code_;
};

}  // namespace

int run_on_host(const HostCommand& command) {
  auto client = RoomClient::connect(command.socket);
  if (!client) {
    const int error = errno;
    complain("agentbox: there is no broker at " + base::escape(command.socket) + ": " + ::strerrordesc_np(error) +
             "\nThis program asks the owner of a room of agentbox; nothing was run.\n");
    return static_cast<int>(Exit::failed);
  }
  std::array<char, 4097> directory{};
  if (::getcwd(directory.data(), directory.size()) == nullptr) {
    complain(std::string("agentbox: the working directory is unknown: ") + ::strerrordesc_np(errno) + "\n");
    return static_cast<int>(Exit::failed);
  }
  wire::CommandRequest request{
      .argv = command.argv, .directory = directory.data(), .why = command.why, .terminal = {}, .from = command.from};
  const bool is_terminal = ::isatty(0) == 1 && ::isatty(1) == 1;
  if (command.terminal == Terminal::wanted || (command.terminal == Terminal::as_it_is && is_terminal)) {
    request.terminal = window_size();
  }
  if (wire::encode(wire::FromRoom{our_id, request}).size() > wire::line_limit) {
    complain("agentbox: the command is too long to be asked for (64 KiB with all its arguments)\n");
    return static_cast<int>(Exit::not_started);
  }
  return Run(command, *std::move(client)).run(std::move(request));
}

}  // namespace agentbox::inside
