#pragma once

// The option parser's own tables as plain values, so that --help, agentbox(1) and the completions cannot
// differ from what is really parsed.

#include <string>
#include <string_view>
#include <vector>

namespace agentbox::cli {

struct OptionDoc {
  std::vector<std::string> names;  // "-h", "--help"
  std::string value;               // "DIR"; "terminal|queue|deny" for a choice; empty for a flag
  std::string text;
  bool repeats = false;
};

struct ArgumentDoc {
  std::string name;  // "PROFILE"; "list|show" for a choice
  std::string text;
  bool required = false, repeats = false;
};

struct CommandDoc {
  std::string name, group, summary;
  std::string details;  // paragraphs, may be empty
  std::vector<ArgumentDoc> arguments;
  std::vector<OptionDoc> options;
  bool takes_command = false;  // "-- COMMAND..." at the end
};

struct ProgramDoc {
  std::string version;
  std::vector<OptionDoc> options;
  std::vector<CommandDoc> commands;  // in the order of the help, without hidden ones
};

// "terminal|queue|deny" → its words; empty for anything that is no choice.
[[nodiscard]] std::vector<std::string_view> choices(std::string_view value);

// What `agentbox --help` and `agentbox COMMAND --help` print.
[[nodiscard]] std::string help(const ProgramDoc& program);
[[nodiscard]] std::string help(const CommandDoc& command);
// "agentbox run [OPTIONS] PROFILE [-- COMMAND...]"
[[nodiscard]] std::string usage(const CommandDoc& command);

// agentbox(1), in mdoc(7).
[[nodiscard]] std::string man_page(const ProgramDoc& program);

[[nodiscard]] std::string bash_completion(const ProgramDoc& program);
[[nodiscard]] std::string zsh_completion(const ProgramDoc& program);
[[nodiscard]] std::string fish_completion(const ProgramDoc& program);

}  // namespace agentbox::cli
