// What git does with its arguments. git is three things at once: a program with harmless everyday commands, one that runs
// what hooks, filters and configuration of the repository name, and one that runs what its arguments say (git(1),
// gitremote-helpers(7)). Whatever isn't known to be one of the first two is taken for the third: also abbreviated
// options, which git completes by itself.

#include <algorithm>
#include <array>
#include <string_view>

#include "agentbox/policy/git_config.hpp"
#include "agentbox/policy/git_remotes.hpp"

#include "programs.hpp"

namespace agentbox::policy {

namespace {

using std::string_view_literals::operator""sv;
using Arguments = std::span<const std::string>;

// Run nothing and read no repository's configuration other than the one they stand in.
constexpr std::array global_options{"--no-pager"sv, "--no-optional-locks"sv};

// Run only what the repository itself names.
constexpr std::array repository_commands{
    "add"sv,          "am"sv,           "apply"sv,      "blame"sv,    "branch"sv,        "cat-file"sv, "checkout"sv,
    "cherry"sv,       "cherry-pick"sv,  "clean"sv,      "commit"sv,   "count-objects"sv, "describe"sv, "diff"sv,
    "for-each-ref"sv, "format-patch"sv, "fsck"sv,       "gc"sv,       "log"sv,           "ls-files"sv, "ls-tree"sv,
    "merge"sv,        "merge-base"sv,   "mv"sv,         "name-rev"sv, "notes"sv,         "prune"sv,    "range-diff"sv,
    "reflog"sv,       "reset"sv,        "restore"sv,    "rev-list"sv, "rev-parse"sv,     "revert"sv,   "rm"sv,
    "shortlog"sv,     "show"sv,         "show-ref"sv,   "stash"sv,    "status"sv,        "switch"sv,   "symbolic-ref"sv,
    "tag"sv,          "version"sv,      "whatchanged"sv};
// Of those commands: options that name a program or a file of configuration. Their abbreviations too.
constexpr std::array program_options{"--exec"sv,         "--ext-diff"sv, "--textconv"sv, "--upload-pack"sv,
                                     "--receive-pack"sv, "--config"sv,   "--filters"sv,  "--strategy"sv};

struct Grammar {
  std::string_view command;
  // Change nothing about where to and what. "--depth=" takes a number.
  std::span<const std::string_view> harmless;
  // Run nothing, but do more than one may have meant: rewrite or delete what is at the other end, go round hooks.
  std::span<const std::string_view> frank;
};

constexpr std::array push_harmless{"-u"sv,
                                   "--set-upstream"sv,
                                   "--tags"sv,
                                   "--follow-tags"sv,
                                   "--atomic"sv,
                                   "-n"sv,
                                   "--dry-run"sv,
                                   "-v"sv,
                                   "--verbose"sv,
                                   "-q"sv,
                                   "--quiet"sv,
                                   "--progress"sv,
                                   "--no-progress"sv,
                                   "--porcelain"sv,
                                   "-4"sv,
                                   "--ipv4"sv,
                                   "-6"sv,
                                   "--ipv6"sv};
constexpr std::array push_frank{"-f"sv,         "--force"sv,  "--force-with-lease"sv, "--force-if-includes"sv,
                                "-d"sv,         "--delete"sv, "--mirror"sv,           "--all"sv,
                                "--branches"sv, "--prune"sv,  "--no-verify"sv,        "--signed"sv};
constexpr std::array fetch_harmless{"--all"sv,       "-p"sv,
                                    "--prune"sv,     "-t"sv,
                                    "--tags"sv,      "-n"sv,
                                    "--no-tags"sv,   "--dry-run"sv,
                                    "-v"sv,          "--verbose"sv,
                                    "-q"sv,          "--quiet"sv,
                                    "--progress"sv,  "--no-progress"sv,
                                    "--unshallow"sv, "--depth="sv,
                                    "--deepen="sv,   "-4"sv,
                                    "--ipv4"sv,      "-6"sv,
                                    "--ipv6"sv,      "--no-recurse-submodules"sv};
constexpr std::array fetch_frank{"-f"sv, "--force"sv, "-P"sv, "--prune-tags"sv, "-a"sv, "--append"sv};
constexpr std::array pull_harmless{"--ff-only"sv,   "--ff"sv,
                                   "--rebase"sv,    "--no-rebase"sv,
                                   "--autostash"sv, "--no-edit"sv,
                                   "-p"sv,          "--prune"sv,
                                   "-t"sv,          "--tags"sv,
                                   "-v"sv,          "--verbose"sv,
                                   "-q"sv,          "--quiet"sv,
                                   "--progress"sv,  "--no-progress"sv,
                                   "--depth="sv,    "-4"sv,
                                   "--ipv4"sv,      "-6"sv,
                                   "--ipv6"sv,      "--no-recurse-submodules"sv};
constexpr std::array pull_frank{"-f"sv, "--force"sv, "--no-ff"sv, "--squash"sv, "--no-commit"sv, "--no-verify"sv};
constexpr std::array grammars{Grammar{"push", push_harmless, push_frank}, Grammar{"fetch", fetch_harmless, fetch_frank},
                              Grammar{"pull", pull_harmless, pull_frank}};

bool is_word(std::string_view text, std::string_view marks) {
  return !text.empty() && std::ranges::all_of(text, [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           marks.find(c) != std::string_view::npos;
  });
}

// As `git remote add` takes it, without '/': a path would need one, or be the name of a folder, which is the gate's to
// rule out.
bool is_remote_name(std::string_view text) {
  return is_word(text, "_-.") && text.front() != '-' && text.front() != '.' && text.size() <= 100;
}
// A branch or tag under the same name at both ends; not '+' (rewrite), ':' (delete, or another name), '*'.
bool is_plain_ref(std::string_view text) {
  return is_word(text, "_-./") && text.front() != '-' && text.front() != '/' &&
         text.find("..") == std::string_view::npos;
}

bool is_listed(std::span<const std::string_view> options, std::string_view argument) {
  return std::ranges::any_of(options, [&](std::string_view option) {
    if (!option.ends_with('=')) return argument == option;
    return argument.starts_with(option) && argument.size() <= option.size() + 9 && argument.size() > option.size() &&
           argument.find_first_not_of("0123456789", option.size()) == std::string_view::npos;
  });
}

Knowledge runs(std::string_view why) {
  return {Trust::interpreter, std::string(why)};
}

Knowledge by_grammar(const Grammar& grammar, Arguments arguments) {
  Knowledge known{Trust::harmless, {}};
  std::size_t place = 0;
  for (const std::string& argument : arguments) {
    if (argument.starts_with('-')) {
      if (is_listed(grammar.harmless, argument)) continue;
      if (!is_listed(grammar.frank, argument)) {
        return runs("git can be told by an option to run a program, and this one is not known to be harmless");
      }
      known.trust = Trust::plain;
    } else if (place++ == 0) {
      if (argument.starts_with("https://") && argument.find("::") == std::string::npos) {
        known.trust = Trust::plain;
      } else if (!is_remote_name(argument)) {
        return runs("git runs programs and hooks of a repository that is named by a path or an address");
      }
    } else if (!is_plain_ref(argument)) {
      known.trust = Trust::plain;
    }
  }
  return known;
}

// What is done here alone, besides `repository_commands`. Built in, so that no alias takes the name.
constexpr std::array local_commands{"grep"sv,       "init"sv,        "rebase"sv,    "worktree"sv,     "config"sv,
                                    "help"sv,       "hash-object"sv, "var"sv,       "update-ref"sv,   "update-index"sv,
                                    "write-tree"sv, "commit-tree"sv, "read-tree"sv, "check-ignore"sv, "pack-refs"sv,
                                    "diff-files"sv, "diff-index"sv,  "diff-tree"sv, "show-branch"sv,  "verify-commit"sv,
                                    "verify-tag"sv, "verify-pack"sv};
constexpr std::array bare_remote{"-v"sv, "--verbose"sv};
constexpr std::array ls_remote_options{"-q"sv, "--quiet"sv, "-t"sv, "--tags"sv, "--heads"sv, "--symref"sv};

// "--ex" is "--exec", and "--exec=x" too.
bool is_option(std::string_view argument, std::string_view option) {
  std::string_view name = argument.substr(0, argument.find('='));
  return name.size() > 2 && (option.starts_with(name) || name == option);
}

}  // namespace

Knowledge knowledge_of_git(Arguments arguments) {
  while (!arguments.empty() && std::ranges::find(global_options, arguments.front()) != global_options.end()) {
    arguments = arguments.subspan(1);
  }
  if (arguments.empty()) return {};
  const std::string& command = arguments.front();
  if (command.starts_with('-')) return runs("git runs what its configuration says, and this option changes it");
  arguments = arguments.subspan(1);
  for (const Grammar& grammar : grammars) {
    if (grammar.command == command) return by_grammar(grammar, arguments);
  }
  if (std::ranges::find(repository_commands, command) == repository_commands.end()) {
    return runs("this git command can run programs, or is an alias that does");
  }
  for (const std::string& argument : arguments) {
    auto matches_it = [&](std::string_view option) { return is_option(argument, option); };
    if (argument.find("::") != std::string::npos || std::ranges::any_of(program_options, matches_it)) {
      return runs("git can be told by an argument to run a program");
    }
  }
  return {Trust::runs_files, "git runs hooks, filters and helpers that the repository names"};
}

std::optional<GitTraffic> traffic_of_git(const std::vector<std::string>& argv) {
  using Whom = GitTraffic::Whom;
  Arguments arguments = argv;
  if (!arguments.empty()) arguments = arguments.subspan(1);
  auto contains = [](auto&& list, const std::string& word) { return std::ranges::find(list, word) != list.end(); };
  while (!arguments.empty() && (contains(global_options, arguments.front()) || arguments.front() == "-P")) {
    arguments = arguments.subspan(1);
  }
  if (arguments.empty()) return {};
  const std::string& command = arguments.front();
  arguments = arguments.subspan(1);
  GitTraffic traffic{.way = command == "push" ? GitTraffic::Way::push : GitTraffic::Way::fetch};
  if (contains(repository_commands, command) || contains(local_commands, command)) return {};
  if (command == "remote" && std::ranges::all_of(arguments, [&](auto& word) { return contains(bare_remote, word); })) {
    return {};
  }
  const auto* grammar = std::ranges::find(grammars, command, &Grammar::command);
  const bool is_other = command == "ls-remote" || command == "clone";
  if (grammar == grammars.end() && !is_other) return traffic;
  traffic.whom = Whom::one;
  for (const std::string& argument : arguments) {
    if (!argument.starts_with('-')) {
      if (traffic.remote.empty()) traffic.remote = argument;
      if (argument.empty()) return GitTraffic{.way = traffic.way};
      continue;
    }
    const bool is_known = grammar != grammars.end()
                              ? is_listed(grammar->harmless, argument) || is_listed(grammar->frank, argument)
                              : command == "ls-remote" && contains(ls_remote_options, argument);
    if (!is_known) return GitTraffic{.way = traffic.way};
    if (argument == "--all" && command == "fetch") traffic.whom = Whom::all;
  }
  // It is no name of a remote here, and reads no settings of the repository's.
  if (command == "clone" && !is_plain_git_address(traffic.remote)) traffic.whom = Whom::unsure;
  return traffic;
}

}  // namespace agentbox::policy
