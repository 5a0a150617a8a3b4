// Loopback grants, published ports, and the limits.

#include <algorithm>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"
#include "agentbox/profile/host_rules.hpp"

#include "draft.hpp"

namespace agentbox::policy {

namespace {

using profile::HostKind;
using profile::HostRule;
using profile::PortSet;

void add_loopback(Draft& draft, std::uint16_t port, const profile::Located<HostRule>& rule) {
  auto denies = [&](const profile::Located<HostRule>& other) {
    return profile::names_this_machine(other.value) && profile::covers_port(other.value, port);
  };
  for (const auto* list : {&draft.profile.network.deny, &draft.profile.network.ask}) {
    auto found = std::ranges::find_if(*list, denies);
    if (found == list->end()) continue;
    draft.note(Note::Kind::shadowed,
               fmt::format("localhost:{} stays closed: '{}' {}", port, base::escape(found->value.text),
                           list == &draft.profile.network.deny ? "is denied" : "asks"),
               rule.origin);
    return;
  }
  auto& all = draft.policy.loopback;
  auto same = std::ranges::find(all, port, &Loopback::port);
  if (same == all.end()) {
    all.push_back({.port = port, .speech = rule.value.speech, .origin = rule.origin});
  } else if (rule.value.speech == profile::Speech::llm) {
    same->speech = profile::Speech::llm;  // of two grants of one port the narrower counts
  }
}

// A denied one stays closed.
void add_asking_loopback(Draft& draft, std::uint16_t port, const profile::Located<HostRule>& rule) {
  auto denies = [&](const profile::Located<HostRule>& other) {
    return profile::names_this_machine(other.value) && profile::covers_port(other.value, port);
  };
  auto& all = draft.policy.loopback;
  if (std::ranges::any_of(draft.profile.network.deny, denies)) return;
  if (std::ranges::find(all, port, &Loopback::port) != all.end()) return;
  all.push_back({.port = port, .asks = Loopback::Asks::yes, .speech = rule.value.speech, .origin = rule.origin});
}

std::vector<std::uint16_t> ports_of(const HostRule& rule) {
  if (rule.ports == PortSet::one) return {rule.port};
  return {80, 443};
}

// Is anything but plain ports of the loopback granted, or asked for?
Outside outside_of(const profile::Profile& profile) {
  const auto& network = profile.network;
  const bool ruled =
      (network.default_ && network.default_->value != profile::Default::deny) || !network.ask.empty() ||
      std::ranges::any_of(network.allow, [](const auto& rule) { return rule.value.kind != HostKind::localhost; });
  return ruled ? Outside::ruled : Outside::closed;
}

template <class T>
void take(const std::optional<profile::Located<T>>& from, T& to) {
  if (from) to = from->value;
}

// What needs a cgroup is demanded by the profile: without one there is no such limit, so there is no room.
void require_controller(Draft& draft, std::string_view key, std::string_view controller,
                        const profile::Origin& origin) {
  const auto& cgroup = draft.facts.cgroup;
  bool has = cgroup && (cgroup->through_systemd ||
                        std::ranges::find(cgroup->controllers, controller) != cgroup->controllers.end());
  if (has) return;
  draft.error(
      origin,
      fmt::format("[limits] {} needs a cgroup with the '{}' controller, and none is delegated to you", key, controller),
      "`agentbox doctor` tells how to get one; without the line there is no such limit");
}

// A server that sends messages obeys whoever reaches it.
void keep_from_senders(Draft& draft) {
  for (const profile::MessageBackend& backend : draft.profile.messages.backends) {
    if (!backend.post) continue;
    for (const auto* list : {&draft.profile.network.allow, &draft.profile.network.ask}) {
      for (const auto& rule : *list) {
        if (!profile::names_this_machine(rule.value) || !profile::covers_port(rule.value, backend.post->value.port))
          continue;
        draft.error(rule.origin,
                    fmt::format("'{}' would let the agent reach the server of [messages.{}] itself, past every rule "
                                "about messages",
                                base::escape(rule.value.text), backend.name),
                    "take one of the two out");
      }
    }
  }
}

}  // namespace

void decide_network(Draft& draft) {
  keep_from_senders(draft);
  for (const auto* list : {&draft.profile.network.allow, &draft.profile.network.ask}) {
    for (const auto& rule : *list) {
      if (!rule.value.via || !profile::names_this_machine(rule.value)) continue;
      draft.error(rule.origin,
                  fmt::format("'{}' is this machine, which no upstream leads to", base::escape(rule.value.text)),
                  "leave out `via`");
    }
  }
  for (const auto& rule : draft.profile.network.allow) {
    if (rule.value.kind != HostKind::localhost || rule.value.ports == PortSet::all) continue;  // see `unbuilt`
    for (std::uint16_t port : ports_of(rule.value)) add_loopback(draft, port, rule);
  }
  for (const auto& rule : draft.profile.network.ask) {
    if (rule.value.kind != HostKind::localhost || rule.value.ports == PortSet::all) continue;
    for (std::uint16_t port : ports_of(rule.value)) add_asking_loopback(draft, port, rule);
  }
  draft.policy.outside = outside_of(draft.profile);
  const auto& proxy = draft.profile.network.proxy;
  if (draft.policy.outside == Outside::ruled && proxy && proxy->value) draft.policy.proxy = Proxy::offered;
  std::ranges::sort(draft.policy.loopback, {}, &Loopback::port);
  for (const auto& publication : draft.profile.network.publish) {
    auto& all = draft.policy.publish;
    auto same = std::ranges::find(all, publication.value.outside, &profile::Publication::outside);
    if (same == all.end()) {
      all.push_back(publication.value);
    } else if (same->inside != publication.value.inside) {
      draft.error(publication.origin,
                  fmt::format("the host's port {} is published for two ports of the room", publication.value.outside));
    }
    if (std::ranges::find(draft.policy.loopback, publication.value.inside, &Loopback::port) !=
        draft.policy.loopback.end()) {
      draft.error(publication.origin,
                  fmt::format("port {} of the room can't be published: the host's own localhost:{} is granted there",
                              publication.value.inside, publication.value.inside),
                  "publish another port of the room, as in \"3000:3001\"");
    }
  }
}

void decide_limits(Draft& draft) {
  const auto& from = draft.profile.limits;
  Limits& to = draft.policy.limits;
  take(from.processes, to.processes);
  take(from.open_files, to.open_files);
  take(from.file_size, to.file_size);
  take(from.cpu_time, to.cpu_time);
  take(from.time, to.time);
  take(from.memory, to.memory);
  take(from.cpu, to.cpu);
  take(from.home, to.home);
  take(from.tmp, to.tmp);
  take(from.shm, to.shm);
  if (from.memory) require_controller(draft, "memory", "memory", from.memory->origin);
  if (from.cpu) require_controller(draft, "cpu", "cpu", from.cpu->origin);
}

}  // namespace agentbox::policy
