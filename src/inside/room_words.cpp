#include "room_words.hpp"

#include <string_view>

#include "agentbox/base/escape.hpp"

namespace agentbox::inside {

using Kind = wire::Verdict::Kind;

namespace {

constexpr std::string_view no_workaround =
    "This was decided outside the room. Do not try a workaround: go on without it, or tell the owner what you need and "
    "why. `agentbox status` lists what is allowed.\n";

std::string_view heading(Kind kind, Deed deed) {
  switch (kind) {
    case Kind::deny: return "denied";
    case Kind::duplicate: return deed == Deed::command ? "not run a second time" : "not done a second time";
    case Kind::expired: return "nobody answered in time";
    case Kind::unavailable: return "nobody can be asked";
    case Kind::cancelled: return "cancelled";
    case Kind::allow:
    case Kind::pass: break;
  }
  return "allowed";
}

// A twin's deed.
std::string_view done_once(Deed deed) {
  switch (deed) {
    case Deed::change: return "The same change was proposed at the same time, and is made once.";
    case Deed::payment: return "The same payment was asked for already, and is made once.";
    case Deed::message: return "The same message was asked for at the same time, and is sent once.";
    case Deed::command: break;
  }
  return "The same command was asked for at the same time, and is run once.";
}

std::string_view nothing_done(Deed deed) {
  switch (deed) {
    case Deed::change: return "Nothing was changed.";
    case Deed::payment: return "Nothing was paid.";
    case Deed::message: return "Nothing was sent.";
    case Deed::command: break;
  }
  return "Nothing was run.";
}

std::string advice(Kind kind, Deed deed) {
  switch (kind) {
    case Kind::duplicate: return std::string(done_once(deed)) + " Do not ask again unless it failed.\n";
    case Kind::expired:
      return "The owner may be away. Do something else, and ask once more later if you still need it; do not try a "
             "workaround.\n";
    case Kind::unavailable:
      return std::string(nothing_done(deed)) +
             " Do something else, and tell the owner that this could not be asked; do not try a workaround.\n";
    case Kind::cancelled: return "";
    case Kind::deny:
    case Kind::allow:
    case Kind::pass: break;
  }
  return std::string(no_workaround);
}

void add(std::string& text, std::string_view label, const std::string& value) {
  if (!value.empty()) text += "  " + std::string(label) + ": " + base::escape(value) + "\n";
}

void add_lists(std::string& text, const wire::RoomStatus::Lists& lists) {
  auto lines = [&text](std::string_view label, const std::vector<std::string>& rules) {
    for (const std::string& rule : rules) text += "  " + std::string(label) + base::escape(rule) + "\n";
  };
  lines("allowed   ", lists.allow);
  lines("asks      ", lists.ask);
  lines("denied    ", lists.deny);
  using Default = wire::RoomStatus::Lists::Default;
  text += "  all else  ";
  text += lists.otherwise == Default::allow ? "allowed" : lists.otherwise == Default::ask ? "asks" : "denied";
  text += "\n";
}

}  // namespace

Exit exit_of(Kind kind) noexcept {
  switch (kind) {
    case Kind::deny: return Exit::denied;
    case Kind::duplicate:
    case Kind::expired:
    case Kind::unavailable: return Exit::try_later;
    case Kind::cancelled: return Exit::cancelled;
    case Kind::allow:
    case Kind::pass: break;
  }
  return Exit::failed;
}

Exit exit_of(wire::Code code) noexcept {
  switch (code) {
    case wire::Code::no_such_program: return Exit::not_found;
    case wire::Code::too_many: return Exit::try_later;
    default: return Exit::not_started;
  }
}

Exit exit_of(wire::PaymentEnded::Outcome outcome) noexcept {
  switch (outcome) {
    case wire::PaymentEnded::Outcome::paid: return Exit::done;
    case wire::PaymentEnded::Outcome::not_paid: return Exit::not_paid;
    case wire::PaymentEnded::Outcome::unknown:
    case wire::PaymentEnded::Outcome::pending: break;
  }
  return Exit::try_later;
}

Exit exit_of(wire::MessageEnded::Outcome outcome) noexcept {
  switch (outcome) {
    case wire::MessageEnded::Outcome::sent: return Exit::done;
    case wire::MessageEnded::Outcome::failed: return Exit::not_paid;
    case wire::MessageEnded::Outcome::unknown: break;
  }
  return Exit::try_later;
}

std::string in_words(const std::string& what, const wire::MessageEnded& ended) {
  using Outcome = wire::MessageEnded::Outcome;
  std::string text;
  switch (ended.outcome) {
    case Outcome::sent: text = "sent " + what + "\n"; break;
    case Outcome::failed: text = "agentbox: not sent: " + what + "\n"; break;
    case Outcome::unknown: text = "agentbox: nobody knows whether this was sent: " + what + "\n"; break;
  }
  add(text, "reason", ended.reason);
  if (ended.code != 0) add(text, "code", std::to_string(ended.code));
  if (ended.outcome == Outcome::failed) text += "Do not try another way to send it: tell the owner.\n";
  if (ended.outcome == Outcome::unknown) text += "Do not send it again: tell the owner.\n";
  return text;
}

std::string in_words(const std::string& what, const wire::PaymentEnded& ended) {
  using Outcome = wire::PaymentEnded::Outcome;
  std::string text;
  switch (ended.outcome) {
    case Outcome::paid: text = "paid " + what + "\n"; break;
    case Outcome::not_paid: text = "agentbox: not paid: " + what + "\n"; break;
    case Outcome::unknown: text = "agentbox: nobody knows whether this was paid: " + what + "\n"; break;
    case Outcome::pending: text = "agentbox: this is being paid already: " + what + "\n"; break;
  }
  add(text, "reason", ended.reason);
  if (ended.outcome == Outcome::not_paid) text += "The same key may be used again. Do not try another way to pay.\n";
  return text;
}

std::string in_words(const wire::RequestDelayed& delayed, Deed deed) {
  const char* done = deed == Deed::message ? "sent" : deed == Deed::payment ? "paid" : "done";
  return std::string("agentbox: allowed; it is ") + done + " in " + std::to_string(delayed.seconds) +
         (delayed.seconds == 1 ? " second" : " seconds") + " unless the owner takes it back\n";
}

std::string in_words(const std::string& what, const wire::Verdict& verdict, Deed deed) {
  std::string text = "agentbox: " + std::string(heading(verdict.verdict, deed)) + ": " + what + "\n";
  add(text, "reason", verdict.reason);
  add(text, "rule", verdict.rule);
  add(text, "the owner says", verdict.comment);
  return text + advice(verdict.verdict, deed);
}

std::string in_words(const std::string& what, const wire::Refusal& refusal, Deed deed) {
  std::string text = deed == Deed::command   ? "agentbox: not run on the host: "
                     : deed == Deed::change  ? "agentbox: not changed: "
                     : deed == Deed::message ? "agentbox: not sent: "
                                             : "agentbox: not paid: ";
  // The broker has escaped what it quotes.
  return text + what + "\n  reason: " + refusal.message + "\n";
}

std::string in_words(const wire::RoomStatus& status) {
  std::string text = "You are in a room of agentbox: session " + base::escape(status.session) + ", profile " +
                     base::escape(status.profile) +
                     ".\n\nCommands on the host, outside the room (`agentbox host --why REASON -- COMMAND...`):\n";
  add_lists(text, status.commands);
  text += "Network:\n";
  add_lists(text, status.network);
  if (!status.traffic.empty()) {
    text += "What leaves needs no question as long as this lasts:\n";
    for (const std::string& line : status.traffic) text += "  " + base::escape(line) + "\n";
  }
  text +=
      "Protected and held files: `agentbox propose --why REASON PATH <NEW-CONTENT`; the owner sees the difference.\n";
  if (!status.spending.empty()) {
    text += "Payments (`agentbox pay`), without a question as long as this lasts:\n";
    for (const std::string& line : status.spending) text += "  " + base::escape(line) + "\n";
  }
  if (!status.messages.empty()) {
    text += "Messages to people (`agentbox send`):\n";
    for (const std::string& line : status.messages) text += "  " + base::escape(line) + "\n";
  }
  text += "Questions that wait for the owner: " + std::to_string(status.waiting) + "\n";
  return text +
         "\n\"asks\": the owner sees the exact command and answers; say why you need it. /run/agentbox/SKILL.md says "
         "more.\n";
}

std::string in_json(const wire::RoomStatus& status) {
  const std::string line = wire::encode(wire::ToRoom{.id = 0, .body = status});
  constexpr std::string_view before = "\"result\":";
  std::size_t at = line.find(before) + before.size();
  return line.substr(at, line.rfind('}') - at) + "\n";
}

std::string help() {
  return R"(usage: agentbox host [--why TEXT] [--tty | --no-tty] [--] COMMAND [ARGUMENT...]
       agentbox propose [--why TEXT] [--remove] [--] PATH <NEW-CONTENT
       agentbox pay --amount 12.50 --currency USD --to RECIPIENT --key KEY
                    [--memo TEXT] [--why TEXT]
       agentbox send --via WAY --to RECIPIENT... [--subject TEXT]
                     [--attach FILE]... [--why TEXT] <BODY
       agentbox status [--json]
       agentbox help

In a room of agentbox. `host` asks to run a command on the host, outside the
room, in the same directory; its owner's rules or its owner decide. `propose`
asks the owner to give a file that the room can't write, or whose change it
can't keep, the content of standard input: he sees the difference. `pay` asks to
pay somebody; what is within the owner's limits is paid at once. `send` asks to
send somebody a message, whose text is standard input: the owner sees all of it,
unless it goes to himself or where his rules let it. `status` says what is
allowed and what asks.

  --why TEXT       why you need it; the owner reads it (also: AGENTBOX_WHY, for
                   commands that are called by their name)
  --socket PATH    ask another broker than the room's own (also:
                   AGENTBOX_SOCKET)
  --tty            with a terminal of its own; the default when standard input
                   and output are terminals
  --no-tty         without
  --remove         the file is to go; nothing is read
  --key KEY        your own name for this payment (letters, digits, _ - . : /):
                   asked for again with the same key it is never paid twice, so
                   use it again whenever you don't know what became of it
  --memo TEXT      goes with the payment, at most 140 bytes
  --via WAY        how to send it: email, signal, ...; `agentbox status` lists
                   the ways
  --to RECIPIENT   a mail address, a number (+1555010) or a name that the way
                   knows; where it can, several
  --attach FILE    goes with the message: 10 files, 10 MiB together

Exit code: the command's own, 128+n when signal n ended it; 0 when the file was
changed, the payment made or the message sent; 1 the payment was not made or the
message not sent, 77 denied, 75 nobody could answer or it was done already, 130
cancelled, 125 there is no broker, 126 it could not be started or changed, 127
there is no such program
)";
}

}  // namespace agentbox::inside
