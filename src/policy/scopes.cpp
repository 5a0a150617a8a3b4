// What an answer may be remembered for, and what a remembered one covers. A scope covers by what it says now, not by what
// was true when it was stored: each use is checked again.

#include <algorithm>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"
#include "agentbox/policy/git_remotes.hpp"
#include "agentbox/policy/ruling.hpp"
#include "agentbox/profile/host_rules.hpp"
#include "agentbox/profile/parse.hpp"

#include "programs.hpp"

namespace agentbox::policy {

namespace {

enum class Lasting { session, always };

bool is_changeable(const Command& command) {
  return command.program && command.program->writable == Program::Writable::yes;
}

// Without what may differ when the same thing comes again.
Action essence(const Action& action) {
  // A no is to the sum and who gets it, which is what is shown: with another key or memo it is the same.
  if (const auto* payment = std::get_if<Payment>(&action)) {
    Payment same = *payment;
    same.key.clear();
    same.memo.clear();
    return same;
  }
  if (const auto* excess = std::get_if<Excess>(&action)) {
    Excess same = *excess;
    same.used = 0;
    return same;
  }
  const auto* command = std::get_if<Command>(&action);
  if (command == nullptr) return action;
  Command same = *command;
  same.terminal = Command::Terminal::none;
  if (!is_changeable(same)) {
    same.program.reset();  // an update of the system replaces it, and nobody else can
  } else {
    same.program->device = 0;
    same.program->inode = 0;
  }
  return same;
}

std::string shown(const Action& action) {
  const auto* command = std::get_if<Command>(&action);
  if (command == nullptr) return summary(action);
  return fmt::format("{} in {}{}", base::quote(command->argv), base::quote(command->directory.str()),
                     in_words(command->remotes));
}

// What a pattern for git is bound to: in another directory the same name of a remote means another address, and the
// agent can change what it means. Empty: to nothing.
std::string bounds(const Command& command) {
  if (!talks_to_remotes(command)) return {};
  return canonical(Command{.argv = {}, .directory = command.directory, .remotes = command.remotes});
}
bool is_certain(const Command& command) {
  return command.remotes && command.remotes->certain == Remotes::Certain::yes;
}

std::vector<Scope> scopes_of(const Connect& connect, Lasting /*lasting*/) {
  std::vector<Scope> scopes{exact_scope(connect)};
  base::Result<profile::HostRule> host = profile::parse_host_rule(connect.host, {});
  const bool is_web = profile::is_web_port(connect.port);
  if (is_web && host && host->kind == profile::HostKind::name && matches(*host, connect)) {
    scopes.push_back({Scope::Breadth::pattern, host->text, base::escape(host->text) + ", ports 80 and 443"});
  }
  return scopes;
}

std::vector<Scope> scopes_of(const Command& command, Lasting lasting) {
  if (command.argv.empty()) return {};
  Trust trust = knowledge_of(command).trust;
  if (trust == Trust::interpreter) return {};
  const bool talks = talks_to_remotes(command);
  if (talks && !is_certain(command)) return {};
  bool trusted = trust == Trust::harmless && !is_changeable(command);
  if (lasting == Lasting::always && !trusted) return {};
  std::vector<Scope> scopes{exact_scope(command)};
  std::optional<std::string> wider = trusted ? wider_pattern(command.argv) : std::nullopt;
  if (!wider) return scopes;
  const std::string where = talks ? " in " + base::quote(command.directory.str()) + in_words(command.remotes)
                                  : std::string(" in any directory");
  // A pattern holds no line feed.
  const std::string bound = talks ? "\n" + bounds(command) : std::string();
  Scope pattern{Scope::Breadth::pattern, *wider + bound, base::escape(*wider) + where};
  if (covers(pattern, command)) scopes.push_back(std::move(pattern));
  return scopes;
}

std::vector<Scope> scopes_of(const Open& open, Lasting lasting) {
  if (lasting == Lasting::always) return {};
  return {exact_scope(open)};
}

// Each is a thing of its own: its content, its sum, its arguments.
std::vector<Scope> scopes_of(const Change& /*change*/, Lasting /*lasting*/) {
  return {};
}
std::vector<Scope> scopes_of(const Message& /*message*/, Lasting /*lasting*/) {
  return {};
}
std::vector<Scope> scopes_of(const Payment& /*payment*/, Lasting /*lasting*/) {
  return {};
}
std::vector<Scope> scopes_of(const ToolCall& /*call*/, Lasting /*lasting*/) {
  return {};
}

// For always there is the profile's own line.
std::vector<Scope> scopes_of(const Excess& excess, Lasting lasting) {
  if (lasting == Lasting::always) return {};
  return {exact_scope(excess)};
}

std::vector<Scope> scopes(const Action& action, Lasting lasting) {
  return std::visit([&](const auto& one) { return scopes_of(one, lasting); }, action);
}

bool pattern_covers(const std::string& rule, const Action& action) {
  if (const auto* connect = std::get_if<Connect>(&action)) {
    base::Result<profile::HostRule> host = profile::parse_host_rule(rule, {});
    return host && matches(*host, *connect);
  }
  const auto* command = std::get_if<Command>(&action);
  if (command == nullptr || is_changeable(*command)) return false;
  if (talks_to_remotes(*command) && !is_certain(*command)) return false;
  const std::size_t end = std::min(rule.find('\n'), rule.size());
  // One that is bound to nothing, as earlier versions kept them, covers no address.
  if (rule.substr(std::min(end + 1, rule.size())) != bounds(*command)) return false;
  base::Result<profile::CommandPattern> pattern = profile::parse_command_pattern(rule.substr(0, end), {});
  return pattern && matches(*pattern, command->argv) && knowledge_of(*command).trust == Trust::harmless;
}

}  // namespace

std::vector<Scope> session_scopes(const Action& action) {
  return scopes(action, Lasting::session);
}

std::vector<Scope> lasting_scopes(const Action& action) {
  return scopes(action, Lasting::always);
}

Scope exact_scope(const Action& action) {
  return {Scope::Breadth::exact, canonical(essence(action)), shown(action)};
}

bool covers(const Scope& scope, const Action& action) {
  if (scope.breadth == Scope::Breadth::pattern) return pattern_covers(scope.rule, action);
  return scope.rule == canonical(essence(action));
}

}  // namespace agentbox::policy
