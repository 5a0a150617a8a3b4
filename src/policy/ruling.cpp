// The three lists, in their order. Nothing here depends on the order of rules within a list, but for which of several
// that say the same is named: the first.

#include "agentbox/policy/ruling.hpp"

#include <algorithm>
#include <string>
#include <tuple>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"
#include "agentbox/profile/parse.hpp"

#include "messages.hpp"
#include "spending.hpp"

namespace agentbox::policy {

namespace {

template <class List, class Value>
void take(List& to, const Value& from) {
  to.allow = from.allow;
  to.ask = from.ask;
  to.deny = from.deny;
  if (!from.default_) return;
  to.default_ = from.default_->value;
  to.default_origin = from.default_->origin;
}

Ruling denied(std::string why) {
  return {.decision = Decision::deny, .why = std::move(why)};
}

template <class T>
Ruling by(Decision decision, const profile::Located<T>& item, std::string_view says) {
  return {.decision = decision,
          .rule = item.value.text,
          .origin = item.origin,
          .why = fmt::format("the profile's rule '{}' {}", base::escape(item.value.text), says)};
}

template <class T>
Ruling by_default(const Rules::Lists<T>& lists) {
  switch (lists.default_) {
    case profile::Default::allow:
      return {Decision::allow, {}, lists.default_origin, "no rule names it, and the profile's default is to allow it"};
    case profile::Default::ask:
      return {Decision::ask, {}, lists.default_origin, "no rule names it, and the profile's default is to ask"};
    case profile::Default::deny: break;
  }
  return {Decision::deny, {}, lists.default_origin, "no rule of the profile allows it"};
}

template <class T, class Matches>
Ruling by_lists(const Rules::Lists<T>& lists, Matches matches_action) {
  auto find = [&](const profile::List<T>& list, Reach reach) {
    auto found = std::ranges::find_if(list, [&](const auto& item) { return matches_action(item.value, reach); });
    return found == list.end() ? nullptr : &*found;
  };
  if (const auto* item = find(lists.deny, Reach::wide)) return by(Decision::deny, *item, "denies it");
  if (const auto* item = find(lists.ask, Reach::narrow)) return by(Decision::ask, *item, "asks");
  const auto* allowed = find(lists.allow, Reach::narrow);
  if (allowed == nullptr && lists.default_ != profile::Default::allow) return by_default(lists);
  // Nothing that only evades an ask rule is let through by what would allow it.
  if (const auto* item = find(lists.ask, Reach::wide))
    return by(Decision::ask, *item, "asks for whatever comes near it");
  return allowed != nullptr ? by(Decision::allow, *allowed, "allows it") : by_default(lists);
}

// Is this the one spelling of a host that rules are compared with? The profile's own grammar says so.
bool is_normal(const std::string& host) {
  bool brackets = host.find(':') != std::string::npos;
  base::Result<profile::HostRule> parsed = profile::parse_host_rule(brackets ? "[" + host + "]" : host, {});
  return parsed && parsed->host == host && parsed->kind != profile::HostKind::below &&
         parsed->ports == profile::PortSet::web && host.find('/') == std::string::npos;
}

Ruling rule_on(const Rules& rules, const Connect& connect) {
  if (connect.port == 0) return denied("there is no port 0");
  if (!is_normal(connect.host)) return denied("this is not a host's name or address in its normal spelling");
  return by_lists(rules.network,
                  [&](const profile::HostRule& item, Reach reach) { return matches(item, connect, reach); });
}

// Why the rule that one would expect to match doesn't.
void say_what_comes_near(const Rules& rules, const Command& command, Ruling& ruling) {
  for (const auto* list : {&rules.commands.ask, &rules.commands.allow}) {
    for (const auto& item : *list) {
      if (!matches(item.value, command, Reach::wide)) continue;
      ruling.why += fmt::format("; '{}' comes near, but '*' and '**' match no option, and a name is not a path",
                                base::escape(item.value.text));
      return;
    }
  }
}

Ruling rule_on(const Rules& rules, const Command& command) {
  if (command.argv.empty()) return denied("an empty command names nothing");
  if (!is_program_name(command.argv[0])) {
    return denied("a program is a bare name or an absolute path without '.' or '..'");
  }
  auto has_nul = [](const std::string& element) { return element.find('\0') != std::string::npos; };
  if (std::ranges::any_of(command.argv, has_nul)) return denied("a command cannot hold a NUL");
  Ruling ruling = by_lists(
      rules.commands, [&](const profile::CommandPattern& item, Reach reach) { return matches(item, command, reach); });
  if (ruling.decision != Decision::allow && ruling.rule.empty()) say_what_comes_near(rules, command, ruling);
  return ruling;
}

Ruling rule_on(const Rules& /*rules*/, const Change& /*change*/) {
  return {.decision = Decision::ask, .why = "protected and held files change only with their owner's yes"};
}

Ruling rule_on(const Rules& /*rules*/, const Open& /*open*/) {
  return denied("asking for files is not built yet");
}
Ruling rule_on(const Rules& rules, const Message& message) {
  return rule_on_message(rules.messages, message);
}
Ruling rule_on(const Rules& rules, const Payment& payment) {
  return rule_on_payment(rules.spending, payment);
}
Ruling rule_on(const Rules& /*rules*/, const ToolCall& /*call*/) {
  return denied("calling tools is not built yet");
}

}  // namespace

Rules rules_of(const profile::Profile& profile) {
  Rules rules;
  take(rules.network, profile.network);
  if (profile.network.via) rules.via = profile.network.via->value;
  take(rules.commands, profile.commands);
  rules.messages = messages_of(profile);
  rules.spending = spending_of(profile);
  return rules;
}

std::optional<std::string> upstream_of(const Rules& rules, const Connect& connect) {
  // An exact name before a pattern, one port before several, the longer pattern or network before the shorter.
  const auto width = [](const profile::HostRule& rule) {
    return std::tuple(rule.kind == profile::HostKind::below, rule.ports != profile::PortSet::one,
                      -static_cast<std::ptrdiff_t>(rule.host.size()));
  };
  const profile::HostRule* narrowest = nullptr;
  for (const auto* list : {&rules.network.allow, &rules.network.ask}) {
    for (const auto& item : *list) {
      if (!item.value.via || !matches(item.value, connect, Reach::narrow)) continue;
      if (narrowest == nullptr || width(item.value) < width(*narrowest)) narrowest = &item.value;
    }
  }
  const std::optional<std::string>& via = narrowest != nullptr ? narrowest->via : rules.via;
  const profile::HostRule here{.kind = profile::HostKind::localhost, .ports = profile::PortSet::all};
  return via && !matches(here, connect, Reach::wide) ? via : std::nullopt;
}

profile::Speech speech_of(const Rules& rules, const Connect& connect) {
  for (const auto* list : {&rules.network.allow, &rules.network.ask}) {
    for (const auto& item : *list) {
      if (item.value.speech == profile::Speech::llm && matches(item.value, connect, Reach::narrow)) {
        return profile::Speech::llm;
      }
    }
  }
  return profile::Speech::any;
}

Ruling rule(const Rules& rules, const Action& action) {
  return std::visit([&](const auto& one) { return rule_on(rules, one); }, action);
}

}  // namespace agentbox::policy
