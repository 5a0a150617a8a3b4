#include "tables.hpp"

#include <algorithm>

#include <CLI/CLI.hpp>

namespace agentbox::cli {

namespace {

constexpr const char* rooms_group = "Rooms";
constexpr const char* record_group = "Record";
constexpr const char* profiles_group = "Profiles";
constexpr const char* machine_group = "This machine";
constexpr const char* hidden_group = "";
constexpr const char* on_ask_text =
    "Where a question goes: to this terminal, to a queue, or nowhere (deny); without this option, 'terminal' if there "
    "is one, else 'deny'";

// One value each time the option is given, never "--read A B": B would be the profile.
CLI::Option* repeated(CLI::App& app, const char* name, std::vector<std::string>& to, const char* text) {
  return app.add_option(name, to, text)->allow_extra_args(false);
}

CLI::Option* flag(CLI::App& app, const char* name, bool& to, const char* text) {
  return app.add_flag(name, to, text)->disable_flag_override();
}

void add_profile_argument(CLI::App& app, std::string& to) {
  app.add_option("PROFILE", to, "A name (see `agentbox profiles`), or a path if it has a '/'")
      ->required()
      ->type_name("PROFILE");
}

void add_grant_options(CLI::App& app, RoomOptions& options) {
  app.add_option("-w,--workspace", options.workspace, "The workspace, instead of the current directory")
      ->type_name("DIR");
  repeated(app, "--read", options.read, "Grant this file or directory for reading")->type_name("PATH");
  repeated(app, "--write", options.write, "Grant this file or directory for reading and writing")->type_name("PATH");
  repeated(app, "--hide", options.hide, "Hide what this pattern names, wherever it was granted")->type_name("PATTERN");
  repeated(app, "--allow", options.allow, "Grant this host, for example localhost:8080")->type_name("HOST");
}

void add_room_options(CLI::App& app, RoomOptions& options, std::vector<std::string>& misplaced) {
  add_profile_argument(app, options.profile);
  app.add_option("COMMAND", misplaced, "What to start in the room; without it, the profile's own command")
      ->type_name("COMMAND");
  add_grant_options(app, options);
}

void add_run(CLI::App& program, Filled& filled) {
  CLI::App& app = *program.add_subcommand("run", "Start a command in a room built from a profile");
  app.group(rooms_group);
  add_room_options(app, filled.run, filled.misplaced);
  app.add_option("--on-ask", filled.run.on_ask, on_ask_text)->type_name(on_ask_choices);
  app.add_option("--status-fd", filled.status_fd, "Write the run's events to this descriptor, one JSON object a line")
      ->type_name("FD");
  app.footer(
      "The exit code is the command's own; 128+n if signal n ended it; 125 if agentbox failed, 126 if the "
      "command "
      "could not be executed, 127 if it was not found.\n\n"
      "Options may stand before and after PROFILE. Everything after '--' belongs to the command.");
}

void add_broker(CLI::App& program, Filled& filled) {
  CLI::App& app = *program.add_subcommand("broker", "Answer for commands of the host without a room");
  app.group(rooms_group);
  add_profile_argument(app, filled.broker.profile);
  app.add_option("-w,--workspace", filled.broker.workspace, "The workspace, instead of the current directory")
      ->type_name("DIR");
  app.add_option("--name", filled.broker.name, "What the session is called, instead of PROFILE and five letters")
      ->type_name("NAME");
  app.add_option("--on-ask", filled.broker.on_ask, on_ask_text)->type_name(on_ask_choices);
  app.add_option("--status-fd", filled.status_fd,
                 "Write where it can be reached to this descriptor, one JSON object a line")
      ->type_name("FD");
  app.footer(
      "For a caller that has its confinement already, such as a container beside a model server: give it request.sock "
      "of the session and nothing else of that folder. The profile's rules, your answers and the record are those of "
      "a room; commands run in the workspace and in the folders that the profile grants. agentbox-broker(7) says what "
      "goes over the socket.\n\n"
      "It goes on until Ctrl-C, SIGTERM or `agentbox stop`, and then exits with 0.");
}

void add_host(CLI::App& program, Filled& filled) {
  CLI::App& app = *program.add_subcommand("host", "Ask a broker to run a command on this machine");
  app.group(rooms_group);
  HostOptions& options = filled.host;
  CLI::Option* in =
      app.add_option("--in", options.session, "The session, as `agentbox ps` names it")->type_name("SESSION");
  app.add_option("--socket", options.socket, "The session's request.sock; without either, $AGENTBOX_SOCKET")
      ->type_name("PATH")
      ->excludes(in);
  app.add_option("--why", options.why, "Why it is needed; the owner reads it")->type_name("TEXT");
  CLI::Option* tty = flag(app, "--tty", filled.tty, "Give it a terminal, which is the default on one");
  flag(app, "--no-tty", filled.no_tty, "Give it none")->excludes(tty);
  app.add_option("COMMAND", filled.misplaced, "What to run; the broker's rules or its owner decide")
      ->type_name("COMMAND");
  app.footer(
      "The same command is in every room, where it needs no socket. The exit code is the command's own; 128+n if "
      "signal n ended it; 77 if it was denied, 75 if nobody could answer or it was done already, 130 if it was "
      "cancelled, 125 if there is no broker, 126 if it could not be started, 127 if there is no such program.");
}

void add_explain(CLI::App& program, Filled& filled) {
  CLI::App& app = *program.add_subcommand("explain", "Show what a room would hold, and which line says so");
  app.group(profiles_group);
  add_room_options(app, filled.explain, filled.misplaced);
  CLI::Option* bwrap =
      flag(app, "--bwrap", filled.explain.bwrap, "Show the command line of bwrap and each step after it");
  CLI::Option* seccomp =
      flag(app, "--seccomp", filled.explain.seccomp, "Show the system calls that are denied, and why");
  CLI::Option* json = flag(app, "--json", filled.explain.json, "Print JSON");
  flag(app, "--all", filled.explain.all, "Name also what isn't there: what is kept from being made, what was skipped");
  bwrap->excludes(seccomp)->excludes(json);
  seccomp->excludes(json);
  app.footer("Takes what `agentbox run` takes and starts nothing.");
}

void add_try(CLI::App& program, Filled& filled) {
  CLI::App& app = *program.add_subcommand("try", "Show what a profile says about one action, and which line says so");
  app.group(profiles_group);
  add_profile_argument(app, filled.try_action.profile);
  app.add_option("ACTION", filled.try_action.what, "What the agent would do")->required()->type_name(try_choices);
  app.add_option("ARGUMENT", filled.try_action.arguments,
                 "HOST:PORT, PATH, a command's words, a recipient and the way to send, or an amount such as 12.50 USD")
      ->type_name("ARGUMENT");
  add_grant_options(app, filled.try_action);
  flag(app, "--json", filled.try_action.json, "Print JSON");
  app.footer(
      "Does nothing of it. Options stand before 'command': what follows that word is the command's own.\n\n"
      "Exits with 0 if the action is allowed, 1 if it is denied, 2 if you would be asked, 125 on an error.");
}

void add_profile_commands(CLI::App& program, Filled& filled) {
  CLI::App& profiles = *program.add_subcommand("profiles", "List the profiles and where they come from");
  profiles.group(profiles_group);
  flag(profiles, "--json", filled.profiles.json, "Print JSON");

  CLI::App& check = *program.add_subcommand("check", "Check a profile and say all its errors at once");
  check.group(profiles_group);
  add_profile_argument(check, filled.check.profile);
  flag(check, "--json", filled.check.json, "Print JSON");
  check.footer(
      "Exits with 1 if there is any error: of the profile itself, or of what this version can't do yet. What `agentbox "
      "run` "
      "would refuse on this machine alone (a program or folder that is missing, a limit that can't be had) is a "
      "warning, and "
      "doesn't count: a profile may be checked where it isn't used.");

  add_explain(program, filled);
  add_try(program, filled);
}

void add_session_commands(CLI::App& program, Filled& filled) {
  CLI::App& ps = *program.add_subcommand("ps", "List the rooms and brokers that are open");
  ps.group(rooms_group);
  flag(ps, "--json", filled.ps.json, "Print JSON");

  CLI::App& stop = *program.add_subcommand("stop", "End rooms and brokers, and everything that runs in them");
  stop.group(rooms_group);
  stop.add_option("SESSION", filled.stop.sessions, "As `agentbox ps` names it")->type_name("SESSION");
  flag(stop, "--all", filled.stop.all, "All rooms of this user");

  CLI::App& quarantine =
      *program.add_subcommand("quarantine", "See, give back or delete what was taken out of a workspace");
  quarantine.group(rooms_group);
  quarantine.add_option("ACTION", filled.quarantine.action, "What to do; without it, list")->type_name(action_choices);
  quarantine.add_option("ID", filled.quarantine.ids, "As the list names it")->type_name("ID");
  flag(quarantine, "--all", filled.quarantine.all, "Every entry, for 'delete'");
  flag(quarantine, "--json", filled.quarantine.json, "Print JSON");
  quarantine.footer(
      "An agent that creates a file which a program outside would execute (.envrc, .npmrc, ...) loses it to "
      "the "
      "quarantine at once. 'show' prints such a file with every control character made visible, 'restore' "
      "puts it "
      "where it was made. At the end of a run on a terminal you are asked about each.");
}

void add_approve(CLI::App& program, Filled& filled) {
  CLI::App& app = *program.add_subcommand("approve", "Answer the questions of every room, also from a script");
  app.group(rooms_group);
  ApproveOptions& options = filled.approve;
  flag(app, "--list", options.list, "Print the questions that are open, and end");
  flag(app, "--json", options.json,
       "Print JSON, one object a line; without --list and --answer, what comes and goes until interrupted");
  app.add_option("--answer", options.answer, "Answer this question; its ID is as in the list")->type_name("ID");
  flag(app, "--once", filled.once, "Allow it, this time");
  flag(app, "--session", filled.session, "Allow it, and the same until the session ends");
  flag(app, "--always", filled.always, "Allow it, and the same with this profile until `agentbox rules` takes it back");
  flag(app, "--deny", filled.deny, "Deny it");
  flag(app, "--deny-session", filled.deny_session, "Deny it, and the same until the session ends");
  flag(app, "--pause", filled.pause, "Of a session that asks too often: its agent stands still");
  flag(app, "--deny-rest", filled.deny_rest, "Of such a session: deny all that it asks from now on");
  flag(app, "--go-on", filled.go_on, "Of such a session: let it ask as much again");
  app.add_option("--scope", filled.scope,
                 "With --session and --always: which of the question's scopes, counted from 0, the narrowest")
      ->type_name("N");
  app.add_option("--comment", options.comment, "A word for the agent, with the answer")->type_name("TEXT");
  app.add_option("--phrase", options.phrase, "What the question wants typed before a yes, if it does")
      ->type_name("TEXT");
  app.add_option("--digest", options.digest, "Answer only if the question has this digest, as --json prints it")
      ->type_name("DIGEST");
  CLI::Option* in = app.add_option("--in", options.session, "Only this session")->type_name("SESSION");
  repeated(app, "--socket", options.sockets, "Use this control.sock, for example one that ssh forwards")
      ->type_name("PATH")
      ->excludes(in);
  app.footer(
      "On a terminal it shows the questions of all rooms of this user, newest first, and goes on until 'q'; and what "
      "was "
      "allowed and waits for its delay before it is done, which a denial cancels. An answer "
      "that is given here takes the question from the room's own terminal, and the other way round.\n\n"
      "An ID is SESSION/NUMBER; the number alone will do where no other session has such a question. SESSION/flood is "
      "a "
      "session that asks too often: nothing more of it is shown until --pause, --deny-rest or --go-on. With --answer "
      "it "
      "exits with 0 when the answer was taken, and with 1 when there is no such question any more or that answer is "
      "not "
      "offered. agentbox-broker(7) has examples: scripts, a tmux popup, ssh.");
}

void add_log(CLI::App& program, Filled& filled) {
  CLI::App& app = *program.add_subcommand("log", "Show what was asked, who decided, and what was done");
  app.group(record_group);
  LogOptions& options = filled.log;
  app.add_option("--session", options.session, "Only this session")->type_name("SESSION");
  app.add_option("--kind", options.kind,
                 "Only this kind of action: connect, open, change, command, message, payment, tool or excess")
      ->type_name(kind_choices);
  app.add_option("--verdict", options.verdict,
                 "Only this verdict: allow, deny, expired, unavailable, duplicate or cancelled")
      ->type_name(verdict_choices);
  app.add_option("--since", options.since, "Only from this time on: 2h (ago), today, 2026-11-22, or RFC 3339")
      ->type_name("TIME");
  app.add_option("--until", options.until, "Only before this time")->type_name("TIME");
  app.add_option("-n,--lines", filled.lines, "Only the newest N")->type_name("N");
  CLI::Option* follow = flag(app, "-f,--follow", options.follow, "Go on with what comes, until interrupted");
  flag(app, "--json", options.json, "Print JSON, one object a line");
  CLI::Option* verify = flag(app, "--verify", options.verify, "Check that no row was changed, moved, added or removed");
  verify->excludes(follow);
  CLI::Option* net = flag(app, "--net", options.net, "Sum up the connections by host: bytes, connections, denials");
  net->excludes(follow)->excludes(verify);
  app.footer(
      "Each row holds the hash of the one before it, so --verify finds damage and edits, and names the first row that "
      "is not as it was written; then it exits with 1. It prints the last hash: whoever may write the file could "
      "compute the whole chain anew, but not to the same end.");
}

void add_ledger(CLI::App& program, Filled& filled) {
  CLI::App& app = *program.add_subcommand("ledger", "Show what was paid, what is reserved and what is left");
  app.group(record_group);
  LedgerOptions& options = filled.ledger;
  app.add_option("ACTION", options.action, "What to do; without it, list")->type_name(ledger_choices);
  app.add_option("ID", options.id, "Of a payment, as the list names it")->type_name("ID");
  flag(app, "--paid", filled.paid, "For 'settle': it was paid");
  flag(app, "--not-paid", filled.not_paid, "For 'settle': it was not, and its amount is free again");
  app.add_option("--since", options.since, "Payments from this time on, instead of today's: yesterday, 7d, 2026-11-22")
      ->type_name("TIME");
  app.add_option("--until", options.until, "Only payments before this time")->type_name("TIME");
  flag(app, "--all", options.all, "All payments, of every day");
  flag(app, "--json", options.json, "Print JSON");
  app.footer(
      "A payment is reserved before its program runs, and counts as spent from then on. One whose program was killed, "
      "or "
      "did not say what became of it, stays reserved, is always listed, and is never tried again: look at your "
      "account, "
      "then 'settle' it.\n\n"
      "A day is your calendar's. A clock that is set back opens no new day: the latest time that the ledger has seen "
      "counts. If that was wrong, because the clock had been far ahead, 'clock' takes it back to now.");
}

void add_record_commands(CLI::App& program, Filled& filled) {
  add_log(program, filled);
  add_ledger(program, filled);

  CLI::App& rules = *program.add_subcommand("rules", "List the answers that are remembered, and take them back");
  rules.group(record_group);
  rules.add_option("ACTION", filled.rules.action, "What to do; without it, list")->type_name(rules_choices);
  rules.add_option("ID", filled.rules.ids, "As the list names it")->type_name("ID");
  flag(rules, "--all", filled.rules.all, "Also those that were revoked or have expired");
  flag(rules, "--json", filled.rules.json, "Print JSON");
  rules.footer(
      "Below them it lists the budgets that were used, and how each stands; `agentbox ledger` has the payments.\n\n"
      "A rule that is revoked answers nothing from that moment on, also in rooms that are open.");
}

void add_machine_commands(CLI::App& program, Filled& filled) {
  CLI::App& doctor = *program.add_subcommand("doctor", "Test what this machine can enforce, and say how to mend it");
  doctor.group(machine_group);
  flag(doctor, "--sweep", filled.doctor.sweep, "Also clear what killed runs left behind");
  flag(doctor, "--json", filled.doctor.json, "Print JSON");
  doctor.footer("Exits with 1 if a room could not be built on this machine.");

  CLI::App& demo = *program.add_subcommand("demo", "Watch a scripted agent try to misbehave in a real room");
  demo.group(machine_group);
  demo.add_option("--agent", filled.demo.agent)->group(hidden_group);
  demo.footer(
      "No model and no network: in a throw-away home a program tries each thing that a hostile agent would, and a "
      "table "
      "says what it got. Then an agent comes to the doors of a room, and you answer its questions; without a terminal "
      "they are answered with deny. Exits with 1 if anything happened that nobody had allowed.");
}

void add_hidden_commands(CLI::App& program, Filled& filled) {
  CLI::App& generate = *program.add_subcommand("generate", "Print what the build installs, from the parser's tables");
  generate.group(hidden_group);
  generate.add_option("WHAT", filled.generate)->required()->type_name(generate_choices);

  CLI::App& help = *program.add_subcommand("help", "Show the help of a command");
  help.group(hidden_group);
  help.add_option("COMMAND", filled.help);
}

// ---- the tables as values ----

std::vector<OptionDoc> options_of(const CLI::App& app) {
  std::vector<OptionDoc> options;
  for (const CLI::Option* option : app.get_options()) {
    if (!option->nonpositional() || option->get_group().empty()) continue;
    OptionDoc doc{.text = option->get_description(),
                  .repeats = option->get_items_expected_max() > 1 || option->get_expected_max() > 1};
    for (const std::string& name : option->get_snames()) doc.names.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) doc.names.push_back("--" + name);
    if (option->get_type_size() != 0) doc.value = option->get_type_name();
    options.push_back(std::move(doc));
  }
  // The parser lists its own first; a reader wants them last.
  std::ranges::stable_partition(options, [](const OptionDoc& doc) {
    return std::ranges::find(doc.names, "--help") == doc.names.end() &&
           std::ranges::find(doc.names, "--version") == doc.names.end();
  });
  return options;
}

}  // namespace

bool every_app(const CLI::App* /*app*/) {
  return true;
}

void build(CLI::App& program, Filled& filled, Commands commands) {
  program.name("agentbox");
  program.set_help_flag("-h,--help", "Show this help, or with a command that command's");
  program.set_version_flag("-V,--version", "agentbox " AGENTBOX_VERSION, "Show the version");
  // At most one: so that `agentbox run check` means the profile named "check".
  program.require_subcommand(0, 1);
  add_run(program, filled);
  if (commands == Commands::all) {
    add_session_commands(program, filled);
    add_approve(program, filled);
    add_broker(program, filled);
    add_host(program, filled);
    add_record_commands(program, filled);
    add_profile_commands(program, filled);
    add_machine_commands(program, filled);
    add_hidden_commands(program, filled);
  }
  for (CLI::App* command : program.get_subcommands({})) command->set_help_flag("-h,--help", "Show this help");
}

CommandDoc document(const CLI::App& app) {
  CommandDoc doc{.name = app.get_name(),
                 .group = app.get_group(),
                 .summary = app.get_description(),
                 .details = app.get_footer(),
                 .options = options_of(app)};
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_positional()) continue;
    if (option->get_type_name() == "COMMAND") {
      doc.takes_command = true;
    }
    doc.arguments.push_back({.name = option->get_name(),
                             .text = option->get_description(),
                             .required = option->get_required(),
                             .repeats = option->get_expected_max() > 1});
    if (!choices(option->get_type_name()).empty()) doc.arguments.back().name = option->get_type_name();
  }
  return doc;
}

ProgramDoc document_program(const CLI::App& program) {
  ProgramDoc doc{.version = AGENTBOX_VERSION, .options = options_of(program)};
  for (const char* group : {rooms_group, record_group, profiles_group, machine_group}) {
    for (const CLI::App* command : program.get_subcommands(every_app)) {
      if (command->get_group() == group) doc.commands.push_back(document(*command));
    }
  }
  return doc;
}

}  // namespace agentbox::cli
