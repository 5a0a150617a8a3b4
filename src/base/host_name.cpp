#include "agentbox/base/host_name.hpp"

#include <algorithm>

namespace agentbox::base {

namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return c >= 'a' && c <= 'z';
}

bool looks_like_address(std::string_view name) {
  std::string_view last = name.substr(name.rfind('.') + 1);
  if (std::ranges::all_of(last, is_digit)) return true;
  return last.starts_with("0x") &&
         std::ranges::all_of(last.substr(2), [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); });
}

std::optional<NameProblem> problem_of_label(std::string_view label, std::size_t offset) {
  if (label.empty()) return NameProblem{NameFault::empty_label, offset, 0};
  if (label.size() > 63) return NameProblem{NameFault::long_label, offset, label.size()};
  auto is_wrong = [](char c) { return !is_letter(c) && !is_digit(c) && c != '-'; };
  if (auto wrong = std::ranges::find_if(label, is_wrong); wrong != label.end()) {
    return NameProblem{NameFault::byte, offset + static_cast<std::size_t>(wrong - label.begin()), 1};
  }
  if (label.front() == '-' || label.back() == '-') return NameProblem{NameFault::hyphen, offset, label.size()};
  return std::nullopt;
}

}  // namespace

std::optional<NameProblem> problem_of_name(std::string_view name) {
  if (name.size() > 253) return NameProblem{NameFault::too_long, 0, name.size()};
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('.', begin), name.size());
    if (auto problem = problem_of_label(name.substr(begin, end - begin), begin)) return problem;
    begin = end + 1;
  }
  if (looks_like_address(name)) return NameProblem{NameFault::odd_address, 0, name.size()};
  if (name.ends_with(".localhost")) return NameProblem{NameFault::below_localhost, 0, name.size()};
  return std::nullopt;
}

}  // namespace agentbox::base
