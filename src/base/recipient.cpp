#include "agentbox/base/recipient.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"
#include "agentbox/base/host_name.hpp"

namespace agentbox::base {

namespace {

using Kind = Recipient::Kind;
using Wrong = std::unexpected<std::string>;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
std::string lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), [](char c) { return lower(c); });
  return result;
}

Wrong not_allowed(std::string_view what, std::string_view text, std::string_view::const_iterator at) {
  // The whole character, if it is one.
  std::size_t begin = static_cast<std::size_t>(at - text.begin()), end = begin + 1;
  while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80) ++end;
  return Wrong(fmt::format("'{}' is not allowed in {}", escape(text.substr(begin, end - begin)), what));
}

std::expected<std::string, std::string> parse_domain(std::string_view text) {
  std::string domain = lower(text);
  if (auto problem = problem_of_name(domain)) {
    return Wrong(fmt::format("'{}' is no domain that mail is sent to", escape(text)));
  }
  return domain;
}

std::expected<void, std::string> check_local(std::string_view local) {
  if (local.empty()) return Wrong("nothing stands before the '@'");
  if (local.size() > 64) return Wrong("more than 64 bytes stand before the '@'");
  auto is_plain = [](char c) {
    return is_letter(c) || is_digit(c) || std::string_view("._+=~'-").find(c) != std::string_view::npos;
  };
  if (auto wrong = std::ranges::find_if_not(local, is_plain); wrong != local.end()) {
    return not_allowed("a mail address", local, wrong);
  }
  if (local.front() == '-') return Wrong("a recipient does not begin with '-': a program would take it for an option");
  if (local.front() == '.' || local.back() == '.' || local.find("..") != std::string_view::npos) {
    return Wrong("a mail address has something before, behind and between its dots");
  }
  return {};
}

std::expected<Recipient, std::string> parse_mail(std::string_view text) {
  const std::size_t at = text.find('@');
  const std::string_view local = text.substr(0, at), rest = text.substr(at + 1);
  if (rest.find('@') != std::string_view::npos) return Wrong("a mail address has one '@'");
  if (auto fine = check_local(local); !fine) return Wrong(fine.error());
  auto domain = parse_domain(rest);
  if (!domain) return Wrong(domain.error());
  return Recipient{Kind::mail, fmt::format("{}@{}", local, *domain)};
}

std::expected<Recipient, std::string> parse_number(std::string_view text) {
  std::string digits = "+";
  for (auto at = text.begin() + 1; at != text.end(); ++at) {
    if (is_digit(*at)) {
      digits += *at;
    } else if (std::string_view(" -.()").find(*at) == std::string_view::npos) {
      return not_allowed("a number", text, at);
    }
  }
  if (digits.size() < 4 || digits.size() > 16) return Wrong("a number has 3 to 15 digits behind its '+'");
  return Recipient{Kind::number, digits};
}

std::expected<Recipient, std::string> parse_name(std::string_view text) {
  auto is_plain = [](char c) {
    return is_letter(c) || is_digit(c) || std::string_view("._:/=+-@#!").find(c) != std::string_view::npos;
  };
  if (auto wrong = std::ranges::find_if_not(text, is_plain); wrong != text.end()) {
    return not_allowed("a recipient", text, wrong);
  }
  if (std::ranges::none_of(text, [](char c) { return is_letter(c) || is_digit(c); })) {
    return Wrong("a recipient has a letter or a digit");
  }
  if (text.substr(1).find('@') != std::string_view::npos) return Wrong("a recipient has one '@'");
  return Recipient{Kind::name, std::string(text)};
}

// What stands between the angle brackets; the name before them is nobody's address.
std::expected<std::string_view, std::string> without_name(std::string_view text) {
  if (!text.ends_with('>')) return text;
  const std::size_t open = text.find('<');
  if (open == std::string_view::npos) return Wrong("a '>' closes what no '<' has opened");
  const std::string_view name = text.substr(0, open);
  if (auto wrong = std::ranges::find_if(name, [](char c) { return std::string_view("@,;<>:").find(c) < 6; });
      wrong != name.end()) {
    return not_allowed("the name before an address", name, wrong);
  }
  return text.substr(open + 1, text.size() - open - 2);
}

}  // namespace

std::expected<Recipient, std::string> parse_recipient(std::string_view text) {
  if (text.empty()) return Wrong("an empty recipient is nobody");
  if (text.size() > 4 * most_recipient) return Wrong("a recipient is longer than anybody's address");
  if (escape(text) != text) {
    return Wrong("a recipient is plain text: no control, invisible or broken characters, no backslash");
  }
  if (text.front() == '-') return Wrong("a recipient does not begin with '-': a program would take it for an option");
  if (text.front() == ' ' || text.back() == ' ') return Wrong("a recipient has no blank at its ends");
  auto bare = without_name(text);
  if (!bare) return Wrong(bare.error());
  if (bare->empty()) return Wrong("an empty recipient is nobody");
  if (bare->size() != text.size() && bare->find('@') == std::string_view::npos) {
    return Wrong("no mail address stands between the '<' and the '>'");
  }
  const char first = bare->front();
  const bool is_handle = first == '@' || first == '#' || first == '!';
  auto parsed = !is_handle && bare->find('@') != std::string_view::npos ? parse_mail(*bare)
                : first == '+'                                          ? parse_number(*bare)
                                                                        : parse_name(*bare);
  if (parsed && parsed->text.size() > most_recipient) return Wrong("a recipient is longer than anybody's address");
  return parsed;
}

std::expected<std::string, std::string> parse_recipient_rule(std::string_view text) {
  if (text.find('*') == std::string_view::npos) {
    auto one = parse_recipient(text);
    if (!one) return Wrong(one.error());
    return one->text;
  }
  if (text == "*") return Wrong("'*' would be everybody: `default` says what holds for everybody");
  const std::size_t at = text.find('@');
  std::string_view local = text.substr(0, at);
  std::string_view domain = at == std::string_view::npos ? std::string_view() : text.substr(at + 1);
  const Wrong form("a pattern is '*@example.org', '*@*.example.org' or 'me+*@example.org'");
  if (at == std::string_view::npos || !local.ends_with('*')) return form;
  local.remove_suffix(1);
  std::string before;
  if (!local.empty()) {
    if (!local.ends_with('+')) return form;
    if (auto fine = check_local(local); !fine) return Wrong(fine.error());
    if (local.find('+') != local.size() - 1) return form;
    before = local;
  }
  std::string_view below = domain.starts_with("*.") ? "*." : "";
  if (!below.empty() && !before.empty()) return form;
  auto parsed = parse_domain(domain.substr(below.size()));
  if (!parsed) return Wrong(parsed.error());
  return fmt::format("{}*@{}{}", before, below, *parsed);
}

bool recipient_covers(std::string_view wide, std::string_view narrow) noexcept {
  if (wide == narrow) return true;
  const std::size_t wide_at = wide.find('@'), narrow_at = narrow.find('@');
  if (wide_at == 0 || wide_at == std::string_view::npos || wide[wide_at - 1] != '*') return false;
  if (narrow_at == 0 || narrow_at == std::string_view::npos) return false;
  const std::string_view before = wide.substr(0, wide_at - 1), domain = wide.substr(wide_at + 1);
  const std::string_view local = narrow.substr(0, narrow_at), other = narrow.substr(narrow_at + 1);
  if (domain.starts_with("*.")) {
    const std::string_view tail = domain.substr(1);
    return other.size() > tail.size() && other.ends_with(tail);
  }
  return other == domain && local.size() > before.size() && local.starts_with(before);
}

std::string loosely(std::string_view recipient) {
  std::string text = lower(recipient);
  const std::size_t at = text.find('@'), plus = text.find('+');
  if (at != std::string::npos && plus != std::string::npos && plus > 0 && plus < at) text.erase(plus, at - plus);
  return text;
}

}  // namespace agentbox::base
