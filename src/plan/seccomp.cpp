#include "agentbox/plan/seccomp.hpp"

#include <algorithm>
#include <cerrno>
#include <stdexcept>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"

namespace agentbox::plan {
namespace {

const SeccompGroup* find_group(std::string_view name) {
  const auto groups = seccomp_groups();
  const auto found = std::ranges::find(groups, name, &SeccompGroup::name);
  return found == groups.end() ? nullptr : &*found;
}

// The kernel's own spelling, from a table that lives as long as the program; nothing for an unknown name.
std::optional<std::string_view> find_call(std::string_view name) {
  const auto calls = system_calls();
  const auto found = std::ranges::lower_bound(calls, name);
  if (found == calls.end() || *found != name) return std::nullopt;
  return *found;
}

base::Diagnostic error(std::string message, std::string hint) {
  base::Diagnostic diagnostic;
  diagnostic.message = std::move(message);
  diagnostic.hint = std::move(hint);
  return diagnostic;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string_view>& candidates) {
  const std::string_view meant = base::nearest(word, candidates);
  return meant.empty() ? std::string() : fmt::format("did you mean \"{}\"?", meant);
}

// Groups that deny this call, as a list that a profile could hold; empty when none that can be lifted does.
std::string lifting_groups(std::string_view call) {
  std::vector<std::string_view> names;
  for (const SeccompRule& rule : base_filter()) {
    if (rule.syscall != call || find_group(rule.group)->lift == SeccompGroup::Lift::never) continue;
    if (std::ranges::find(names, rule.group) == names.end()) names.push_back(rule.group);
  }
  return names.empty() ? std::string() : fmt::format("\"{}\"", fmt::join(names, "\", \""));
}

bool contains(const std::vector<std::string>& list, std::string_view name) {
  return std::ranges::find(list, name) != list.end();
}

}  // namespace

std::vector<std::string_view> liftable_groups() {
  std::vector<std::string_view> names;
  for (const SeccompGroup& group : seccomp_groups())
    if (group.lift == SeccompGroup::Lift::by_profile) names.push_back(group.name);
  return names;
}

std::optional<base::Diagnostic> check_seccomp_allow(std::string_view group) {
  const std::vector<std::string_view> liftable = liftable_groups();
  if (std::ranges::find(liftable, group) != liftable.end()) return std::nullopt;
  const std::string all = fmt::format("what can be lifted: {}", fmt::join(liftable, ", "));
  if (find_group(group) != nullptr) return error(fmt::format("the seccomp group \"{}\" can't be lifted", group), all);
  if (find_call(group)) {
    const std::string lifting = lifting_groups(group);
    return error(fmt::format("\"{}\" is a system call; [seccomp] allow takes groups", group),
                 lifting.empty() ? all : fmt::format("allow = [{}] lifts it", lifting));
  }
  const std::string meant = did_you_mean(group, liftable);
  return error(fmt::format("no seccomp group is named \"{}\"", base::escape(group)), meant.empty() ? all : meant);
}

std::optional<base::Diagnostic> check_seccomp_deny(std::string_view system_call) {
  if (find_call(system_call)) return std::nullopt;
  if (find_group(system_call) != nullptr)
    return error(fmt::format("\"{}\" is a group; [seccomp] deny takes system calls", system_call),
                 "every group is denied already unless [seccomp] allow lifts it");
  const auto calls = system_calls();
  std::string hint = did_you_mean(system_call, {calls.begin(), calls.end()});
  if (hint.empty()) hint = "the names are those of syscalls(2), for example \"socketpair\"";
  return error(fmt::format("no system call is named \"{}\"", base::escape(system_call)), std::move(hint));
}

SeccompProgram seccomp_program(const std::vector<std::string>& allow, const std::vector<std::string>& deny) {
  for (const std::string& group : allow)
    if (check_seccomp_allow(group)) throw std::invalid_argument("seccomp: not a group that can be lifted: " + group);

  SeccompProgram program;
  for (const SeccompRule& rule : base_filter()) {
    // A call that is denied as a whole needs none of its finer rules.
    if (!contains(allow, rule.group) && !contains(deny, rule.syscall)) program.rules.push_back(rule);
  }
  std::vector<std::string_view> denied;
  for (const std::string& name : deny) {
    const std::optional<std::string_view> call = find_call(name);
    if (!call) throw std::invalid_argument("seccomp: not a system call: " + name);
    if (std::ranges::find(denied, *call) == denied.end()) denied.push_back(*call);
  }
  for (const std::string_view call : denied)
    program.rules.push_back({call, {}, EPERM, "profile", "the profile says so"});
  return program;
}

}  // namespace agentbox::plan
