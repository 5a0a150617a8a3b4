#pragma once

// What agentbox says about a command line that it does not understand. `command` is the subcommand's name, empty
// before there is one.

#include <string>
#include <string_view>
#include <vector>

#include "agentbox/base/diagnostic.hpp"

namespace agentbox::cli {

[[nodiscard]] base::Diagnostic complain(std::string message, std::string hint);
// "see `agentbox run --help`"
[[nodiscard]] std::string see(std::string_view command);

[[nodiscard]] base::Diagnostic unknown_option(std::string_view word, const std::vector<std::string>& options,
                                              std::string_view command);
[[nodiscard]] base::Diagnostic unknown_command(std::string_view word, const std::vector<std::string>& commands);
[[nodiscard]] base::Diagnostic missing(std::string_view argument, std::string_view command);
[[nodiscard]] base::Diagnostic exclusive(std::string_view one, std::string_view other, std::string_view command);
// "option '--read' needs a value"
[[nodiscard]] base::Diagnostic bad_option(std::string_view option, std::string_view problem, std::string_view command);
// The room's command stands before `--`, where only options belong.
[[nodiscard]] base::Diagnostic misplaced_command(std::string_view command, const std::string& profile,
                                                 const std::string& word);

// Complains if `word` is neither empty nor one of `value`'s choices ("terminal|queue|deny").
void require_choice(base::Diagnostics& errors, std::string_view what, const std::string& word, std::string_view value,
                    std::string_view command);

}  // namespace agentbox::cli
