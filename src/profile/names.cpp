// Small texts: names of variables, of system calls, of profiles; who receives a message.

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"
#include "agentbox/base/recipient.hpp"
#include "agentbox/profile/parse.hpp"

#include "values.hpp"

namespace agentbox::profile {

namespace {

bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_word(char c) {
  return is_lower(c) || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_';
}
bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

Parsed<std::string> variable(std::string_view text, std::string_view name) {
  if (name.empty()) return fault("the variable's name is missing");
  if (auto wrong = std::ranges::find_if_not(name, is_word); wrong != name.end()) {
    std::string_view mark = name.substr(static_cast<std::size_t>(wrong - name.begin()), 1);
    return fault_at(text, mark, fmt::format("'{}' is not allowed in a variable's name", base::escape(mark)));
  }
  if (is_digit(name.front())) return fault_at(text, name.substr(0, 1), "a variable's name does not begin with a digit");
  return std::string(text);
}

}  // namespace

bool is_profile_name(std::string_view name) {
  auto is_valid = [](char c) { return is_lower(c) || is_digit(c) || c == '_' || c == '-'; };
  return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, is_valid);
}

Parsed<std::string> description(std::string_view text) {
  if (text.empty()) return fault("an empty description says nothing");
  if (std::ranges::any_of(text, is_control)) return fault("a description is one line");
  if (text.size() > 200) return fault("a description is at most 200 bytes long");
  return std::string(text);
}

Parsed<std::string> environment_name(std::string_view text) {
  return variable(text, text);
}

Parsed<std::string> environment_pattern(std::string_view text) {
  if (text == "*") return fault("this would pass the whole environment, with every secret in it", "name the variables");
  std::string_view name = text;
  if (name.ends_with('*')) name.remove_suffix(1);
  if (std::size_t star = name.find('*'); star != std::string_view::npos) {
    return fault_at(text, text.substr(star, 1), "a '*' is allowed only at the end: 'LC_*'");
  }
  return variable(text, name);
}

Parsed<std::string> value(std::string_view text) {
  static const std::vector<std::string_view> names{
      "HOME", "USER", "SHELL", "workspace", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"};
  if (text.find('\0') != std::string_view::npos) return fault("a value cannot hold a NUL");
  for (std::size_t at = text.find("${"); at != std::string_view::npos; at = text.find("${", at + 2)) {
    if (at > 0 && text[at - 1] == '$') continue;
    std::size_t end = text.find('}', at);
    if (end == std::string_view::npos)
      return fault_at(text, text.substr(at), "this variable has no closing '}'", "write '$${' for a literal '${'");
    std::string_view name = text.substr(at + 2, end - at - 2);
    if (std::ranges::find(names, name) != names.end()) continue;
    std::string_view near = base::nearest(name, names);
    return fault_at(text, text.substr(at, end + 1 - at), fmt::format("unknown variable '{}'", base::escape(name)),
                    near.empty() ? "write '$${' for a literal '${'" : fmt::format("did you mean '{}'?", near));
  }
  return std::string(text);
}

Parsed<RecipientRule> recipient(std::string_view text) {
  auto rule = base::parse_recipient_rule(text);
  if (!rule) return fault(rule.error());
  return RecipientRule{*std::move(rule)};
}

Parsed<std::string> system_call(std::string_view text) {
  auto is_valid = [](char c) { return is_lower(c) || is_digit(c) || c == '_'; };
  if (text.empty() || text.size() > 64 || !std::ranges::all_of(text, is_valid)) {
    return fault("a system call is named as in the manual, such as 'ptrace'");
  }
  return std::string(text);
}

}  // namespace agentbox::profile
