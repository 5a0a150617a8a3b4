#pragma once

// The one grammar of those who get messages: of rules in a profile, and of what an agent writes. Narrow on purpose: all of
// it becomes a header of a mail, an argument of a program or a line on a screen, so nothing in it may mean something else
// there. ASCII only; no quoted local parts, comments, routes (`%`, `!`) or address literals (RFC 5321 §4.1.2, RFC 5322
// §3.4.1 have more).

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace agentbox::base {

struct Recipient {
  enum class Kind : std::uint8_t {
    mail,    // "alice@example.org": the domain in lower case, without a name before it
    number,  // "+1555010": '+' and 3 to 15 digits
    name     // whatever else a messenger calls somebody: "alice.01", "@alice:example.org", a group's identifier
  } kind = Kind::name;
  std::string text;  // the one spelling that is compared, shown and sent
  friend bool operator==(const Recipient&, const Recipient&) = default;
};

inline constexpr std::size_t most_recipient = 254;  // bytes of its normal form; of what is written four times that

// "Alice <alice@Example.ORG>" → alice@example.org; "+1 (555) 010" → +1555010. Else why not: one clause, foreign bytes
// escaped.
[[nodiscard]] std::expected<Recipient, std::string> parse_recipient(std::string_view text);

// A rule is a recipient, or "*@example.org" (everybody there), "*@*.example.org" (below it), "me+*@example.org" (each tag
// behind the plus, which else is a part of the name like any other). Its normal form.
[[nodiscard]] std::expected<std::string, std::string> parse_recipient_rule(std::string_view text);

// Does everything that `narrow` names, a recipient or a rule in its normal form, come under `wide`?
[[nodiscard]] bool recipient_covers(std::string_view wide, std::string_view narrow) noexcept;

// What most servers take for the same: without the tag behind a plus, all in lower case. For rules that deny.
[[nodiscard]] std::string loosely(std::string_view recipient);

}  // namespace agentbox::base
