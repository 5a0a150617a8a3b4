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

std::string advice(Kind kind, Deed deed) {
  const bool command = deed == Deed::command;
  switch (kind) {
    case Kind::duplicate:
      return std::string(command ? "The same command was asked for at the same time, and is run once."
                                 : "The same change was proposed at the same time, and is made once.") +
             " Do not ask again unless it failed.\n";
    case Kind::expired:
      return "The owner may be away. Do something else, and ask once more later if you still need it; do not try a "
             "workaround.\n";
    case Kind::unavailable:
      return std::string(command ? "Nothing was run." : "Nothing was changed.") +
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

std::string in_words(const std::string& what, const wire::Verdict& verdict, Deed deed) {
  std::string text = "agentbox: " + std::string(heading(verdict.verdict, deed)) + ": " + what + "\n";
  add(text, "reason", verdict.reason);
  add(text, "rule", verdict.rule);
  add(text, "the owner says", verdict.comment);
  return text + advice(verdict.verdict, deed);
}

std::string in_words(const std::string& what, const wire::Refusal& refusal, Deed deed) {
  std::string text = deed == Deed::command ? "agentbox: not run on the host: " : "agentbox: not changed: ";
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
  text +=
      "Protected and held files: `agentbox propose --why REASON PATH <NEW-CONTENT`; the owner sees the difference.\n";
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
       agentbox status [--json]
       agentbox help

In a room of agentbox. `host` asks to run a command on the host, outside the room, in the same directory;
its owner's rules or its owner decide. `propose` asks the owner to give a file that the room can't write, or
whose change it can't keep, the content of standard input: he sees the difference. `status` says what is
allowed and what asks.

  --why TEXT   why you need it; the owner reads it (also: AGENTBOX_WHY, for commands that are called by their name)
  --socket PATH  ask another broker than the room's own (also: AGENTBOX_SOCKET)
  --tty        with a terminal of its own; the default when standard input and output are terminals
  --no-tty     without
  --remove     the file is to go; nothing is read

Exit code: the command's own, 128+n when signal n ended it; 0 when the file was changed;
  77 denied, 75 nobody could answer or it was done already, 130 cancelled,
  125 there is no broker, 126 it could not be started or changed, 127 there is no such program
)";
}

}  // namespace agentbox::inside
