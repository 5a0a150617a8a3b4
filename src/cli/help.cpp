#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "docs.hpp"

namespace agentbox::cli {

namespace {

constexpr std::size_t width = 80;

// Words of `text`, broken at `width`, each line after the first indented by `indent`; `column` is where it
// begins.
std::string wrapped(std::string_view text, std::size_t indent, std::size_t column) {
  std::string out;
  bool at_start = true;
  while (!text.empty()) {
    if (text.front() == '\n') {
      out += '\n';
      text.remove_prefix(1);
      column = 0;
      at_start = true;
      continue;
    }
    std::size_t end = std::min(text.find_first_of(" \n"), text.size());
    std::string_view word = text.substr(0, end);
    if (!at_start && column + 1 + word.size() > width) {
      out += '\n' + std::string(indent, ' ');
      column = indent;
      at_start = true;
    }
    if (!at_start) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
    at_start = false;
    text.remove_prefix(end);
    if (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  }
  return out;
}

// What stands for a choice, whose words the text names: "--kind KIND".
std::string placeholder(std::string_view name) {
  name.remove_prefix(std::min(name.find_first_not_of('-'), name.size()));
  if (name.find('-') != std::string_view::npos) return "WHERE";
  std::string word(name);
  for (char& c : word) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  return word;
}

struct Row {
  std::string left;
  std::string_view right;
};

std::string table(const std::vector<Row>& rows) {
  std::size_t left = 0;
  for (const Row& row : rows) left = std::max(left, row.left.size());
  std::string out;
  for (const Row& row : rows) {
    std::size_t column = 2 + left + 3;
    fmt::format_to(std::back_inserter(out), "  {:{}}   {}\n", row.left, left, wrapped(row.right, column, column));
  }
  return out;
}

std::vector<Row> rows_of(const std::vector<OptionDoc>& options) {
  std::vector<Row> rows;
  for (const OptionDoc& option : options) {
    // Long names stay under one another, with or without a short one before them.
    std::string names = option.names.front().starts_with("--") ? "    " : "";
    for (const std::string& name : option.names) {
      if (&name != &option.names.front()) names += ", ";
      names += name;
    }
    bool many = choices(option.value).size() > 1;
    if (many) {
      names += " " + placeholder(option.names.back());
    } else if (!option.value.empty()) {
      names += " " + option.value;
    }
    rows.push_back({std::move(names), option.text});
  }
  return rows;
}

// Few choices are shown where they stand, many below.
bool has_many_choices(const ArgumentDoc& argument) {
  return choices(argument.name).size() > 4;
}
std::string shown_name(const ArgumentDoc& argument) {
  return has_many_choices(argument) ? "ACTION" : argument.name;
}

}  // namespace

std::vector<std::string_view> choices(std::string_view value) {
  std::vector<std::string_view> words;
  if (value.find('|') == std::string_view::npos) return words;
  while (true) {
    std::size_t bar = value.find('|');
    words.push_back(value.substr(0, bar));
    if (bar == std::string_view::npos) return words;
    value.remove_prefix(bar + 1);
  }
}

std::string usage(const CommandDoc& command) {
  std::string line = "agentbox " + command.name;
  if (!command.options.empty()) line += " [OPTIONS]";
  for (const ArgumentDoc& argument : command.arguments) {
    if (argument.name == "COMMAND" && command.takes_command) continue;
    std::string name = shown_name(argument) + (argument.repeats ? "..." : "");
    line += argument.required ? " " + name : " [" + name + "]";
  }
  if (command.takes_command) line += " [-- COMMAND...]";
  return line;
}

std::string help(const CommandDoc& command) {
  std::string out = wrapped(command.summary + ".", 0, 0) + "\n\nUsage: " + usage(command) + "\n";
  if (!command.arguments.empty()) {
    std::vector<Row> rows;
    std::vector<std::string> texts(command.arguments.size());
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const ArgumentDoc& argument = command.arguments[i];
      texts[i] = argument.text;
      if (has_many_choices(argument)) texts[i] += fmt::format(": {}", fmt::join(choices(argument.name), ", "));
      rows.push_back({shown_name(argument), texts[i]});
    }
    out += "\nArguments\n" + table(rows);
  }
  out += "\nOptions\n" + table(rows_of(command.options));
  if (!command.details.empty()) out += "\n" + wrapped(command.details, 0, 0) + "\n";
  return out;
}

std::string help(const ProgramDoc& program) {
  std::string out =
      "agentbox lets an AI agent live in a room that holds only what you granted it.\n\n"
      "Usage: agentbox COMMAND [OPTIONS]\n";
  std::string_view group;
  std::size_t left = 0;
  for (const CommandDoc& command : program.commands) left = std::max(left, command.name.size());
  for (const CommandDoc& command : program.commands) {
    if (command.group != group) fmt::format_to(std::back_inserter(out), "\n{}\n", command.group);
    group = command.group;
    fmt::format_to(std::back_inserter(out), "  {:{}}   {}\n", command.name, left, command.summary);
  }
  out += "\nOptions\n" + table(rows_of(program.options));
  out +=
      "\nTo begin with: `agentbox demo`, then `agentbox run shell` in a project of yours.\n"
      "`agentbox COMMAND --help` tells more, agentbox(1) everything.\n";
  return out;
}

}  // namespace agentbox::cli
