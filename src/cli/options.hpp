#pragma once

// What the command line said, as plain values: only app.cpp knows the option parser. One struct per
// subcommand, and one function per subcommand, each in the file of its name. Each returns the process's exit
// code.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agentbox/base/diagnostic.hpp"

namespace agentbox::cli {

struct Terminal {
  base::Colour out = base::Colour::off;  // stdout
  base::Colour err = base::Colour::off;  // stderr
};

// What shapes a room, shared by run, explain, try and broker.
struct RoomOptions {
  std::string profile;
  std::string workspace;  // empty: the current directory
  std::vector<std::string> read, write, hide, allow;
  std::vector<std::string> command;
};
struct RunOptions : RoomOptions {
  int status_fd = -1;
  std::string on_ask;  // "", "terminal", "queue", "deny"
};
// The doors without a room: nothing of RoomOptions but profile and workspace.
struct BrokerOptions : RoomOptions {
  int status_fd = -1;
  std::string name;    // of the session; empty: one is made up
  std::string on_ask;  // as above
};
// A client of a broker without a room.
struct HostOptions {
  std::string session, socket;  // whose request.sock; both empty: $AGENTBOX_SOCKET
  std::string why;
  enum class Terminal : std::uint8_t { as_it_is, wanted, unwanted } terminal = Terminal::as_it_is;
  std::vector<std::string> command;
};
struct CheckOptions {
  std::string profile;
  bool json = false;
};
struct ExplainOptions : RoomOptions {
  bool bwrap = false, seccomp = false, json = false, all = false;
};
struct TryOptions : RoomOptions {
  std::string what;  // "connect", "read", "write", "command", "send", "pay"
  std::vector<std::string> arguments;
  bool json = false;
};
struct ProfilesOptions {
  bool json = false;
};
struct DoctorOptions {
  bool json = false, sweep = false;
};
struct PsOptions {
  bool json = false;
};
struct StopOptions {
  std::vector<std::string> sessions;
  bool all = false;
};
struct QuarantineOptions {
  std::string action;  // "list", "show", "restore", "delete"
  std::vector<std::string> ids;
  bool json = false, all = false;
};
struct LogOptions {
  std::string session, kind, verdict;  // empty: any
  std::string since, until;            // as typed; empty: any
  std::int64_t lines = 0;              // the newest so many; 0: all
  bool follow = false, json = false, verify = false, net = false;
};
struct RulesOptions {
  std::string action;  // "list", "revoke"
  std::vector<std::string> ids;
  bool json = false, all = false;
};
struct LedgerOptions {
  std::string action;        // "list", "settle", "clock"
  std::string id;            // of a payment, as typed
  std::string since, until;  // as typed; empty: today
  bool paid = false;         // settle: else not
  bool json = false, all = false;
};
struct ApproveOptions {
  std::string answer;  // which question; empty: none is answered
  // The last three are for a session that asks too often, SESSION/flood.
  enum class How : std::uint8_t { once, session, always, deny, deny_session, pause, deny_rest, go_on } how = How::deny;
  std::size_t scope = 0;
  std::string comment, session, digest, phrase;  // empty: none, any
  std::vector<std::string> sockets;              // empty: those of this user's sessions
  bool list = false, json = false;
};
struct DemoOptions {
  std::string agent;
};  // hidden: play the agent, and against what

int run(const RunOptions& options, const Terminal& terminal);
int broker(const BrokerOptions& options, const Terminal& terminal);
int host(const HostOptions& options, const Terminal& terminal);
int check(const CheckOptions& options, const Terminal& terminal);
int explain(const ExplainOptions& options, const Terminal& terminal);
int try_action(const TryOptions& options, const Terminal& terminal);
int profiles(const ProfilesOptions& options, const Terminal& terminal);
int doctor(const DoctorOptions& options, const Terminal& terminal);
int ps(const PsOptions& options, const Terminal& terminal);
int stop(const StopOptions& options, const Terminal& terminal);
int quarantine(const QuarantineOptions& options, const Terminal& terminal);
int log(const LogOptions& options, const Terminal& terminal);
int rules(const RulesOptions& options, const Terminal& terminal);
int ledger(const LedgerOptions& options, const Terminal& terminal);
int approve(const ApproveOptions& options, const Terminal& terminal);
int demo(const DemoOptions& options, const Terminal& terminal);

}  // namespace agentbox::cli
