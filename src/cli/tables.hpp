#pragma once

// The tables of commands and options: what the parser fills in, and the same as plain values for the help, the manual
// page and the completions. Only the sources of the command line include this: the parser's header is a heavy one.

#include <cstdint>
#include <string>
#include <vector>

#include "docs.hpp"
#include "options.hpp"

namespace CLI {
class App;
}

namespace agentbox::cli {

// Everything that the parser fills in. `quarantine` and the hidden commands share plain words with the rest.
struct Filled {
  RunOptions run;
  BrokerOptions broker;
  HostOptions host;
  CheckOptions check;
  ExplainOptions explain;
  TryOptions try_action;
  ProfilesOptions profiles;
  DoctorOptions doctor;
  PsOptions ps;
  StopOptions stop;
  QuarantineOptions quarantine;
  LogOptions log;
  RulesOptions rules;
  LedgerOptions ledger;
  bool paid = false, not_paid = false;  // of `ledger settle`
  ApproveOptions approve;
  bool once = false, session = false, always = false, deny = false, deny_session = false;  // of `approve`
  bool pause = false, deny_rest = false, go_on = false;
  DemoOptions demo;
  bool tty = false, no_tty = false;     // of `host`
  std::string status_fd, lines, scope;  // checked by hand: the parser would take "0x3" and " 3"
  std::vector<std::string> misplaced;   // a command that stands before `--`
  std::string generate, help;
};

inline constexpr const char* on_ask_choices = "terminal|queue|deny";
inline constexpr const char* action_choices = "list|show|restore|delete";
inline constexpr const char* rules_choices = "list|revoke";
inline constexpr const char* ledger_choices = "list|settle|clock";
inline constexpr const char* kind_choices = "connect|open|change|command|message|payment|tool|excess";
inline constexpr const char* verdict_choices = "allow|deny|expired|unavailable|duplicate|cancelled";
inline constexpr const char* try_choices = "connect|read|write|command|send|pay";
inline constexpr const char* generate_choices = "man|bash|zsh|fish|profile-names|session-names";

// Where the first word says `run`, it is the only command that is asked: the others would cost each start of a room.
enum class Commands : std::uint8_t { run, all };
// These commands and their options, which fill `filled`.
void build(CLI::App& program, Filled& filled, Commands commands);
[[nodiscard]] ProgramDoc document_program(const CLI::App& program);
[[nodiscard]] CommandDoc document(const CLI::App& command);
// For get_subcommands: all of them.
[[nodiscard]] bool every_app(const CLI::App* app);

}  // namespace agentbox::cli
