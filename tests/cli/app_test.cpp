#include "app.hpp"

#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <fmt/format.h>

using namespace agentbox;
using namespace agentbox::cli;
using Words = std::vector<std::string>;

namespace {

template <class T>
T parsed(Words words) {
  auto request = parse(std::move(words));
  REQUIRE(request);
  REQUIRE(std::holds_alternative<T>(*request));
  return std::get<T>(*request);
}

// What the user would see.
std::string complaint(Words words) {
  auto request = parse(std::move(words));
  REQUIRE_FALSE(request);
  return base::render(request.error().diagnostics, base::Colour::off);
}

base::ExitCode refused_with(Words words) {
  auto request = parse(std::move(words));
  REQUIRE_FALSE(request);
  return request.error().exit_code;
}

}  // namespace

TEST_CASE("run takes its options before and after the profile") {
  auto run = parsed<RunOptions>({"run", "--read", "/a", "pi", "--read=/b", "-w", "/w", "--hide", "*.env", "--allow",
                                 "localhost:8080", "--write", "/c", "--on-ask", "deny", "--status-fd", "7"});
  CHECK(run.profile == "pi");
  CHECK(run.workspace == "/w");
  CHECK(run.read == Words{"/a", "/b"});
  CHECK(run.write == Words{"/c"});
  CHECK(run.hide == Words{"*.env"});
  CHECK(run.allow == Words{"localhost:8080"});
  CHECK(run.on_ask == "deny");
  CHECK(run.status_fd == 7);
  CHECK(run.command.empty());
}

TEST_CASE("what follows the first -- belongs to the command, verbatim") {
  auto run = parsed<RunOptions>({"run", "pi", "--", "pi", "--read", "--", "--help", "", "-x=1"});
  CHECK(run.command == Words{"pi", "--read", "--", "--help", "", "-x=1"});
  CHECK(run.read.empty());
  CHECK(parsed<RunOptions>({"run", "pi", "--"}).command.empty());
  CHECK(parsed<ExplainOptions>({"explain", "pi", "--json", "--", "--bwrap"}).command == Words{"--bwrap"});
}

TEST_CASE("a profile may have the name of a command") {
  CHECK(parsed<RunOptions>({"run", "check"}).profile == "check");
  CHECK(parsed<CheckOptions>({"check", "run"}).profile == "run");
}

TEST_CASE("a value is taken as it is") {
  // Lists, escapes and separators that the parser knows from configuration files mean nothing on a command line.
  auto run =
      parsed<RunOptions>({"run", "pi", "--read", "[/a,/b]", "--read", "a b\n", "--read", "\\x41", "--read", "%%"});
  CHECK(run.read == Words{"[/a,/b]", "a b\n", "\\x41", "%%"});
  CHECK(parsed<RunOptions>({"run", "pi", "--read", "\xff"}).read == Words{"\xff"});
}

TEST_CASE("each other command fills in its own options") {
  CHECK(parsed<CheckOptions>({"check", "--json", "./x.toml"}).profile == "./x.toml");
  CHECK(parsed<ExplainOptions>({"explain", "pi", "--bwrap"}).bwrap);
  CHECK(parsed<ExplainOptions>({"explain", "pi", "--seccomp"}).seccomp);
  CHECK(parsed<ProfilesOptions>({"profiles", "--json"}).json);
  CHECK(parsed<DoctorOptions>({"doctor", "--sweep"}).sweep);
  CHECK(parsed<PsOptions>({"ps", "--json"}).json);
  CHECK(parsed<StopOptions>({"stop", "a", "b"}).sessions == Words{"a", "b"});
  CHECK(parsed<StopOptions>({"stop", "--all"}).all);
  CHECK(parsed<QuarantineOptions>({"quarantine"}).action == "list");
  CHECK(parsed<QuarantineOptions>({"quarantine", "delete", "--all"}).all);
  CHECK(parsed<QuarantineOptions>({"quarantine", "restore", "1", "2"}).ids == Words{"1", "2"});
  CHECK(parsed<LogOptions>({"log"}).lines == 0);
  auto log = parsed<LogOptions>({"log", "--session", "s", "--kind", "connect", "--verdict=deny", "--since", "2h",
                                 "--until", "today", "-n", "20", "-f", "--json"});
  CHECK((log.session == "s" && log.kind == "connect" && log.verdict == "deny"));
  CHECK((log.since == "2h" && log.until == "today" && log.lines == 20 && log.follow && log.json));
  CHECK(parsed<LogOptions>({"log", "--verify"}).verify);
  CHECK(parsed<RulesOptions>({"rules"}).action == "list");
  CHECK(parsed<RulesOptions>({"rules", "--all", "--json"}).all);
  CHECK(parsed<RulesOptions>({"rules", "revoke", "3", "7"}).ids == Words{"3", "7"});
  CHECK(parsed<ApproveOptions>({"approve"}).answer.empty());
  CHECK(parsed<ApproveOptions>({"approve", "--list", "--json", "--in", "pi-3fa2"}).list);
  CHECK(parsed<ApproveOptions>({"approve", "--socket", "a", "--socket", "b"}).sockets == Words{"a", "b"});
  auto approve = parsed<ApproveOptions>(
      {"approve", "--answer", "pi-3fa2/7", "--always", "--scope", "2", "--comment", "-x", "--digest", "d"});
  CHECK((approve.answer == "pi-3fa2/7" && approve.how == ApproveOptions::How::always && approve.scope == 2));
  CHECK((approve.comment == "-x" && approve.digest == "d"));
  using How = ApproveOptions::How;
  for (auto [option, how] : {std::pair{"--once", How::once}, std::pair{"--session", How::session},
                             std::pair{"--deny", How::deny}, std::pair{"--deny-session", How::deny_session}}) {
    CHECK(parsed<ApproveOptions>({"approve", "--answer", "7", option}).how == how);
  }
  (void)parsed<DemoOptions>({"demo"});
}

TEST_CASE("an answer to a question is one answer, to one question") {
  const std::string one =
      "agentbox: error: --answer needs one of --once, --session, --always, --deny and --deny-session\n"
      "hint: see `agentbox approve --help`\n";
  CHECK(complaint({"approve", "--answer", "7"}) == one);
  CHECK(complaint({"approve", "--answer", "7", "--once", "--deny"}) == one);
  const std::string none =
      "agentbox: error: an answer without a question\nhint: for example `agentbox approve --answer 7 --once`\n";
  CHECK(complaint({"approve", "--once"}) == none);
  CHECK(complaint({"approve", "--comment", "x"}) == none);
  CHECK(complaint({"approve", "--answer", "7", "--once", "--scope", "1"}) ==
        "agentbox: error: --scope goes with --session and --always\nhint: see `agentbox approve --help`\n");
  for (const char* scope : {"-1", "100", "x", "1x", "0x1", " 1"}) {
    CHECK(complaint({"approve", "--answer", "7", "--session", std::string("--scope=") + scope}) ==
          fmt::format(
              "agentbox: error: --scope takes a number from 0 to 99, not '{}'\nhint: the question's session_scopes "
              "and lasting_scopes are counted from 0\n",
              scope));
  }
  CHECK(complaint({"approve", "--answer", "7", "--deny", "--comment", std::string(501, 'x')}) ==
        "agentbox: error: a comment has at most 500 bytes, not 501\nhint: the agent reads it with the verdict\n");
  CHECK(complaint({"approve", "--answer", "7", "--deny", "--list"}).starts_with("agentbox: error: "));
  CHECK(complaint({"approve", "--socket", "x", "--in", "pi-3fa2"}).starts_with("agentbox: error: "));
}

TEST_CASE("a broker takes a profile and a name, and its client a command behind --") {
  auto broker =
      parsed<BrokerOptions>({"broker", "--name", "side", "pi", "-w", "/w", "--on-ask=queue", "--status-fd", "7"});
  CHECK((broker.profile == "pi" && broker.name == "side" && broker.workspace == "/w"));
  CHECK((broker.on_ask == "queue" && broker.status_fd == 7));
  CHECK(complaint({"broker"}) == "agentbox: error: missing PROFILE\nhint: `agentbox profiles` lists them\n");
  CHECK(complaint({"broker", "pi", "--status-fd", "x"}) ==
        "agentbox: error: --status-fd takes a descriptor's number, not 'x'\n"
        "hint: for example `agentbox broker --status-fd 3 PROFILE 3>events`\n");
  CHECK(refused_with({"broker", "pi", "--on-ask", "x"}) == base::ExitCode::usage);
  auto host = parsed<HostOptions>({"host", "--in", "side", "--why", "w", "--no-tty", "--", "git", "--tty", "--"});
  CHECK((host.session == "side" && host.why == "w" && host.terminal == HostOptions::Terminal::unwanted));
  CHECK(host.command == Words{"git", "--tty", "--"});
  CHECK(parsed<HostOptions>({"host", "--socket", "s", "--tty", "--", "x"}).socket == "s");
  CHECK(complaint({"host", "--in", "side"}) ==
        "agentbox: error: missing COMMAND\nhint: put it after '--': agentbox host --in SESSION -- COMMAND...\n");
  CHECK(complaint({"host", "pwd", "-P"}) ==
        "agentbox: error: unexpected argument 'pwd'\nhint: put the command after '--': agentbox host -- pwd ...\n");
  CHECK(complaint({"host", "--in", "a", "--socket", "b", "--", "x"}).find("can't be used together") !=
        std::string::npos);
  CHECK(complaint({"host", "--tty", "--no-tty", "--", "x"}).find("can't be used together") != std::string::npos);
  CHECK(refused_with({"host", "--nonsense", "--", "x"}) == base::ExitCode::agentbox_failed);
}

TEST_CASE("try takes one action, and after 'command' whatever belongs to the command") {
  auto tried = parsed<TryOptions>({"try", "pi", "connect", "example.org:443", "--json"});
  CHECK(tried.profile == "pi");
  CHECK(tried.what == "connect");
  CHECK(tried.arguments == Words{"example.org:443"});
  CHECK(tried.json);
  tried = parsed<TryOptions>(
      {"try", "--json", "-w", "command", "command", "command", "git", "push", "--json", "-w", "--", ""});
  CHECK(tried.workspace == "command");
  CHECK(tried.profile == "command");
  CHECK(tried.what == "command");
  CHECK(tried.arguments == Words{"git", "push", "--json", "-w", "--", ""});
  CHECK(parsed<TryOptions>({"try", "pi", "command", "--", "-x", "--"}).arguments == Words{"-x", "--"});
  CHECK(parsed<TryOptions>({"try", "--read=/a", "pi", "command", "x"}).read == Words{"/a"});
  CHECK(parsed<TryOptions>({"try", "pi", "pay", "12.50", "USD"}).arguments == Words{"12.50", "USD"});
  CHECK(complaint({"try", "pi"}) == "agentbox: error: missing ACTION\nhint: see `agentbox try --help`\n");
  CHECK(complaint({"try", "pi", "command"}) ==
        "agentbox: error: missing ARGUMENT of 'command'\nhint: see `agentbox try --help`\n");
  CHECK(complaint({"try", "pi", "command", "--"}) ==
        "agentbox: error: missing ARGUMENT of 'command'\nhint: see `agentbox try --help`\n");
  CHECK(complaint({"try", "pi", "conect", "x:1"}) ==
        "agentbox: error: the action is one of connect, read, write, command, send, pay, not 'conect'\n"
        "hint: did you mean 'connect'?\n");
  CHECK(complaint({"try", "pi", "read", "/x", "/y"}) ==
        "agentbox: error: unexpected argument '/y'\nhint: see `agentbox try --help`\n");
  CHECK(refused_with({"try", "pi"}) == base::ExitCode::agentbox_failed);
}

TEST_CASE("what is misspelt gets the nearest suggestion") {
  CHECK(complaint({"rnu"}) == "agentbox: error: unknown command 'rnu'\nhint: see `agentbox --help`\n");
  CHECK(complaint({"send"}) ==
        "agentbox: error: 'send' is for a program in a room\n"
        "hint: what a profile allows: agentbox try PROFILE send ...\n");
  CHECK(complaint({"expalin"}) == "agentbox: error: unknown command 'expalin'\nhint: did you mean 'explain'?\n");
  CHECK(complaint({"run", "pi", "--wrkspace", "x"}) ==
        "agentbox: error: unknown option '--wrkspace'\nhint: did you mean '--workspace'?\n");
  CHECK(complaint({"run", "pi", "--reed=x"}) ==
        "agentbox: error: unknown option '--reed'\nhint: did you mean '--read'?\n");
  CHECK(complaint({"quarantine", "restor", "1"}) ==
        "agentbox: error: the action is one of list, show, restore, delete, not 'restor'\n"
        "hint: did you mean 'restore'?\n");
}

TEST_CASE("a command without -- is refused, and told where to stand") {
  CHECK(complaint({"run", "pi", "pi", "-p", "hello"}) ==
        "agentbox: error: unexpected argument 'pi'\n"
        "hint: put the command after '--': agentbox run pi -- pi ...\n");
}

TEST_CASE("what is missing is named") {
  CHECK(complaint({}) ==
        "agentbox: error: no command given\nhint: see `agentbox --help`; to begin with: `agentbox demo`\n");
  CHECK(complaint({"run", "--", "make", "test"}) ==
        "agentbox: error: missing PROFILE\nhint: for example: agentbox run default -- make test\n");
  CHECK(complaint({"run", "pi", "--read"}) ==
        "agentbox: error: option '--read' needs a value\nhint: see `agentbox run --help`\n");
  CHECK(complaint({"stop"}) == "agentbox: error: missing SESSION\nhint: `agentbox ps` lists them; --all ends all\n");
  CHECK(complaint({"quarantine", "show"}) == "agentbox: error: missing ID\nhint: `agentbox quarantine` lists them\n");
}

TEST_CASE("an empty value does not swallow the next argument") {
  CHECK(complaint({"run", "--hide=", "pi"}) ==
        "agentbox: error: option '--hide' needs a value\nhint: see `agentbox run --help`\n");
}

TEST_CASE("options that contradict each other are refused") {
  CHECK(complaint({"explain", "pi", "--bwrap", "--json"}) ==
        "agentbox: error: --bwrap and --json can't be used together\nhint: see `agentbox explain --help`\n");
  CHECK(complaint({"run", "pi", "-w", "/a", "--workspace", "/b"}) ==
        "agentbox: error: option '--workspace' is given more than once\nhint: see `agentbox run --help`\n");
  CHECK(complaint({"ps", "--json=no"}) ==
        "agentbox: error: option '--json' takes no value\nhint: see `agentbox ps --help`\n");
}

TEST_CASE("a descriptor is a plain number") {
  for (const char* bad : {"x", "-1", "0x3", "3 ", "99999999999"}) {
    CHECK(complaint({"run", "pi", "--status-fd", bad}) ==
          std::string("agentbox: error: --status-fd takes a descriptor's number, not '") + bad +
              "'\nhint: for example `agentbox run --status-fd 3 PROFILE 3>events`\n");
  }
}

TEST_CASE("the record's options are checked before it is opened") {
  CHECK(
      complaint({"log", "--kind", "conect"}) ==
      "agentbox: error: --kind is one of connect, open, change, command, message, payment, tool, excess, not 'conect'\n"
      "hint: did you mean 'connect'?\n");
  CHECK(complaint({"log", "--verdict", "no"}) ==
        "agentbox: error: --verdict is one of allow, deny, expired, unavailable, duplicate, cancelled, not 'no'\n"
        "hint: see `agentbox log --help`\n");
  for (const char* bad : {"0", "-3", "x", "1x", "99999999999999999999"}) {
    CHECK(complaint({"log", "-n", bad}) == std::string("agentbox: error: --lines takes a number of rows, not '") + bad +
                                               "'\nhint: for example `agentbox log -n 20`\n");
  }
  CHECK(complaint({"log", "--verify", "--follow"}) ==
        "agentbox: error: --follow and --verify can't be used together\nhint: see `agentbox log --help`\n");
  CHECK(complaint({"rules", "revoke"}) == "agentbox: error: missing ID\nhint: `agentbox rules` lists them\n");
  CHECK(complaint({"rules", "list", "3"}) ==
        "agentbox: error: unexpected argument '3'\nhint: to take it back: `agentbox rules revoke ID`\n");
  CHECK(complaint({"rules", "3"}) ==
        "agentbox: error: the action is one of list, revoke, not '3'\nhint: see `agentbox rules --help`\n");
}

TEST_CASE("run's own errors have a code that no command uses") {
  CHECK(refused_with({"run"}) == base::ExitCode::agentbox_failed);
  CHECK(refused_with({"run", "--nonsense", "pi"}) == base::ExitCode::agentbox_failed);
  CHECK(refused_with({"check"}) == base::ExitCode::usage);
  CHECK(refused_with({"nonsense"}) == base::ExitCode::usage);
  CHECK(refused_with({"nonsense", "--help"}) == base::ExitCode::usage);
}

TEST_CASE("a hostile word cannot write to the terminal") {
  CHECK(complaint({"\033[2J"}) == "agentbox: error: unknown command '\\x1b[2J'\nhint: see `agentbox --help`\n");
}

TEST_CASE("help names every command, and each command's help every option") {
  std::string text = parsed<ShowText>({"--help"}).text;
  for (const CommandDoc& command : documentation().commands) {
    CHECK_THAT(text, Catch::Contains("\n  " + command.name + " "));
    std::string own = parsed<ShowText>({command.name, "--help"}).text;
    CHECK(own == parsed<ShowText>({"help", command.name}).text);
    for (const OptionDoc& option : command.options) CHECK_THAT(own, Catch::Contains(option.names.back()));
  }
  CHECK(documentation().commands.size() == 16);
  CHECK_THAT(text, !Catch::Contains("generate"));
}

TEST_CASE("no line of help is wider than a terminal of 80 columns") {
  std::string text = parsed<ShowText>({"--help"}).text;
  for (const CommandDoc& command : documentation().commands) text += help(command);
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    CAPTURE(line);
    CHECK(line.size() <= 80);
  }
}

TEST_CASE("man page and completions name every option that the parser takes") {
  for (const char* what : {"man", "bash", "zsh", "fish"}) {
    std::string text = parsed<ShowText>({"generate", what}).text;
    for (const CommandDoc& command : documentation().commands) {
      CHECK_THAT(text, Catch::Contains(command.name));
      for (const OptionDoc& option : command.options) {
        if (option.names.back() == "--help") continue;
        CAPTURE(what, option.names.back());
        CHECK_THAT(text, Catch::Contains(option.names.back().substr(2)));
      }
    }
  }
}
