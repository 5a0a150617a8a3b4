// What a profile may say and this version can't do yet. Never ignored: a room that silently lacks a part of
// what its profile says would be trusted for what it isn't. A list shrinks here when its gate is built.

#include <algorithm>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"
#include "agentbox/policy/policy.hpp"

#include "expand.hpp"

namespace agentbox::policy {

namespace {

using profile::Origin;

class Refusals {
 public:
  void add(const Origin& origin, std::string what, std::string hint = {}) {
    errors_.push_back(error_at(origin, std::move(what) + " is not built yet", std::move(hint)));
  }
  template <class T>
  void list(const profile::List<T>& items, std::string_view what, std::string_view hint = {}) {
    for (const auto& item : items) add(item.origin, std::string(what), std::string(hint));
  }
  template <class T>
  void scalar(const std::optional<profile::Located<T>>& value, std::string_view what, std::string_view hint = {}) {
    if (value) add(value->origin, std::string(what), std::string(hint));
  }
  base::Diagnostics take() { return std::move(errors_); }

 private:
  base::Diagnostics errors_;
};

constexpr std::string_view asking = "until then, grant it or leave it out";

bool names_every_port_of_this_machine(const profile::HostRule& rule) {
  return rule.kind == profile::HostKind::localhost && rule.ports == profile::PortSet::all;
}

void refuse_network(const profile::Profile& profile, Refusals& refusals) {
  for (const auto& rule : profile.network.allow) {
    std::string text = base::escape(rule.value.text);
    if (names_every_port_of_this_machine(rule.value)) {
      refusals.add(rule.origin, fmt::format("a grant of every port of this machine ('{}')", text), "name the ports");
    }
  }
  for (const auto& rule : profile.network.ask) {
    if (!names_every_port_of_this_machine(rule.value)) continue;
    refusals.add(rule.origin,
                 fmt::format("asking for every port of this machine ('{}')", base::escape(rule.value.text)),
                 "name the ports");
  }
}

}  // namespace

base::Diagnostics unbuilt(const profile::Profile& given, const Flags& flags) {
  const std::shared_ptr<const profile::Profile> merged = with_flags(given, flags);
  const profile::Profile& profile = *merged;
  Refusals refusals;
  if (profile.workspace.mode && profile.workspace.mode->value == profile::WorkspaceMode::review) {
    refusals.scalar(profile.workspace.mode, "[workspace] mode = \"review\"", "\"direct\" and \"read-only\" work");
  }
  refusals.list(profile.files_section.ask, "[files] ask", asking);
  refusals.scalar(profile.files_section.deletes, "[files] deletes");
  refuse_network(profile, refusals);
  return refusals.take();
}

}  // namespace agentbox::policy
