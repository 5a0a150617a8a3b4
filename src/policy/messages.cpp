// Messages: what the profile's [messages] says about one, before anybody looks at how many were sent.

#include "messages.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"
#include "agentbox/base/recipient.hpp"
#include "agentbox/profile/parse.hpp"

namespace agentbox::policy {

using profile::MessageFormat;
using profile::RecipientRule;

namespace {

Ruling denied(std::string why) {
  return {.decision = Decision::deny, .why = std::move(why)};
}

bool is_option(const std::string& text) {
  return text.starts_with('-');
}

bool covers(const RecipientRule& rule, const std::string& recipient, Reach reach) {
  if (base::recipient_covers(rule.text, recipient)) return true;
  if (reach == Reach::narrow) return false;
  // Under the rule's own spelling, and as most servers would deliver it.
  std::string wide = base::loosely(rule.text), narrow = base::loosely(recipient);
  return base::recipient_covers(wide, narrow);
}

using List = profile::List<RecipientRule>;
const profile::Located<RecipientRule>* find(const List& list, const std::string& recipient, Reach reach) {
  auto found = std::ranges::find_if(list, [&](const auto& item) { return covers(item.value, recipient, reach); });
  return found == list.end() ? nullptr : &*found;
}

Ruling by(Decision decision, const profile::Located<RecipientRule>& item, const std::string& who,
          std::string_view says) {
  return {.decision = decision,
          .rule = item.value.text,
          .origin = item.origin,
          .why = fmt::format("the profile's rule '{}' {} {}", item.value.text, says, base::escape(who))};
}

Ruling by_default(const Rules::Messages& rules, const std::string& who) {
  const auto& lists = rules.lists;
  const std::string one = base::escape(who);
  switch (lists.default_) {
    case profile::Default::allow:
      return {Decision::allow,
              {},
              lists.default_origin,
              fmt::format("no rule names {}, and the profile's default is to allow it", one)};
    case profile::Default::ask:
      return {Decision::ask,
              {},
              lists.default_origin,
              fmt::format("no rule names {}, and the profile's default is to ask", one)};
    case profile::Default::deny: break;
  }
  return {Decision::deny, {}, lists.default_origin, fmt::format("no rule of the profile lets {} be written to", one)};
}

Ruling rule_on_recipient(const Rules::Messages& rules, const std::string& who) {
  const auto& lists = rules.lists;
  if (const auto* item = find(lists.deny, who, Reach::wide)) return by(Decision::deny, *item, who, "denies");
  if (const auto* item = find(lists.ask, who, Reach::narrow)) return by(Decision::ask, *item, who, "asks about");
  const auto* self = find(rules.self, who, Reach::narrow);
  const auto* granted = self != nullptr ? self : find(lists.allow, who, Reach::narrow);
  if (granted == nullptr && lists.default_ != profile::Default::allow) return by_default(rules, who);
  // What only evades an ask rule is not let through by what would allow it.
  if (const auto* item = find(lists.ask, who, Reach::wide)) {
    return by(Decision::ask, *item, who, "asks about whatever comes near it:");
  }
  if (self != nullptr) return by(Decision::allow, *self, who, "says that the owner himself is");
  return granted != nullptr ? by(Decision::allow, *granted, who, "allows") : by_default(rules, who);
}

std::string problem_of_recipients(const Message& message, const Rules::Way& way) {
  if (message.to.empty()) return "the recipient is missing";
  if (message.to.size() > most_recipients) return fmt::format("a message goes to {} at most", most_recipients);
  std::set<std::string> seen;
  for (const std::string& one : message.to) {
    auto parsed = base::parse_recipient(one);
    if (!parsed) return parsed.error();
    if (parsed->text != one) return "a recipient is not in its normal form";
    if (!seen.insert(one).second) return fmt::format("{} is named twice", base::escape(one));
    const bool mail = way.send.empty() || way.format == MessageFormat::text;
    if (!mail && parsed->kind != base::Recipient::Kind::mail) {
      return fmt::format("{} is no mail address, and '{}' sends mail", base::escape(one), way.name);
    }
  }
  if (!way.send.empty() && way.format == MessageFormat::text && message.to.size() > 1) {
    return fmt::format("a message by '{}' goes to one recipient", way.name);
  }
  return {};
}

std::string problem_of_subject(const std::string& subject, const Rules::Way& way) {
  if (subject.size() > most_subject) return fmt::format("the subject is longer than {} bytes", most_subject);
  std::string plain = base::escape(subject);
  std::erase(plain, '\\');
  std::string same = subject;
  std::erase(same, '\\');
  if (plain != same) return "the subject is not one line of plain text: no control, invisible or broken characters";
  const bool argument = std::ranges::find(way.send, "{subject}") != way.send.end();
  if (argument && is_option(subject)) return "the subject begins with '-', like an option";
  const bool carried = argument || way.send.empty() || way.format == MessageFormat::mail;
  if (!subject.empty() && !carried) return fmt::format("a message by '{}' has no subject", way.name);
  return {};
}

// Newlines and tabs are all that moves a cursor here; the rest is shown escaped, and sent as it is.
std::string problem_of_body(const std::string& body) {
  std::string lines = base::escape(body);
  if (lines.find("\\x") == std::string::npos && lines.find("\\r") == std::string::npos) return {};
  // A backslash of the text's own is doubled.
  for (std::size_t at = lines.find('\\'); at != std::string::npos && at + 1 < lines.size();
       at = lines.find('\\', at + 2)) {
    if (lines[at + 1] == 'x' || lines[at + 1] == 'r') {
      return "the body is not text: it must be UTF-8, without control characters but newlines and tabs";
    }
  }
  return {};
}

std::string problem_of_name(const std::string& name) {
  const std::string shown = base::escape(name);
  if (name.empty()) return "an attachment has no name";
  if (name.size() > most_file_name) return fmt::format("an attachment's name is longer than {} bytes", most_file_name);
  if (shown != name || name.find_first_of("/\"") != std::string::npos || name.front() == '.' || name.front() == '-' ||
      name.front() == ' ' || name.back() == ' ') {
    return fmt::format(
        "an attachment can't be called '{}': a plain file name, without controls, quotes, '/' and a '.', '-' or blank "
        "before it",
        shown);
  }
  return {};
}

}  // namespace

const Rules::Way* Rules::Messages::way(std::string_view name) const noexcept {
  auto found = std::ranges::find(ways, name, &Way::name);
  return found == ways.end() ? nullptr : &*found;
}

std::string problem_of(const Message& message, const Rules::Way& way) {
  std::string problem = problem_of_recipients(message, way);
  if (problem.empty()) problem = problem_of_subject(message.subject, way);
  if (problem.empty()) problem = problem_of_body(message.body);
  if (!problem.empty()) return problem;
  if (message.attachments.size() > most_attachments) {
    return fmt::format("a message has {} attachments at most", most_attachments);
  }
  if (!message.attachments.empty() && !way.send.empty() && way.format == MessageFormat::text) {
    return fmt::format("a message by '{}' takes no attachments", way.name);
  }
  for (const Attachment& one : message.attachments) {
    if (problem = problem_of_name(one.name); !problem.empty()) return problem;
  }
  if (message.body.empty() && message.attachments.empty() && message.subject.empty()) return "the message is empty";
  return {};
}

Ruling rule_on_message(const Rules::Messages& rules, const Message& message) {
  if (rules.ways.empty()) return denied("the profile has no way to send messages");
  const Rules::Way* way = rules.way(message.backend);
  if (way == nullptr) {
    std::string names;
    for (const Rules::Way& one : rules.ways) names += fmt::format("{}'{}'", names.empty() ? "" : ", ", one.name);
    return denied(
        fmt::format("the profile has no way to send called '{}': it has {}", base::escape(message.backend), names));
  }
  if (std::string problem = problem_of(message, *way); !problem.empty()) return denied(std::move(problem));
  std::optional<Ruling> strictest;
  for (const std::string& who : message.to) {
    Ruling ruling = rule_on_recipient(rules, who);
    if (!strictest || ruling.decision > strictest->decision) strictest = std::move(ruling);
  }
  return *strictest;
}

std::vector<Limit> limits_on_message(const Rules::Messages& rules) {
  if (!rules.limit) return {};
  return {{.name = "messages.limit", .kind = "message", .budget = rules.limit->value, .origin = rules.limit->origin}};
}

std::vector<std::string> others_of(const Rules::Messages& rules, const Message& message) {
  std::vector<std::string> others;
  for (const std::string& who : message.to) {
    if (find(rules.self, who, Reach::narrow) == nullptr) others.push_back(who);
  }
  return others;
}

std::vector<std::string> strangers_of(const Rules& rules, const Action& action) {
  const auto* message = std::get_if<Message>(&action);
  if (message == nullptr) return {};
  std::vector<std::string> names;
  for (const std::string& who : others_of(rules.messages, *message)) names.push_back(message->backend + " " + who);
  return names;
}

std::vector<std::string> message_argv(const Rules::Way& way, const Message& message) {
  std::vector<std::string> argv;
  for (const std::string& word : way.send) {
    if (word == "{to}") {
      argv.insert(argv.end(), message.to.begin(), message.to.end());
    } else {
      argv.push_back(word == "{subject}" ? message.subject : word);
    }
  }
  return argv;
}

std::vector<std::string> messages_in_words(const Rules::Messages& rules) {
  std::vector<std::string> lines;
  for (const Rules::Way& way : rules.ways) {
    const bool text = !way.send.empty() && way.format == MessageFormat::text;
    lines.push_back(fmt::format("--via {}: {}", way.name,
                                text       ? "text to one recipient, without attachments"
                                : way.post ? "to several at once, with attachments"
                                           : "mail, to several at once, with attachments"));
  }
  if (lines.empty()) return lines;
  auto add = [&lines](const List& list, std::string_view what) {
    for (const auto& item : list) lines.push_back(fmt::format("{}: {}", item.value.text, what));
  };
  add(rules.self, "the owner himself, at once");
  add(rules.lists.allow, "at once, but for the first message to each");
  add(rules.lists.ask, "the owner is asked");
  add(rules.lists.deny, "never");
  const profile::Default otherwise = rules.lists.default_;
  lines.push_back(fmt::format("everybody else: {}", otherwise == profile::Default::allow
                                                        ? "at once, but for the first message to each"
                                                    : otherwise == profile::Default::ask ? "the owner is asked"
                                                                                         : "never"));
  return lines;
}

Rules::Messages messages_of(const profile::Profile& profile) {
  const auto& said = profile.messages;
  Rules::Messages messages;
  messages.lists = {.allow = said.allow, .ask = said.ask, .deny = said.deny, .default_ = profile::Default::ask};
  if (said.default_) {
    messages.lists.default_ = said.default_->value;
    messages.lists.default_origin = said.default_->origin;
  }
  messages.self = said.self;
  for (const profile::MessageBackend& backend : said.backends) {
    Rules::Way way{.name = backend.name};
    if (backend.send) way.send = backend.send->value;
    if (backend.post) way.post = backend.post->value;
    // A program that is told the recipients gets the text; one that isn't must read them in the mail.
    const bool told = std::ranges::find(way.send, "{to}") != way.send.end();
    way.format = backend.format ? backend.format->value : told ? MessageFormat::text : MessageFormat::mail;
    if (!way.send.empty() || way.post) messages.ways.push_back(std::move(way));
  }
  if (messages.ways.empty()) return messages;
  if (said.delay) messages.delay = said.delay->value;
  messages.limit = said.limit;
  if (!messages.limit) {
    messages.limit = profile::defaults().messages.limit;
    messages.limit->origin = {};
  }
  return messages;
}

}  // namespace agentbox::policy
