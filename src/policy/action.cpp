// What an action is called, and its two forms as text: one for machines, exact, and one for people, short.

#include "agentbox/policy/action.hpp"

#include <array>
#include <type_traits>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"
#include "agentbox/profile/parse.hpp"

namespace agentbox::policy {

namespace {

// ---- canonical: each field has its length before it, so that none can pretend to be two, or a part of the next ----

class Encoder {
 public:
  explicit Encoder(std::string_view kind) : text_(kind) {}

  void field(std::string_view bytes) {
    std::string plain;
    plain.reserve(bytes.size());
    for (char c : bytes) put(plain, c);
    fmt::format_to(std::back_inserter(text_), " {}:{}", plain.size(), plain);
  }
  void number(std::uint64_t value) { fmt::format_to(std::back_inserter(text_), " {}", value); }
  void number(std::int64_t value) { fmt::format_to(std::back_inserter(text_), " {}", value); }
  template <class E>
    requires std::is_enum_v<E>
  void choice(E value) {
    number(static_cast<std::uint64_t>(value));
  }
  void list(const std::vector<std::string>& items) {
    number(items.size());
    for (const std::string& item : items) field(item);
  }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  static void put(std::string& out, char c) {
    constexpr std::string_view digits = "0123456789abcdef";
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 std::string_view("_-./:=@+,").find(c) != std::string_view::npos;
    if (plain) {
      out += c;
      return;
    }
    auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += digits[byte >> 4U];
    out += digits[byte & 0xfU];
  }
  std::string text_;
};

void encode(Encoder& out, const Connect& action) {
  out.field(action.host);
  out.number(std::uint64_t{action.port});
}
void encode(Encoder& out, const Open& action) {
  out.field(action.path.str());
  out.choice(action.purpose);
}
void encode(Encoder& out, const Change& action) {
  out.field(action.path.str());
  out.field(action.before);
  out.field(action.after);
  out.number(action.size);
}
void encode(Encoder& out, const Command& action) {
  out.list(action.argv);
  out.field(action.directory.str());
  out.choice(action.terminal);
  out.number(std::uint64_t{action.program ? 1U : 0U});
  if (action.program) {
    out.field(action.program->path.str());
    out.number(action.program->device);
    out.number(action.program->inode);
    out.field(action.program->sha256);
    out.choice(action.program->writable);
  }
  // At the end, and nothing at all where there are none: what was remembered of other commands stays as it is.
  if (!action.remotes) return;
  out.choice(action.remotes->certain);
  out.list(action.remotes->addresses);
}
void encode(Encoder& out, const Message& action) {
  out.field(action.backend);
  out.list(action.to);
  out.field(action.subject);
  out.field(action.body);
  out.number(action.attachments.size());
  for (const Attachment& attachment : action.attachments) {
    out.field(attachment.name);
    out.field(attachment.sha256);
    out.number(attachment.size);
  }
}
void encode(Encoder& out, const Payment& action) {
  out.number(action.amount);
  for (const std::string* text : {&action.currency, &action.to, &action.memo, &action.key}) out.field(*text);
}
void encode(Encoder& out, const ToolCall& action) {
  for (const std::string* text : {&action.server, &action.tool, &action.arguments}) out.field(*text);
}

void encode(Encoder& out, const Excess& action) {
  for (const std::string* text : {&action.limit, &action.budget, &action.subject}) out.field(*text);
  out.number(action.used);
  out.number(action.portion);
}

// ---- summary ----

// The length of what stands at the beginning of escaped text: one escape, or one character of valid UTF-8.
std::size_t unit(std::string_view text) {
  if (text[0] != '\\' || text.size() == 1) {
    std::size_t length = 1;
    while (length < text.size() && (static_cast<unsigned char>(text[length]) & 0xc0U) == 0x80) ++length;
    return length;
  }
  if (text[1] == 'x') return std::min<std::size_t>(4, text.size());
  if (std::size_t brace = text.find('}'); text[1] == 'u' && brace < 10) return brace + 1;
  return 2;
}

std::string cut(std::string text) {
  constexpr std::size_t most = 200;
  constexpr std::string_view mark = "…";
  if (text.size() <= most) return text;
  std::size_t end = 0;
  while (true) {
    std::size_t next = end + unit(std::string_view(text).substr(end));
    if (next > most - mark.size()) break;
    end = next;
  }
  // Between plain quotes a backslash is no escape, and may stand before a character of several bytes.
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80) --end;
  text.resize(end);
  return text.append(mark);
}

std::string describe(const Connect& action) {
  bool brackets = action.host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", brackets ? "[" : "", base::escape(action.host), brackets ? "]" : "", action.port);
}
std::string describe(const Open& action) {
  return (action.purpose == Open::For::reading ? "read " : "write ") + base::quote(action.path.str());
}
std::string describe(const Change& action) {
  std::string_view verb = action.after.empty() ? "remove " : action.before.empty() ? "create " : "change ";
  return std::string(verb) + base::quote(action.path.str());
}
std::string describe(const Command& action) {
  return base::quote(action.argv) + in_words(action.remotes);  // no argument is quoted with a bare bracket
}
std::string describe(const Message& action) {
  std::string to;
  for (const std::string& one : action.to) to += (to.empty() ? "" : ", ") + base::escape(one);
  return fmt::format("{} to {}: {}", base::escape(action.backend), to, base::escape(action.subject));
}
std::string describe(const Payment& action) {
  return fmt::format("{} {} to {}", profile::amount_text(action.amount, action.currency), base::escape(action.currency),
                     base::escape(action.to));
}
std::string describe(const ToolCall& action) {
  return fmt::format("{}/{} {}", base::escape(action.server), base::escape(action.tool),
                     base::escape(action.arguments));
}

std::string describe(const Excess& action) {
  return fmt::format("more than {} to {}", base::escape(action.budget),
                     action.subject.empty() ? "all hosts" : base::escape(action.subject));
}

}  // namespace

std::string_view kind_of(const Action& action) noexcept {
  static constexpr std::array<std::string_view, 8> names{"connect", "open",    "change", "command",
                                                         "message", "payment", "tool",   "excess"};
  static_assert(names.size() == std::variant_size_v<Action>);
  return action.index() < names.size() ? names[action.index()] : std::string_view();
}

std::string canonical(const Action& action) {
  Encoder out(kind_of(action));
  std::visit([&](const auto& one) { encode(out, one); }, action);
  return out.take();
}

std::string in_words(const std::optional<Remotes>& remotes) {
  if (!remotes) return {};
  if (remotes->certain == Remotes::Certain::no) return " (address unknown)";
  std::string text;
  for (const std::string& address : remotes->addresses) text += (text.empty() ? " (" : ", ") + base::escape(address);
  return text + ")";
}

std::string summary(const Action& action) {
  return cut(std::visit([](const auto& one) { return describe(one); }, action));
}

Nature nature_of(const Action& action) noexcept {
  const bool state = std::holds_alternative<Connect>(action) || std::holds_alternative<Open>(action) ||
                     std::holds_alternative<Excess>(action);
  return state ? Nature::state : Nature::deed;
}

}  // namespace agentbox::policy
