// What a model reads about its own room: /run/agentbox/SKILL.md.

#include <fmt/format.h>

#include "agentbox/policy/messages.hpp"
#include "agentbox/policy/policy.hpp"

#include "floor.hpp"

namespace agentbox::policy {

namespace {

template <class Pattern>
void list(std::string& out, const char* title, const profile::List<Pattern>& rules) {
  if (rules.empty()) return;
  out += fmt::format("\n{}\n\n", title);
  for (const auto& rule : rules) out += fmt::format("    {}\n", rule.value.text);
}

void say_commands(std::string& out, const Rules& rules) {
  list(out, "Runs at once:", rules.commands.allow);
  list(out, "The owner is asked:", rules.commands.ask);
  list(out, "Never runs outside:", rules.commands.deny);
  switch (rules.commands.default_) {
    case profile::Default::deny: out += "\nEverything else is denied without a question.\n"; break;
    case profile::Default::ask: out += "\nAbout everything else the owner is asked.\n"; break;
    case profile::Default::allow: out += "\nEverything else runs at once.\n"; break;
  }
}

void say_network(std::string& out, const Rules& rules) {
  out += R"(
# Connecting to other hosts

Connect as usual: every connection is ruled on by the name of its host. Where the owner is asked, it waits for him; if
your program gives up first, try again a little later, the question stays. A connection that is denied fails at once: an
HTTP answer 403 or a TLS alert "access denied", which say so, else a reset. `agentbox status` lists the rules. Datagrams
and ping never get through.
)";
  list(out, "Connects at once:", rules.network.allow);
  list(out, "The owner is asked:", rules.network.ask);
  list(out, "Never:", rules.network.deny);
  switch (rules.network.default_) {
    case profile::Default::deny: out += "\nEvery other host is denied without a question.\n"; break;
    case profile::Default::ask: out += "\nAbout every other host the owner is asked.\n"; break;
    case profile::Default::allow: out += "\nEvery other host is reached at once.\n"; break;
  }
}

// Only where something can be sent, likewise.
void say_messages(std::string& out, const Rules& rules) {
  const std::vector<std::string> lines = messages_in_words(rules.messages);
  if (lines.empty()) return;
  out += R"(
# Sending a message to somebody

    agentbox send --via WAY --to RECIPIENT --subject TEXT --attach FILE --why "REASON" < BODY

The text comes on standard input and is sent as it is; several --to and --attach are fine where the way takes them. What
goes to the owner himself is sent at once; of others he sees recipient, subject, text and the names of files, and decides.
Write to people only when the task is about that, and once: a message can't be taken back.

Exit codes: 0 sent; 1 not sent, and there is no other way; 75 nobody could answer, or nobody knows whether it was sent: don't
send it again, tell the owner; 77 denied; 126 refused.

)";
  for (const std::string& line : lines) out += fmt::format("    {}\n", line);
  if (rules.messages.limit) out += fmt::format("\nWithout a question: {} at most.\n", rules.messages.limit->value.text);
}

// Only where something can be paid: a model that reads of paying tries it.
void say_spending(std::string& out, const Rules& rules) {
  const Rules::Spending& spending = rules.spending;
  if (!spending.limit || spending.pay.empty()) return;
  out += R"(
# Paying

    agentbox pay --amount 12.50 --currency CODE --to RECIPIENT --key KEY --memo TEXT --why "REASON"

The amount is digits and decimals, nothing else. What is within the owner's limits is paid at once; about what is beyond
he is asked. The key is your own name for this payment (`invoice-2026-114`): one that was paid with it is never paid
again, so when you don't know what became of a payment ask again with the same key, never with another one.

Exit codes: 0 paid, now or before with this key; 1 not paid, the key may be used again; 75 nobody could answer, or nobody
knows whether it was paid: tell the owner; 77 denied; 126 refused. `agentbox status` says what is left.
)";
  out += fmt::format("\nWithout a question, all in {}: {}", spending.limit->value.unit, spending.limit->value.text);
  if (spending.single) out += fmt::format("; {} in one payment", spending.single->value.text);
  if (spending.per_recipient) out += fmt::format("; {} to one recipient", spending.per_recipient->value.text);
  if (spending.count) out += fmt::format("; {} payments", spending.count->value.text);
  out += ".\n";
}

}  // namespace

std::string room_skill(const Rules& rules) {
  std::string out = R"(---
name: agentbox
description: You are in a sandbox ("room"). How to see what you may do, and how to ask for what is outside of it.
---

# You are in a room

Your programs run in a room that agentbox made. In it is what your owner granted: the project, the system's programs, and
little else. A file that is not there, a host that can't be reached, "Read-only file system" and "Operation not permitted"
are mostly the room's walls. They are meant. Don't look for a way around them: say what you wanted and why, and go on with
what you can do.

- `agentbox status` says what is allowed, what asks and what is denied (`--json` for programs).
- Git's hooks and configuration, editor settings, agents' own settings and the like can be read but not written, or
  vanish when they are made: programs outside would run them. Propose such a change, see below.
- Instruction files and CI workflows can be written, and are put back at the end unless the owner keeps them. What he
  has said yes to before, by a proposal, stays.

# Changing a protected file

    agentbox propose --why "REASON" PATH < NEW-CONTENT      (or: agentbox propose --remove PATH)

Give the whole new content on standard input, from a file that you have written elsewhere. The owner sees the difference
and decides; after a yes the file is changed outside and in the room. Propose one small change at a time: he reads it
to its end. A new file is never executable. Don't write the change to some other place that has the same effect.

# Running a command outside the room

    agentbox host --why "REASON" -- COMMAND ARGUMENT...

The owner sees exactly this command and decides. Say the reason in one plain sentence. Ask for one thing at a time, and
only for what the task needs: questions are limited, and one that is denied should not be asked again in another form.
A command that has a rule below is also found by its bare name.

Exit codes: the command's own; 77 denied; 75 nobody could answer, or the same was done already; 126 it could not be
started or changed; 127 there is no such program. The reason is on standard error: read it before you do anything else.
)";
  say_commands(out, rules);
  say_network(out, rules);
  say_messages(out, rules);
  say_spending(out, rules);
  return out;
}

}  // namespace agentbox::policy
