// What `agentbox explain --seccomp` prints.

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "agentbox/plan/seccomp.hpp"

namespace agentbox::plan {
namespace {

// "ioctl (TIOCSTI)"
std::string what(const SeccompRule& rule) {
  std::string text(rule.syscall);
  for (const SeccompArgument& argument : rule.arguments) {
    text += &argument == &rule.arguments.front() ? " (" : ", ";
    text += argument.text;
  }
  return rule.arguments.empty() ? text : text + ")";
}

std::string_view error_name(int error) {
  const char* name = ::strerrorname_np(error);
  return name == nullptr ? "error" : name;
}

struct Row {
  std::string what, answer;
  std::string_view reason;
};

constexpr std::size_t widest = 46;  // of the first column

// Neighbours that say the same of several calls share a line where there is room: "keyctl, add_key".
std::vector<Row> rows_of(const SeccompProgram& program, std::string_view group) {
  std::vector<Row> rows;
  for (const SeccompRule& rule : program.rules) {
    if (rule.group != group) continue;
    Row row{what(rule), std::string(error_name(rule.error)), rule.reason};
    const bool joins = !rows.empty() && rule.arguments.empty() && rows.back().answer == row.answer &&
                       rows.back().reason == row.reason && rows.back().what.size() + 2 + row.what.size() <= widest;
    if (joins)
      rows.back().what += ", " + row.what;
    else
      rows.push_back(std::move(row));
  }
  return rows;
}

struct Section {
  std::string heading;
  std::vector<Row> rows;
};

std::vector<Section> sections_of(const SeccompProgram& program) {
  std::vector<Section> sections;
  for (const SeccompGroup& group : seccomp_groups()) {
    Section section{fmt::format("{}: {}", group.name, group.what), rows_of(program, group.name)};
    if (section.rows.empty())
      section.heading += " (allowed by the profile)";
    else if (group.lift == SeccompGroup::Lift::by_profile)
      section.heading += fmt::format(" ([seccomp] allow = [\"{}\"] lifts it)", group.name);
    sections.push_back(std::move(section));
  }
  Section own{"profile: what [seccomp] deny adds", rows_of(program, "profile")};
  if (!own.rows.empty()) sections.push_back(std::move(own));
  return sections;
}

}  // namespace

std::string describe(const SeccompProgram& program) {
  const std::vector<Section> sections = sections_of(program);
  std::size_t calls = 0, answer = 0;
  for (const Section& section : sections) {
    for (const Row& row : section.rows) {
      calls = std::max(calls, row.what.size());
      answer = std::max(answer, row.answer.size());
    }
  }
  std::string text =
      "The system calls that the room doesn't get, the answer, and why. Every other call up to Linux 6.18 is "
      "allowed;\n"
      "a younger one is answered as by a kernel that doesn't have it (ENOSYS). A call of another ABI (i386, "
      "x32) ends\n"
      "the process.\n";
  for (const Section& section : sections) {
    text += fmt::format("\n{}\n", section.heading);
    for (const Row& row : section.rows)
      text += fmt::format("  {:<{}}  {:<{}}  {}\n", row.what, calls, row.answer, answer, row.reason);
  }
  return text;
}

}  // namespace agentbox::plan
