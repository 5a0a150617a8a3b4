#pragma once

// Rules × Action → Ruling. One function for every gate: deny beats ask, ask beats allow, allow beats the default.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agentbox/policy/action.hpp"
#include "agentbox/policy/policy.hpp"
#include "agentbox/profile/profile.hpp"

namespace agentbox::policy {

// What the profile says about actions: its three-list sections, merged, in one value.
struct Rules {
  template <class T>
  struct Lists {
    profile::List<T> allow, ask, deny;
    profile::Default default_ = profile::Default::deny;
    std::optional<profile::Origin> default_origin;  // nothing: agentbox's own default
  };
  Lists<profile::HostRule> network;
  Lists<profile::CommandPattern> commands;
  // [messages] and [spending] follow with their gates; until then both are denied.
};
[[nodiscard]] Rules rules_of(const profile::Profile& profile);

enum class Decision { allow, ask, deny };

struct Ruling {
  Decision decision = Decision::deny;
  std::string rule;                        // canonical text of the rule that says so; empty: the default
  std::optional<profile::Origin> origin;   // where it stands
  std::string why;                         // one sentence for people and agents, lower case, no full stop
};

// Never throws for anything in the action. `change`: asks. `open`, `message`, `payment`, `tool`: denied with "not built
// yet" until their gates come.
[[nodiscard]] Ruling rule(const Rules& rules, const Action& action);

// One rule against one action, by element, label and component; never by joined text. False for another kind.
[[nodiscard]] bool matches(const profile::CommandPattern& pattern, const std::vector<std::string>& argv);
[[nodiscard]] bool matches(const profile::HostRule& rule, const Connect& connect);

// ---- what may be remembered ------------------------------------------------------------------------------------

// What a program does with its arguments, as far as agentbox knows: it decides what may be remembered.
enum class Trust {
  harmless,     // a shipped grammar knows every argument (`git push origin main`, `notify-send text`)
  plain,        // nothing is known of it: once and this session, never always
  runs_files,   // runs what it finds in the working directory (make, npm, cargo): the question says so; never always
  interpreter,  // runs what its arguments say (sh, env, xargs, python, find, ssh, tar with a command): only once
};
struct Knowledge {
  Trust trust = Trust::plain;
  std::string why;  // for the question: "runs files that the agent can write"; empty when plain or harmless
};
// Looks at the program's file name (also as `python3.11`, `busybox`) and all arguments.
[[nodiscard]] Knowledge knowledge_of(const Command& command);

// What an answer can be remembered for. Shown in full before it is stored.
struct Scope {
  enum class Breadth { exact, pattern } breadth = Breadth::exact;
  // exact: canonical(action) without what pins one file (a program's inode and hash); pattern: the text of a rule of
  // this kind, as a profile would have it. With `origin`less rules matched by `matches`.
  std::string rule;
  std::string shown;  // for people, escaped: "git push origin main", "git push origin *", "*.example.org:443"
  friend bool operator==(const Scope&, const Scope&) = default;
};
// In which scopes may a yes be remembered for the session, and for always? The narrowest first; an empty list: not at
// all. For `connect`: host and port, host (web ports), and below its registrable domain only where a caller adds it.
[[nodiscard]] std::vector<Scope> session_scopes(const Action& action);
[[nodiscard]] std::vector<Scope> lasting_scopes(const Action& action);
// Does a remembered scope cover this action? A pattern that doesn't parse covers nothing.
[[nodiscard]] bool covers(const Scope& scope, const Action& action);

}  // namespace agentbox::policy
