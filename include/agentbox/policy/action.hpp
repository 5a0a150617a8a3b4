#pragma once

// What would leave the room, as one closed set of kinds. A gate makes an Action of what the agent tries, has it ruled
// on, and then does what the Action says, never what the requester's memory says by then.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "agentbox/base/path.hpp"

namespace agentbox::policy {

// An executable of the host as it was when the question was put: opened once, measured by its descriptor.
struct Program {
  base::AbsPath path;  // resolved
  std::uint64_t device = 0, inode = 0;
  std::string sha256;  // 64 hexadecimal digits, lower case
  // Can this user change the file, or a directory on the way to it?
  enum class Writable { no, yes } writable = Writable::yes;
  friend bool operator==(const Program&, const Program&) = default;
};

// A connection to a name or an address. `host` is normalised: lower case, no trailing dot, an address as inet_ntop(3)
// writes it.
struct Connect {
  std::string host;
  std::uint16_t port = 0;
  friend bool operator==(const Connect&, const Connect&) = default;
};

// A file outside, opened.
struct Open {
  base::AbsPath path;  // resolved
  enum class For { reading, writing } purpose = For::reading;
  friend bool operator==(const Open&, const Open&) = default;
};

// New content for a protected or held file.
struct Change {
  base::AbsPath path;
  std::string before;      // SHA-256 of the content that is replaced; empty: there is no file
  std::string after;       // SHA-256 of the new content; empty: the file is removed
  std::uint64_t size = 0;  // bytes of the new content
  friend bool operator==(const Change&, const Change&) = default;
};

// Where git will send to or fetch from, as far as that can be told beforehand.
struct Remotes {
  enum class Certain { no, yes } certain = Certain::no;
  // As git makes them of the remote's name and of all its settings; passwords are left out. Empty unless certain.
  std::vector<std::string> addresses;
  friend bool operator==(const Remotes&, const Remotes&) = default;
};

// A program on the host.
struct Command {
  std::vector<std::string> argv;  // as the requester wrote it; argv[0] is a bare name or an absolute path
  base::AbsPath directory;        // where it runs, resolved
  enum class Terminal { none, pty } terminal = Terminal::none;
  std::optional<Program> program;  // nothing while it is only ruled on (`agentbox try`)
  std::optional<Remotes> remotes;  // of git, where it talks to another machine
  friend bool operator==(const Command&, const Command&) = default;
};

struct Attachment {
  std::string name;
  std::string sha256;
  std::uint64_t size = 0;  // bytes
  friend bool operator==(const Attachment&, const Attachment&) = default;
};
struct Message {
  std::string backend;  // "email"
  std::vector<std::string> to;
  std::string subject;
  std::string body;
  std::vector<Attachment> attachments;
  friend bool operator==(const Message&, const Message&) = default;
};

struct Payment {
  std::int64_t amount = 0;  // in the currency's smallest unit, more than 0
  std::string currency;     // "USD"
  std::string to, memo, key;
  friend bool operator==(const Payment&, const Payment&) = default;
};

// A tool of a server that speaks the Model Context Protocol or the like.
struct ToolCall {
  std::string server, tool;
  std::string arguments;  // JSON, as it will be sent
  friend bool operator==(const ToolCall&, const ToolCall&) = default;
};

// More than a limit of [network] lets go without a question.
struct Excess {
  std::string limit;         // "network.bytes_out"
  std::string budget;        // as the profile has it: "50 MB/session"
  std::string subject;       // the host that it is counted for; empty: all
  std::int64_t used = 0;     // of it, when it was asked, in its unit's smallest part
  std::int64_t portion = 0;  // so much more goes with one yes
  friend bool operator==(const Excess&, const Excess&) = default;
};

// The order is part of the store's format: new kinds go to the end.
using Action = std::variant<Connect, Open, Change, Command, Message, Payment, ToolCall, Excess>;

// "connect", "open", "change", "command", "message", "payment", "tool", "excess".
[[nodiscard]] std::string_view kind_of(const Action& action) noexcept;

// Every field, unambiguous: two actions have the same bytes exactly when they are equal. Not for people. What a digest
// is computed over, and what identical questions are recognised by. Printable ASCII: each field with its length before
// it, bytes other than plain letters, digits and marks as %XX, so that it can stand in a database, in JSON and in a log.
[[nodiscard]] std::string canonical(const Action& action);

// One line for people and for the record: `git push origin main`, `api.example.org:443`, `12.50 USD to alice`.
// Escaped; at most 200 bytes, cut at its end with "…", never within a character or an escape.
[[nodiscard]] std::string summary(const Action& action);

// For people, behind a command: " (https://example.org/x, ssh://git@example.org/x)", " (address unknown)"; escaped.
// Empty where there is nothing to say.
[[nodiscard]] std::string in_words(const std::optional<Remotes>& remotes);

// Is the action done once (command, change, message, payment, tool), so that one yes is one deed? connect, open and
// excess are states: one yes answers all who ask for the same.
enum class Nature { state, deed };
[[nodiscard]] Nature nature_of(const Action& action) noexcept;

}  // namespace agentbox::policy
