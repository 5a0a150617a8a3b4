#include "doors.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <optional>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <fmt/format.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/broker/broker.hpp"
#include "agentbox/broker/control_server.hpp"
#include "agentbox/broker/notifier.hpp"
#include "agentbox/broker/terminal_panel.hpp"
#include "agentbox/gates/changes/change_gate.hpp"
#include "agentbox/gates/commands/command_gate.hpp"
#include "agentbox/gates/commands/programs.hpp"
#include "agentbox/gates/messages/message_gate.hpp"
#include "agentbox/gates/open_files.hpp"
#include "agentbox/gates/requests/request_server.hpp"
#include "agentbox/gates/spending/payment_gate.hpp"
#include "agentbox/prompt/relay.hpp"
#include "agentbox/store/store.hpp"

#include "host_program.hpp"
#include "places.hpp"
#include "review.hpp"

namespace agentbox::launch {

namespace {

using base::AbsPath;
using base::SystemError;
using base::UniqueFd;

const AbsPath& room_folder() {
  static const AbsPath folder = AbsPath() / "run/agentbox";
  return folder;
}

// Everybody in the room may connect: he has the owner's uid there.
UniqueFd listen_at(const AbsPath& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.str().size() >= sizeof address.sun_path) {
    throw SystemError(ENAMETOOLONG, "cannot make " + base::escape(path.str()), "set XDG_RUNTIME_DIR to a shorter path");
  }
  path.str().copy(address.sun_path, sizeof address.sun_path - 1);
  mode_t before = ::umask(0177);
  bool bound = fd && ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  int error = errno;
  ::umask(before);
  if (!bound || ::listen(fd.get(), 64) != 0) {
    throw SystemError(bound ? errno : error, "cannot make " + base::escape(path.str()));
  }
  return fd;
}

broker::Settings settings_for(const RunRequest& request, const Session& session) {
  const policy::Approval& approval = request.policy.approval;
  broker::Settings settings;
  settings.session = session.id();
  settings.profile = request.policy.profile;
  settings.rules = request.policy.rules;
  settings.record = request.facts.state_home / "agentbox" / store::file_name;
  settings.timeout = approval.timeout;
  settings.reviewer = approval.reviewer;
  settings.consent = approval.consent;
  settings.friction = approval.friction;
  settings.questions = approval.questions;
  // For the whole session: longer than any lives.
  settings.questions_in = approval.questions_in.count() > 0 ? approval.questions_in : std::chrono::hours(24 * 365);
  settings.absent = request.on_ask == OnAsk::queue ? broker::Settings::Absent::wait : broker::Settings::Absent::deny;
  return settings;
}

std::vector<gates::commands::Root> roots_of(const policy::Policy& policy) {
  using Root = gates::commands::Root;
  std::vector<Root> roots;
  for (const policy::Mount& mount : policy.mounts) {
    using Why = policy::Mount::Why;
    bool is_grant = mount.why == Why::grant || mount.why == Why::workspace || mount.why == Why::git;
    if (!is_grant || mount.kind != policy::FileKind::directory || mount.access == policy::Access::hidden) continue;
    roots.push_back({mount.target, mount.access == policy::Access::write ? Root::Access::write : Root::Access::read});
  }
  return roots;
}

gates::commands::Owner owner_of(const policy::HostFacts& facts) {
  gates::commands::Owner owner{
      .name = facts.user.name, .home = facts.user.home.str(), .shell = facts.user.shell.str(), .environment = {}};
  for (const auto& [name, value] : facts.environment) owner.environment.push_back(name + "=" + value);
  return owner;
}

std::optional<gates::changes::Original> original_of(const Guard& guard, const AbsPath& path) {
  using From = Guard::Original::Was;
  using To = gates::changes::Original::Was;
  std::optional<Guard::Original> known = guard.original(path);
  if (!known) return std::nullopt;
  To was = To::other;
  if (known->was == From::missing) was = To::missing;
  if (known->was == From::file) was = To::file;
  return gates::changes::Original{.was = was, .content = std::move(known->content)};
}

std::int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

class Doors::Impl {
 public:
  Impl(boost::asio::io_context& loop, const RunRequest& request, const Session& session)
      : loop_(loop),
        request_(request),
        session_(session),
        listener_(listen_at(session.folder() / request_socket)),
        broker_(loop, settings_for(request, session)) {}

  std::vector<plan::Furnishing> furnishings() const {
    AbsPath socket = session_.folder() / request_socket;
    return {plan::Bind{.source = room_program(),
                       .target = room_folder() / "bin/agentbox",
                       .kind = policy::FileKind::regular,
                       .mode = plan::Bind::Mode::read},
            plan::Bind{.source = socket,
                       .target = room_folder() / request_socket,
                       .kind = policy::FileKind::socket,
                       .mode = plan::Bind::Mode::read}};
  }

  void let_change(Room& room, Guard& guard) {
    gates::changes::Setup setup;
    setup.policy = &request_.policy;
    setup.before = [&room] { room.freeze(); };
    setup.after = [&room] { room.thaw(); };
    setup.changed = [&guard](const AbsPath& path) { guard.renew(path); };
    setup.original = [&guard](const AbsPath& path) { return original_of(guard, path); };
    setup.refused = [this](const policy::Action& action, const std::string& why) { broker_.refused(action, why); };
    changes_.emplace(broker_, std::move(setup));
  }

  void open(Room* room, prompt::HumanTerminal* human, prompt::Relay* relay) {
    if (room != nullptr) {
      broker_.on_motion = [room](broker::Broker::Motion motion) {
        motion == broker::Broker::Motion::pause ? room->freeze() : room->thaw();
      };
    }
    if (request_.on_ask != OnAsk::deny) {
      control_.emplace(loop_, broker_, session_.folder() / control_socket,
                       broker::ControlServer::About{.workspace = request_.policy.workspace.str(), .started = now_ms()});
    }
    if (request_.on_ask == OnAsk::terminal && human != nullptr) {
      auto colours = request_.colour == base::Colour::on ? prompt::Colours::sixteen : prompt::Colours::none;
      panel_.emplace(loop_, broker_, *human, relay, colours);
      human_ = human;
    }
    notify();
    gates::commands::Setup setup;
    setup.rules = request_.policy.rules;
    setup.roots = roots_of(request_.policy);
    // Two gates hold each granted folder open. What then can't be opened says so.
    gates::raise_open_files(2 * setup.roots.size() + 768);
    for (const policy::Mount& mount : request_.policy.mounts) {
      if (mount.access == policy::Access::hidden) setup.hidden.push_back(mount.target);
    }
    setup.owner = owner_of(request_.facts);
    setup.folders = gates::commands::HostPrograms::usual_folders(request_.facts.user.name);
    // A mount that a host's program made fall off is placed again by the guard, before the room goes on.
    if (room != nullptr) {
      setup.before = [room] { room->freeze(); };
      setup.after = [room] { room->thaw(); };
    } else {
      setup.caller = gates::commands::Setup::Caller::elsewhere;
    }
    setup.refused = [this](const policy::Action& action, const std::string& why) { broker_.refused(action, why); };
    commands_.emplace(loop_, broker_, std::move(setup));
    let_pay();
    let_send();
    serve();
  }

  broker::Decider& decider() { return broker_; }

  void leave_terminal() {
    if (panel_) panel_->stop();
  }

  void shut() {
    requests_.reset();
    if (payments_ && payments_->counters().paying > 0) say("waiting for a payment that is being made");
    payments_.reset();
    if (messages_ && messages_->counters().sending > 0) say("waiting for a message that is being sent");
    messages_.reset();
    changes_.reset();
    commands_.reset();
  }

  [[nodiscard]] bool asks_at_terminal() const noexcept { return panel_.has_value(); }

  std::vector<Fate> review(const std::vector<Leftover>& leftovers, int signals) {
    review_.emplace(request_, session_.id(), broker_);
    return review_->ask(loop_, *human_, leftovers, signals);
  }
  void settled(const std::vector<GuardEvent>& events) {
    if (review_) review_->settled(events);
  }

  void close() {
    broker_.finish();
    notifier_.reset();
    panel_.reset();
    control_.reset();
    const broker::Summary& did = broker_.summary();
    if (did.asked + did.allowed + did.denied == 0) return;
    std::string text = fmt::format("{} allowed, {} denied; {} {}; `agentbox log --session {}` shows each", did.allowed,
                                   did.denied, did.asked, did.asked == 1 ? "question" : "questions", session_.id());
    say(std::move(text));
  }

 private:
  void say(std::string text) const {
    std::fputs(base::render({.severity = base::Severity::note, .message = std::move(text)}, request_.colour).c_str(),
               stderr);
  }

  // Of a gate that runs a command of the profile's.
  template <class Setup>
  [[nodiscard]] Setup for_owner() {
    return {.rules = request_.policy.rules,
            .writable = writable(),
            .owner = owner_of(request_.facts),
            .folders = gates::commands::HostPrograms::usual_folders(request_.facts.user.name),
            .refused = [this](const policy::Action& action, const std::string& why) { broker_.refused(action, why); },
            .limits = {}};
  }
  [[nodiscard]] std::vector<AbsPath> writable() const {
    std::vector<AbsPath> roots;
    for (const policy::Mount& mount : request_.policy.mounts) {
      if (mount.access == policy::Access::write) roots.push_back(mount.source);
    }
    return roots;
  }

  // What can't be paid at all is said before the agent starts.
  void let_pay() {
    const policy::Rules& rules = request_.policy.rules;
    if (rules.spending.pay.empty() || !rules.spending.limit) return;
    payments_.emplace(loop_, broker_, for_owner<gates::spending::Setup>());
    if (std::string problem = payments_->problem(); !problem.empty()) {
      throw SystemError(0, "nothing could be paid: " + problem,
                        "[spending.pay] command names it; mend it, or leave it out");
    }
  }

  void let_send() {
    if (request_.policy.rules.messages.ways.empty()) return;
    messages_.emplace(loop_, broker_, for_owner<gates::messages::Setup>());
    if (std::string problem = messages_->problem(); !problem.empty()) {
      throw SystemError(0, "nothing could be sent " + problem,
                        "[messages] names it; install or mend it, or leave it out");
    }
  }

  void serve() {
    gates::requests::Setup setup{.session = session_.id(),
                                 .profile = request_.policy.profile,
                                 .rules = request_.policy.rules,
                                 .waiting = [this] { return broker_.asking(); }};
    setup.gates.command = [this](auto from, auto request) {
      return commands_->take(std::move(from), std::move(request));
    };
    if (changes_) {
      setup.gates.change = [this](auto from, auto request, auto content) {
        return changes_->take(std::move(from), std::move(request), std::move(content));
      };
    }
    if (request_.policy.outside == policy::Outside::ruled) {
      setup.traffic = [this] { return broker_.traffic(); };
    }
    if (payments_) {
      setup.gates.payment = [this](const auto& from, auto request) {
        return payments_->take(from, std::move(request));
      };
      setup.spending = [this] { return broker_.spending(); };
    }
    if (messages_) {
      setup.gates.message = [this](const auto& from, const auto& request, auto content) {
        return messages_->take(from, request, std::move(content));
      };
      setup.messages = [this] { return broker_.messages(); };
    }
    requests_.emplace(loop_, std::move(setup));
    requests_->serve(std::move(listener_));
  }

  void notify() {
    const std::vector<std::string>& argv = request_.policy.approval.notify;
    if (argv.empty() || request_.on_ask == OnAsk::deny) return;
    std::optional<AbsPath> program =
        argv.front().starts_with('/') ? AbsPath::parse(argv.front()) : find_program(argv.front());
    if (!program) {
      throw SystemError(ENOENT, "cannot find " + base::escape(argv.front()),
                        "[approval] notify names it; install it, or leave it out");
    }
    std::vector<std::string> words = argv;
    words.front() = program->str();
    if (std::string problem = gates::commands::within_reach(words, writable()); !problem.empty()) {
      throw SystemError(0, "the notice would run what the agent can write: " + problem,
                        "[approval] notify names it; put it elsewhere, or leave it out");
    }
    auto variable = [this](const char* name) -> const char* {
      auto found = request_.facts.environment.find(name);
      return found == request_.facts.environment.end() ? nullptr : found->second.c_str();
    };
    notifier_.emplace(
        loop_, broker_,
        broker::NotifyCommand{
            .program = *std::move(program), .argv = argv, .environment = broker::notify_environment(variable)});
  }

  boost::asio::io_context& loop_;
  const RunRequest& request_;
  const Session& session_;
  UniqueFd listener_;
  broker::Broker broker_;
  std::optional<broker::ControlServer> control_;
  std::optional<broker::TerminalPanel> panel_;
  prompt::HumanTerminal* human_ = nullptr;  // with the panel
  std::optional<Review> review_;
  std::optional<broker::Notifier> notifier_;
  std::optional<gates::changes::ChangeGate> changes_;
  std::optional<gates::commands::CommandGate> commands_;
  std::optional<gates::spending::PaymentGate> payments_;
  std::optional<gates::messages::MessageGate> messages_;
  std::optional<gates::requests::RequestServer> requests_;
};

Doors::Doors(boost::asio::io_context& loop, const RunRequest& request, const Session& session)
    : impl_(std::make_unique<Impl>(loop, request, session)) {}
Doors::~Doors() = default;

std::vector<plan::Furnishing> Doors::furnishings() const {
  return impl_->furnishings();
}
broker::Decider& Doors::decider() {
  return impl_->decider();
}
void Doors::let_change(Room& room, Guard& guard) {
  impl_->let_change(room, guard);
}
void Doors::open(Room* room, prompt::HumanTerminal* human, prompt::Relay* relay) {
  impl_->open(room, human, relay);
}
void Doors::leave_terminal() {
  impl_->leave_terminal();
}
void Doors::shut() {
  impl_->shut();
}
bool Doors::asks_at_terminal() const noexcept {
  return impl_->asks_at_terminal();
}
std::vector<Fate> Doors::review(const std::vector<Leftover>& leftovers, int signals) {
  return impl_->review(leftovers, signals);
}
void Doors::settled(const std::vector<GuardEvent>& events) {
  impl_->settled(events);
}
void Doors::close() {
  impl_->close();
}

}  // namespace agentbox::launch
