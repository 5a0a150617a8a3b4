#include "complaints.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"

#include "docs.hpp"

namespace agentbox::cli {

namespace {

std::string suggest(std::string_view word, const std::vector<std::string_view>& candidates, std::string otherwise) {
  std::string_view meant = base::nearest(word, candidates);
  return meant.empty() ? std::move(otherwise) : fmt::format("did you mean '{}'?", meant);
}

}  // namespace

base::Diagnostic complain(std::string message, std::string hint) {
  return {.message = std::move(message), .hint = std::move(hint)};
}

std::string see(std::string_view command) {
  return command.empty() ? "see `agentbox --help`" : fmt::format("see `agentbox {} --help`", command);
}

base::Diagnostic unknown_option(std::string_view word, const std::vector<std::string>& options,
                                std::string_view command) {
  std::string_view name = word.substr(0, word.find('='));
  return complain(fmt::format("unknown option '{}'", base::escape(name)),
                  suggest(name, {options.begin(), options.end()}, see(command)));
}

base::Diagnostic unknown_command(std::string_view word, const std::vector<std::string>& commands) {
  constexpr std::array<std::string_view, 4> of_the_room{"pay", "propose", "send", "status"};
  if (std::ranges::find(of_the_room, word) != of_the_room.end()) {
    const bool can_be_tried = word == "pay" || word == "send";
    return complain(fmt::format("'{}' is for a program in a room", word),
                    can_be_tried ? fmt::format("what a profile allows: agentbox try PROFILE {} ...", word)
                                 : "what a profile allows: agentbox explain PROFILE; what runs: agentbox ps");
  }
  return complain(fmt::format("unknown command '{}'", base::escape(word)),
                  suggest(word, {commands.begin(), commands.end()}, see("")));
}

base::Diagnostic missing(std::string_view argument, std::string_view command) {
  return complain(fmt::format("missing {}", argument),
                  argument == "PROFILE" ? "`agentbox profiles` lists them" : see(command));
}

base::Diagnostic exclusive(std::string_view one, std::string_view other, std::string_view command) {
  return complain(fmt::format("{} and {} can't be used together", one, other), see(command));
}

base::Diagnostic bad_option(std::string_view option, std::string_view problem, std::string_view command) {
  return complain(fmt::format("option '{}' {}", option, problem), see(command));
}

base::Diagnostic misplaced_command(std::string_view command, const std::string& profile, const std::string& word) {
  return complain(fmt::format("unexpected argument '{}'", base::escape(word)),
                  fmt::format("put the command after '--': agentbox {}{} -- {} ...", command,
                              profile.empty() ? "" : " " + base::quote(profile), base::quote(word)));
}

void require_choice(base::Diagnostics& errors, std::string_view what, const std::string& word, std::string_view value,
                    std::string_view command) {
  std::vector<std::string_view> words = choices(value);
  if (word.empty() || std::ranges::find(words, word) != words.end()) return;
  errors.push_back(complain(fmt::format("{} is one of {}, not '{}'", what, fmt::join(words, ", "), base::escape(word)),
                            suggest(word, words, see(command))));
}

}  // namespace agentbox::cli
