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
#include "tables.hpp"

namespace agentbox::cli {

namespace {

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

// Its exit codes mean something else already.
bool owns_codes(std::string_view command) {
  return command == "run" || command == "try" || command == "host";
}

class CommandLine {
 public:
  explicit CommandLine(Commands commands) { build(program_, filled_, commands); }

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
    return std::unexpected(UsageError{std::move(diagnostics),
                                      owns_codes(name()) ? base::ExitCode::agentbox_failed : base::ExitCode::usage});
  }
  [[nodiscard]] std::optional<base::Diagnostic> surplus(const std::vector<std::string>& arguments) const;
  [[nodiscard]] base::Diagnostics check();
  void check_status_fd(base::Diagnostics& errors);
  void check_record(base::Diagnostics& errors);
  void check_ledger(base::Diagnostics& errors);
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
    if (name() == "host") return misplaced_command(name(), "", filled_.misplaced.front());
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
  require_choice(errors, "--on-ask", filled_.broker.on_ask, on_ask_choices, name());
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
  } else if (given.arguments.size() > 1 && given.what != "command" && given.what != "pay" && given.what != "send") {
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
                              fmt::format("for example `agentbox {} --status-fd 3 PROFILE 3>events`", name())));
  }
  filled_.run.status_fd = filled_.broker.status_fd = number;
}

void CommandLine::check_record(base::Diagnostics& errors) {
  require_choice(errors, "--kind", filled_.log.kind, kind_choices, name());
  require_choice(errors, "--verdict", filled_.log.verdict, verdict_choices, name());
  require_choice(errors, "the action", filled_.rules.action, rules_choices, name());
  if (name() == "ledger") check_ledger(errors);
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

void CommandLine::check_ledger(base::Diagnostics& errors) {
  LedgerOptions& ledger = filled_.ledger;
  require_choice(errors, "the action", ledger.action, ledger_choices, name());
  const bool settles = ledger.action == "settle";
  if (settles && ledger.id.empty()) errors.push_back(complain("missing ID", "`agentbox ledger` lists them"));
  if (settles && filled_.paid == filled_.not_paid) {
    errors.push_back(complain("'settle' needs one of --paid and --not-paid", see(name())));
  }
  if (!settles && (filled_.paid || filled_.not_paid)) {
    errors.push_back(complain("--paid and --not-paid go with 'settle'", see(name())));
  }
  if (!settles && !ledger.id.empty()) {
    errors.push_back(complain(fmt::format("unexpected argument '{}'", base::escape(ledger.id)), see(name())));
  }
  ledger.paid = filled_.paid;
}

void CommandLine::check_approve(base::Diagnostics& errors) {
  using How = ApproveOptions::How;
  ApproveOptions& approve = filled_.approve;
  const std::pair<bool, How> all[] = {{filled_.once, How::once},
                                      {filled_.session, How::session},
                                      {filled_.always, How::always},
                                      {filled_.deny, How::deny},
                                      {filled_.deny_session, How::deny_session},
                                      {filled_.pause, How::pause},
                                      {filled_.deny_rest, How::deny_rest},
                                      {filled_.go_on, How::go_on}};
  const auto given = std::ranges::count_if(all, [](const auto& each) { return each.first; });
  for (const auto& [chosen, how] : all) {
    if (chosen) approve.how = how;
  }
  const bool choice = approve.how == How::pause || approve.how == How::deny_rest || approve.how == How::go_on;
  const bool flood = approve.answer == "flood" || approve.answer.ends_with("/flood");
  const char* answers = flood ? "one of --pause, --deny-rest and --go-on"
                              : "one of --once, --session, --always, --deny and --deny-session";
  const bool answer = !approve.answer.empty();
  if (answer && (given != 1 || choice != flood)) {
    errors.push_back(complain(fmt::format("--answer needs {}", answers), see(name())));
  }
  if (!answer && (given != 0 || !filled_.scope.empty() || !approve.comment.empty() || !approve.digest.empty() ||
                  !approve.phrase.empty())) {
    errors.push_back(complain("an answer without a question", "for example `agentbox approve --answer 7 --once`"));
  }
  if (flood && (!approve.comment.empty() || !approve.digest.empty())) {
    errors.push_back(complain("--comment and --digest go with the answer to a question", see(name())));
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
  if (name() == "host") {
    using Tty = HostOptions::Terminal;
    if (filled_.tty) filled_.host.terminal = Tty::wanted;
    if (filled_.no_tty) filled_.host.terminal = Tty::unwanted;
    filled_.host.command = std::move(tail);
    return filled_.host;
  }
  if (name() == "broker") return filled_.broker;
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
  if (name() == "ledger") {
    if (filled_.ledger.action.empty()) filled_.ledger.action = "list";
    return filled_.ledger;
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
  bool takes_command = !arguments.empty() &&
                       (arguments.front() == "run" || arguments.front() == "explain" || arguments.front() == "host");
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
    base::Diagnostic problem = surplus(arguments).value_or(translate(error, name()));
    if (name() == "run" && problem.message == "missing PROFILE" && !tail.empty()) {
      problem.hint = fmt::format("for example: agentbox run default -- {}", base::quote(tail));
    }
    return refuse({std::move(problem)});
  }
  if (command() == nullptr) {
    return refuse({complain("no command given", "see `agentbox --help`; to begin with: `agentbox demo`")});
  }
  if (std::optional<base::Diagnostic> error = surplus(arguments)) return refuse({*error});
  if (name() == "help") {
    return filled_.help.empty() ? ShowText{help(documentation())}
                                : CommandLine(Commands::all).parse({filled_.help, "--help"});
  }
  if (name() == "try" && filled_.try_action.what == "command") filled_.try_action.arguments = tail;
  if (name() == "host" && tail.empty()) {
    return refuse({complain("missing COMMAND", "put it after '--': agentbox host --in SESSION -- COMMAND...")});
  }
  if (base::Diagnostics errors = check(); !errors.empty()) return refuse(std::move(errors));
  return request(std::move(tail));
}

}  // namespace

std::expected<Request, UsageError> parse(std::vector<std::string> arguments) {
  bool runs = !arguments.empty() && arguments.front() == "run";
  return CommandLine(runs ? Commands::run : Commands::all).parse(std::move(arguments));
}

ProgramDoc documentation() {
  return CommandLine(Commands::all).documentation();
}

}  // namespace agentbox::cli
