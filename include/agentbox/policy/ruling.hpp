#pragma once

// Rules × Action → Ruling. One function for every gate: deny beats ask, ask beats allow, allow beats the default.

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agentbox/policy/action.hpp"
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
  std::optional<std::string> via;  // the upstream of every connection that has none of its own
  Lists<profile::CommandPattern> commands;
  struct Spending {
    // Amounts of one currency, all of them. Without `limit` nothing is paid; with it there is a `count` too.
    std::optional<profile::Located<profile::Budget>> limit, single, per_recipient, count;
    std::vector<std::string> pay;   // argv with its placeholders; empty: there is no way to pay
    std::chrono::seconds delay{0};  // between a yes and its payment
  } spending;
  struct Traffic {
    // What may go out without a question; see policy/traffic.hpp.
    std::optional<profile::Located<profile::Budget>> bytes_out, bytes_out_per_host, connections_per_host;
  } traffic;
  // One way to send.
  struct Way {
    std::string name;               // "email"
    std::vector<std::string> send;  // argv with its placeholders; empty: it is posted
    std::optional<profile::PostAddress> post;
    profile::MessageFormat format = profile::MessageFormat::mail;  // of what `send` reads
    friend bool operator==(const Way&, const Way&) = default;
  };
  struct Messages {
    Lists<profile::RecipientRule> lists;
    profile::List<profile::RecipientRule> self;
    std::optional<profile::Located<profile::Budget>> limit;  // always, where there is a way to send
    std::vector<Way> ways;                                   // empty: nothing is sent
    std::chrono::seconds delay{0};                           // between a yes and its sending
    [[nodiscard]] const Way* way(std::string_view name) const noexcept;
  } messages;
};
[[nodiscard]] Rules rules_of(const profile::Profile& profile);

enum class Decision { allow, ask, deny };

struct Ruling {
  Decision decision = Decision::deny;
  std::string rule;                       // canonical text of the rule that says so; empty: the default
  std::optional<profile::Origin> origin;  // where it stands
  std::string why;                        // one sentence for people and agents, lower case, no full stop
  friend bool operator==(const Ruling&, const Ruling&) = default;
};

// Never throws for anything in the action. `change`, `excess`: ask. `open`, `tool`: denied with "not built yet" until
// their gates come. An allowed payment or message is allowed as far as the limits of budget.hpp still reach: else it asks;
// so does the first message to somebody (messages.hpp).
//
// A rule that grants is narrow and one that takes is wide: see Reach. An ask rule is narrow where it grants a question,
// and wide where it would take something from an allow rule or an allowing default.
[[nodiscard]] Ruling rule(const Rules& rules, const Action& action);

// Through which upstream does this connection go? That of the narrowest rule which matches it and has one, else that of
// the section; nothing: directly. This machine's own addresses are always reached directly.
[[nodiscard]] std::optional<std::string> upstream_of(const Rules& rules, const Connect& connect);
// Does a rule let it through only as far as a model's user needs (`as = "llm"`)?
[[nodiscard]] profile::Speech speech_of(const Rules& rules, const Connect& connect);

// How far a rule reaches.
//
// narrow, for what is granted. A command: element by element, and nothing but what is written; `*` and `**` match no
//   element that begins with '-', since an option can turn a harmless program into a shell; such an element is matched
//   only by a word that itself begins with '-' (`--depth=*`). A bare name matches that bare name, an absolute path that
//   path. A name never matches an address, nor an address a name.
// wide, for what is denied: errs on the side of catching too much. `*` and `**` match options too. Options that stand
//   anywhere between or behind the rule's words, each with one element that may be its value, don't take a command out
//   of it: `git push **` catches `git -c a=b push origin`. A bare name catches every path that ends in it and an
//   absolute path also its bare name; the file that argv[0] was resolved to counts like argv[0]. Behind a program that
//   runs others (`env`, `sudo`, `xargs`; not what a shell reads from a string) the rule may begin at any element.
//   `localhost` is every loopback address, and an address rule that holds one of them catches `localhost`.
enum class Reach { narrow, wide };

// One rule against one action, by element, label and component; never by joined text. Time grows with the product of
// both lengths at most.
[[nodiscard]] bool matches(const profile::CommandPattern& pattern, const Command& command, Reach reach);
[[nodiscard]] bool matches(const profile::CommandPattern& pattern, const std::vector<std::string>& argv);  // narrow
[[nodiscard]] bool matches(const profile::HostRule& rule, const Connect& connect, Reach reach = Reach::narrow);

// Can argv[0] name a program of the host: a bare name, or an absolute path without ".", ".." and empty components?
[[nodiscard]] bool is_program_name(std::string_view word) noexcept;

// ---- what may be remembered ------------------------------------------------------------------------------------

// What a program does with its arguments, as far as agentbox knows: it decides what may be remembered.
enum class Trust {
  harmless,     // a shipped grammar knows every argument (`git push origin main`, `notify-send text`)
  plain,        // nothing is known of it: once and this session, never always
  runs_files,   // runs what it finds in the working directory (make, npm, cargo): the question says so; never always
  interpreter,  // runs what its arguments say (sh, env, xargs, python, find, ssh, tar): only once
};
struct Knowledge {
  Trust trust = Trust::plain;
  std::string why;  // for the question: "runs files that the agent can write"; empty when plain or harmless
  friend bool operator==(const Knowledge&, const Knowledge&) = default;
};
// Looks at the program's file name (also as `python3.11`, `vim.basic`), at the file that it was resolved to, and at all
// arguments. The worst of what it finds.
//
// "Harmless" is about the arguments only. That `origin` is a remote which the repository's configuration names, and that
// this configuration is inert, is for the gate to see to: git takes any other word for a path.
[[nodiscard]] Knowledge knowledge_of(const Command& command);

// What an answer can be remembered for. Shown in full before it is stored.
struct Scope {
  enum class Breadth { exact, pattern } breadth = Breadth::exact;
  // exact: `canonical` of the action without what does not matter when it comes again: whether there is a terminal, and
  // the program's identity, unless this user can change the program: then path and hash stay. pattern: the text of a
  // rule of this kind, as a profile would have it.
  std::string rule;
  std::string shown;  // for people, escaped: "git push origin main in /home/me/w", "git push origin * in any directory"
  friend bool operator==(const Scope&, const Scope&) = default;
};
// In which scopes may a yes be remembered for the session, and for always? The narrowest first; an empty list: not at
// all. For `connect`: host and port, then the name with both web ports; below its registrable domain only where a caller
// adds it. A command's pattern is offered only for a shipped grammar and a program that this user can't change.
[[nodiscard]] std::vector<Scope> session_scopes(const Action& action);
[[nodiscard]] std::vector<Scope> lasting_scopes(const Action& action);
// Exactly this action, whatever it is: what a *no* is remembered for.
[[nodiscard]] Scope exact_scope(const Action& action);
// Does a remembered scope cover this action? A pattern that doesn't parse covers nothing. Of commands a pattern covers
// only what a grammar still calls harmless, with a program that this user can't change.
[[nodiscard]] bool covers(const Scope& scope, const Action& action);

}  // namespace agentbox::policy
