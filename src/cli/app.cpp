#include "app.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "agentbox/base/escape.hpp"

#include "complaints.hpp"

namespace agentbox::cli {

namespace {

// Everything that the parser fills in. `quarantine` and the hidden commands share plain words with the rest.
struct Filled {
  RunOptions run;
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
  ApproveOptions approve;
  bool once = false, session = false, always = false, deny = false, deny_session = false;  // of `approve`
  DemoOptions demo;
  std::string status_fd, lines, scope;  // checked by hand: the parser would take "0x3" and " 3"
  std::vector<std::string> misplaced;   // a command that stands before `--`
  std::string generate, help;
};

constexpr const char* rooms_group = "Rooms";
constexpr const char* record_group = "Record";
constexpr const char* profiles_group = "Profiles";
constexpr const char* machine_group = "This machine";
constexpr const char* hidden_group = "";
constexpr const char* on_ask_choices = "terminal|queue|deny";
constexpr const char* action_choices = "list|show|restore|delete";
constexpr const char* rules_choices = "list|revoke";
constexpr const char* kind_choices = "connect|open|change|command|message|payment|tool";
constexpr const char* verdict_choices = "allow|deny|expired|unavailable|duplicate|cancelled";
constexpr const char* try_choices = "connect|read|write|command|send|pay";
constexpr const char* generate_choices = "man|bash|zsh|fish|profile-names|session-names";

bool every_app(const CLI::App* /*app*/) {
  return true;
}

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
  app.add_option("--on-ask", filled.run.on_ask,
                 "Where a question goes: to this terminal, to a queue, or nowhere (deny); without this option, "
                 "'terminal' if there is one, else 'deny'")
      ->type_name(on_ask_choices);
  app.add_option("--status-fd", filled.status_fd, "Write the run's events to this descriptor, one JSON object a line")
      ->type_name("FD");
  app.footer(
      "The exit code is the command's own; 128+n if signal n ended it; 125 if agentbox failed, 126 if the "
      "command "
      "could not be executed, 127 if it was not found.\n\n"
      "Options may stand before and after PROFILE. Everything after '--' belongs to the command.");
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
                 "HOST:PORT, PATH, a command's words, a recipient, or an amount such as 12.50 USD")
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
  check.footer("Exits with 1 if there is any error.");

  add_explain(program, filled);
  add_try(program, filled);
}

void add_session_commands(CLI::App& program, Filled& filled) {
  CLI::App& ps = *program.add_subcommand("ps", "List the rooms that are open");
  ps.group(rooms_group);
  flag(ps, "--json", filled.ps.json, "Print JSON");

  CLI::App& stop = *program.add_subcommand("stop", "End rooms and everything that runs in them");
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
      "where it was made.");
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
  app.add_option("--scope", filled.scope,
                 "With --session and --always: which of the question's scopes, counted from 0, the narrowest")
      ->type_name("N");
  app.add_option("--comment", options.comment, "A word for the agent, with the answer")->type_name("TEXT");
  app.add_option("--digest", options.digest, "Answer only if the question has this digest, as --json prints it")
      ->type_name("DIGEST");
  CLI::Option* in = app.add_option("--in", options.session, "Only this session")->type_name("SESSION");
  repeated(app, "--socket", options.sockets, "Use this control.sock, for example one that ssh forwards")
      ->type_name("PATH")
      ->excludes(in);
  app.footer(
      "On a terminal it shows the questions of all rooms of this user, newest first, and goes on until 'q'. An answer "
      "that is given here takes the question from the room's own terminal, and the other way round.\n\n"
      "An ID is SESSION/NUMBER; the number alone will do where no other session has such a question. With --answer it "
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
                 "Only this kind of action: connect, open, change, command, message, payment or tool")
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

void add_record_commands(CLI::App& program, Filled& filled) {
  add_log(program, filled);

  CLI::App& rules = *program.add_subcommand("rules", "List the answers that are remembered, and take them back");
  rules.group(record_group);
  rules.add_option("ACTION", filled.rules.action, "What to do; without it, list")->type_name(rules_choices);
  rules.add_option("ID", filled.rules.ids, "As the list names it")->type_name("ID");
  flag(rules, "--all", filled.rules.all, "Also those that were revoked or have expired");
  flag(rules, "--json", filled.rules.json, "Print JSON");
  rules.footer("A rule that is revoked answers nothing from that moment on, also in rooms that are open.");
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

void build(CLI::App& program, Filled& filled) {
  program.name("agentbox");
  program.set_help_flag("-h,--help", "Show this help, or with a command that command's");
  program.set_version_flag("--version", "agentbox " AGENTBOX_VERSION, "Show the version");
  // At most one: so that `agentbox run check` means the profile named "check".
  program.require_subcommand(0, 1);
  add_run(program, filled);
  add_session_commands(program, filled);
  add_approve(program, filled);
  add_record_commands(program, filled);
  add_profile_commands(program, filled);
  add_machine_commands(program, filled);
  add_hidden_commands(program, filled);
  for (CLI::App* command : program.get_subcommands({})) command->set_help_flag("-h,--help", "Show this help");
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

// ---- one command line ----

std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

std::vector<std::string> command_names(const CLI::App& program) {
  std::vector<std::string> names;
  for (const CLI::App* command : program.get_subcommands(every_app)) {
    if (!command->get_group().empty()) names.push_back(command->get_name());
  }
  return names;
}

// The parser's own complaints, in our words. It names the option first: "--read: 1 required PATH missing".
base::Diagnostic translate(const CLI::Error& error, const std::string& command) {
  std::string text = error.what();
  std::string subject = text.substr(0, text.find_first_of(": "));
  if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) return missing(subject, command);
  if (dynamic_cast<const CLI::ExcludesError*>(&error) != nullptr) {
    return exclusive(subject, text.substr(text.rfind(' ') + 1), command);
  }
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) {
    if (text.ends_with("missing")) return bad_option(subject, "needs a value", command);
    if (text.ends_with("override")) return bad_option("--" + subject, "takes no value", command);
    return bad_option(subject, "is given more than once", command);
  }
  return complain(base::escape(text), see(command));
}

class CommandLine {
 public:
  CommandLine() { build(program_, filled_); }

  [[nodiscard]] std::expected<Request, UsageError> parse(std::vector<std::string> arguments);
  [[nodiscard]] ProgramDoc documentation() const { return document_program(program_); }

 private:
  [[nodiscard]] const CLI::App* command() const {
    std::vector<CLI::App*> parsed = program_.get_subcommands();
    return parsed.empty() ? nullptr : parsed.front();
  }
  [[nodiscard]] const CLI::App& where() const {
    const CLI::App* found = command();
    return found == nullptr ? program_ : *found;
  }
  // Empty before any command was recognised.
  [[nodiscard]] std::string name() const { return command() == nullptr ? "" : command()->get_name(); }
  [[nodiscard]] std::unexpected<UsageError> refuse(base::Diagnostics diagnostics) const {
    return std::unexpected(UsageError{std::move(diagnostics), name() == "run" || name() == "try"
                                                                  ? base::ExitCode::agentbox_failed
                                                                  : base::ExitCode::usage});
  }
  [[nodiscard]] std::optional<base::Diagnostic> surplus(const std::vector<std::string>& arguments) const;
  [[nodiscard]] base::Diagnostics check();
  void check_status_fd(base::Diagnostics& errors);
  void check_record(base::Diagnostics& errors);
  void check_try(base::Diagnostics& errors);
  void check_approve(base::Diagnostics& errors);
  [[nodiscard]] Request request(std::vector<std::string> tail);

  Filled filled_;
  CLI::App program_;
};

// What the parser did not know. The first one is enough: what follows it was read under a wrong assumption.
std::optional<base::Diagnostic> CommandLine::surplus(const std::vector<std::string>& arguments) const {
  std::vector<std::string> remaining = where().remaining();
  auto place = [&](const std::vector<std::string>& words) {
    return words.empty() ? arguments.end() : std::ranges::find(arguments, words.front());
  };
  if (!filled_.misplaced.empty() && place(filled_.misplaced) < place(remaining)) {
    const std::string& profile = name() == "run" ? filled_.run.profile : filled_.explain.profile;
    return misplaced_command(name(), profile, filled_.misplaced.front());
  }
  if (remaining.empty()) return std::nullopt;
  const std::string& word = remaining.front();
  if (word.starts_with('-') && word.size() > 1) return unknown_option(word, option_names(where()), name());
  if (command() == nullptr) return unknown_command(word, command_names(program_));
  return complain(fmt::format("unexpected argument '{}'", base::escape(word)), see(name()));
}

// What the tables can't say.
base::Diagnostics CommandLine::check() {
  base::Diagnostics errors;
  require_choice(errors, "--on-ask", filled_.run.on_ask, on_ask_choices, name());
  require_choice(errors, "the action", filled_.quarantine.action, action_choices, name());
  require_choice(errors, "the action", filled_.try_action.what, try_choices, name());
  require_choice(errors, "WHAT", filled_.generate, generate_choices, name());
  check_status_fd(errors);
  check_record(errors);
  check_try(errors);
  if (name() == "approve") check_approve(errors);
  if (name() == "stop" && filled_.stop.sessions.empty() && !filled_.stop.all) {
    errors.push_back(complain("missing SESSION", "`agentbox ps` lists them; --all ends all"));
  }
  if (name() == "stop" && !filled_.stop.sessions.empty() && filled_.stop.all) {
    errors.push_back(exclusive("SESSION", "--all", name()));
  }
  const QuarantineOptions& quarantine = filled_.quarantine;
  const bool names_one = quarantine.action == "show" || quarantine.action == "restore" ||
                         (quarantine.action == "delete" && !quarantine.all);
  if (names_one && quarantine.ids.empty()) {
    errors.push_back(complain("missing ID", "`agentbox quarantine` lists them"));
  }
  return errors;
}

void CommandLine::check_try(base::Diagnostics& errors) {
  const TryOptions& given = filled_.try_action;
  if (name() != "try" || !errors.empty()) return;
  if (given.arguments.empty()) {
    errors.push_back(complain(fmt::format("missing ARGUMENT of '{}'", given.what), see("try")));
  } else if (given.arguments.size() > 1 && given.what != "command" && given.what != "pay") {
    errors.push_back(complain(fmt::format("unexpected argument '{}'", base::escape(given.arguments[1])), see("try")));
  }
}

void CommandLine::check_status_fd(base::Diagnostics& errors) {
  const std::string& text = filled_.status_fd;
  if (text.empty()) return;
  int number = -1;
  auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (problem != std::errc{} || end != text.data() + text.size() || number < 0) {
    errors.push_back(complain(fmt::format("--status-fd takes a descriptor's number, not '{}'", base::escape(text)),
                              "for example `agentbox run --status-fd 3 PROFILE 3>events`"));
  }
  filled_.run.status_fd = number;
}

void CommandLine::check_record(base::Diagnostics& errors) {
  require_choice(errors, "--kind", filled_.log.kind, kind_choices, name());
  require_choice(errors, "--verdict", filled_.log.verdict, verdict_choices, name());
  require_choice(errors, "the action", filled_.rules.action, rules_choices, name());
  const std::string& text = filled_.lines;
  auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), filled_.log.lines);
  if (!text.empty() && (problem != std::errc{} || end != text.data() + text.size() || filled_.log.lines < 1)) {
    errors.push_back(complain(fmt::format("--lines takes a number of rows, not '{}'", base::escape(text)),
                              "for example `agentbox log -n 20`"));
  }
  if (filled_.rules.action == "revoke" && filled_.rules.ids.empty()) {
    errors.push_back(complain("missing ID", "`agentbox rules` lists them"));
  }
  if (filled_.rules.action == "list" && !filled_.rules.ids.empty()) {
    errors.push_back(complain(fmt::format("unexpected argument '{}'", base::escape(filled_.rules.ids.front())),
                              "to take it back: `agentbox rules revoke ID`"));
  }
}

void CommandLine::check_approve(base::Diagnostics& errors) {
  using How = ApproveOptions::How;
  ApproveOptions& approve = filled_.approve;
  const std::pair<bool, How> all[] = {{filled_.once, How::once},
                                      {filled_.session, How::session},
                                      {filled_.always, How::always},
                                      {filled_.deny, How::deny},
                                      {filled_.deny_session, How::deny_session}};
  const auto given = std::ranges::count_if(all, [](const auto& each) { return each.first; });
  for (const auto& [chosen, how] : all) {
    if (chosen) approve.how = how;
  }
  constexpr const char* answers = "one of --once, --session, --always, --deny and --deny-session";
  const bool answer = !approve.answer.empty();
  if (answer && given != 1) {
    errors.push_back(complain(fmt::format("--answer needs {}", answers), see(name())));
  }
  if (!answer && (given != 0 || !filled_.scope.empty() || !approve.comment.empty() || !approve.digest.empty())) {
    errors.push_back(complain("an answer without a question", "for example `agentbox approve --answer 7 --once`"));
  }
  if (answer && approve.list) errors.push_back(exclusive("--answer", "--list", name()));
  const std::string& scope = filled_.scope;
  auto [end, problem] = std::from_chars(scope.data(), scope.data() + scope.size(), approve.scope);
  if (!scope.empty() && (problem != std::errc{} || end != scope.data() + scope.size() || approve.scope > 99)) {
    errors.push_back(complain(fmt::format("--scope takes a number from 0 to 99, not '{}'", base::escape(scope)),
                              "the question's session_scopes and lasting_scopes are counted from 0"));
  }
  if (!scope.empty() && answer && approve.how != How::session && approve.how != How::always) {
    errors.push_back(complain("--scope goes with --session and --always", see(name())));
  }
  if (approve.comment.size() > 500) {
    errors.push_back(complain(fmt::format("a comment has at most 500 bytes, not {}", approve.comment.size()),
                              "the agent reads it with the verdict"));
  }
}

Request CommandLine::request(std::vector<std::string> tail) {
  if (name() == "run") {
    filled_.run.command = std::move(tail);
    return filled_.run;
  }
  if (name() == "explain") {
    filled_.explain.command = std::move(tail);
    return filled_.explain;
  }
  if (name() == "check") return filled_.check;
  if (name() == "try") return filled_.try_action;
  if (name() == "profiles") return filled_.profiles;
  if (name() == "doctor") return filled_.doctor;
  if (name() == "ps") return filled_.ps;
  if (name() == "stop") return filled_.stop;
  if (name() == "log") return filled_.log;
  if (name() == "rules") {
    if (filled_.rules.action.empty()) filled_.rules.action = "list";
    return filled_.rules;
  }
  if (name() == "approve") return filled_.approve;
  if (name() == "demo") return filled_.demo;
  if (name() == "quarantine") {
    if (filled_.quarantine.action.empty()) filled_.quarantine.action = "list";
    return filled_.quarantine;
  }
  if (filled_.generate == "man") return ShowText{man_page(documentation())};
  if (filled_.generate == "bash") return ShowText{bash_completion(documentation())};
  if (filled_.generate == "zsh") return ShowText{zsh_completion(documentation())};
  if (filled_.generate == "fish") return ShowText{fish_completion(documentation())};
  return Names{filled_.generate == "session-names" ? Names::Of::sessions : Names::Of::profiles};
}

// What follows `agentbox try PROFILE command` is the command's own; the word itself stays.
std::vector<std::string> take_tried_command(std::vector<std::string>& arguments) {
  constexpr std::array<std::string_view, 6> with_value{"-w", "--workspace", "--read", "--write", "--hide", "--allow"};
  std::size_t words = 0;
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    if (word.size() > 1 && word.starts_with('-')) {
      if (std::ranges::find(with_value, word) != with_value.end()) ++i;
      continue;
    }
    if (++words < 2) continue;
    if (word != "command") return {};
    std::size_t begin = i + 1 < arguments.size() && arguments[i + 1] == "--" ? i + 2 : i + 1;
    std::vector<std::string> tail(arguments.begin() + static_cast<std::ptrdiff_t>(begin), arguments.end());
    arguments.resize(i + 1);
    return tail;
  }
  return {};
}

std::expected<Request, UsageError> CommandLine::parse(std::vector<std::string> arguments) {
  // What follows `--` is the command's own, verbatim: the parser never sees it.
  std::vector<std::string> tail;
  if (!arguments.empty() && arguments.front() == "try") {
    tail = take_tried_command(arguments);
  }
  bool takes_command = !arguments.empty() && (arguments.front() == "run" || arguments.front() == "explain");
  if (auto dashes = std::ranges::find(arguments, "--"); takes_command && dashes != arguments.end()) {
    tail.assign(dashes + 1, arguments.end());
    arguments.erase(dashes, arguments.end());
  }
  // The parser would take the argument after "--read=" for its value: let it find none.
  auto lacks_value = [](const std::string& word) {
    return word.starts_with("--") && word.find('=') == word.size() - 1;
  };
  if (auto at = std::ranges::find_if(arguments, lacks_value); at != arguments.end()) {
    at->pop_back();
    arguments.erase(at + 1, arguments.end());
  }
  try {
    program_.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));  // reversed, as CLI11 wants it
  } catch (const CLI::CallForHelp&) {
    if (command() != nullptr) return ShowText{help(document(*command()))};
    if (std::optional<base::Diagnostic> error = surplus(arguments)) return refuse({*error});
    return ShowText{help(documentation())};
  } catch (const CLI::CallForVersion& version) {
    return ShowText{std::string(version.what()) + '\n'};
  } catch (const CLI::Error& error) {
    return refuse({surplus(arguments).value_or(translate(error, name()))});
  }
  if (command() == nullptr) {
    return refuse({complain("no command given", "see `agentbox --help`; to begin with: `agentbox demo`")});
  }
  if (std::optional<base::Diagnostic> error = surplus(arguments)) return refuse({*error});
  if (name() == "help") {
    return filled_.help.empty() ? ShowText{help(documentation())} : CommandLine().parse({filled_.help, "--help"});
  }
  if (name() == "try" && filled_.try_action.what == "command") filled_.try_action.arguments = tail;
  if (base::Diagnostics errors = check(); !errors.empty()) return refuse(std::move(errors));
  return request(std::move(tail));
}

}  // namespace

std::expected<Request, UsageError> parse(std::vector<std::string> arguments) {
  return CommandLine().parse(std::move(arguments));
}

ProgramDoc documentation() {
  return CommandLine().documentation();
}

}  // namespace agentbox::cli
