#pragma once

// What agentbox knows of programs: one table of what they do with their arguments, and grammars of the harmless ones.

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agentbox/policy/ruling.hpp"

namespace agentbox::policy {

struct KnownProgram {
  std::string_view name;
  Trust trust = Trust::plain;
  std::string_view why;
  // Arguments that make it an interpreter: these words, and those that begin with one that ends in '='.
  std::span<const std::string_view> commands;
};

// programs.cpp. Nothing for a program that isn't in the table. `name` is a file name; "python3.11" finds "python".
[[nodiscard]] const KnownProgram* known_program(std::string_view name);
// Does argv[0] run a program that its arguments name?
[[nodiscard]] bool runs_others(const Command& command);

// git_arguments.cpp
[[nodiscard]] Knowledge knowledge_of_git(std::span<const std::string> arguments);

// grammars.cpp. Nothing when no grammar is shipped for the program; else harmless, or why it isn't.
[[nodiscard]] std::optional<Knowledge> knowledge_by_grammar(std::string_view name,
                                                            std::span<const std::string> arguments);
// A wider command that the same grammar covers, as the text of a rule; nothing where none is sensible.
[[nodiscard]] std::optional<std::string> wider_pattern(const std::vector<std::string>& argv);

}  // namespace agentbox::policy
