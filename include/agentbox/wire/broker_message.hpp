#pragma once

// What is said on the broker's two sockets: JSON-RPC 2.0, UTF-8, one object a line. docs/broker.schema.json says the same
// in another language.
//
//   request.sock   lies in the room. Whoever is there is hostile: he may ask, give up his own question, and hear what was
//                  said to his own. He can't see, answer or touch anybody else's.
//   control.sock   lies outside, for the owner alone: sees and answers every question of the session.
//
// Strict on purpose. A line is refused when it is longer than its limit, not UTF-8, not one JSON object, nested deeper
// than 8, has a key twice, a key that is not known here, more than 32 keys in one object, a fraction or exponent where an
// integer is meant, or a value out of its range. The refusal's text may quote what was sent, escaped.
//
// Bytes (words of a command, paths, all text that may come from an agent) are a JSON string where they are UTF-8, else
// the object {"base64": "..."} (RFC 4648 §4, padded). They hold no NUL.

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace agentbox::wire {

// Bytes of a line without its newline: what the broker reads on either socket, and what it sends into the room.
inline constexpr std::size_t line_limit = 64 * 1024;
// What the broker sends on control.sock may be longer: a question is shown whole or not at all.
inline constexpr std::size_t control_reply_limit = 16 * 1024 * 1024;

// Cuts a stream into lines, holding at most `limit` bytes of an unfinished one.
class LineSplitter {
 public:
  explicit LineSplitter(std::size_t limit = line_limit) : limit_(limit) {}

  enum class Split {
    line,     // `line` is one, without its newline
    more,     // `bytes` is used up in the middle of a line
    too_long  // longer than the limit: close the connection; every later call says the same and takes nothing
  };
  // Takes from the front of `bytes`. Call again until `more`.
  [[nodiscard]] Split take(std::string_view& bytes, std::string& line);
  // Bytes of the unfinished line: more than 0 for long means a peer that sends half lines.
  [[nodiscard]] std::size_t pending() const noexcept { return held_.size(); }

 private:
  std::size_t limit_;
  std::string held_;
  bool too_long_ = false;
};

// JSON-RPC's own codes, and two of ours.
enum class Code : std::int32_t {
  not_json = -32700,       // no JSON, or none that is taken here
  not_a_request = -32600,  // no JSON-RPC 2.0 object
  unknown_method = -32601,
  wrong_parameters = -32602,
  failed = -32603,           // the broker could not do it
  too_many = -32000,         // questions, requests or connections at once
  not_yours = -32001,        // no open request or question of that id on this connection
  no_such_program = -32002,  // the host has none of that name that agentbox would run
};
// Why a line was refused, and what to answer.
struct Fault {
  std::optional<std::uint64_t> id;  // of the request, where it could be read
  Code code = Code::not_a_request;
  std::string message;  // one line, lower case, no full stop; every foreign byte escaped
  friend bool operator==(const Fault&, const Fault&) = default;
};
template <class T>
using Decoded = std::expected<T, Fault>;

struct WindowSize {
  std::uint16_t rows = 24, columns = 80;  // 1 to 10000
  friend bool operator==(const WindowSize&, const WindowSize&) = default;
};

// ---- request.sock, from the room ------------------------------------------------------------------------------------

// "request.command": run this on the host. No descriptor travels with it: what the room has made never becomes a
// descriptor of a host's process. The gate makes pipes or a terminal itself and hands their other ends into the room,
// see CommandStarted.
struct CommandRequest {
  std::vector<std::string> argv;       // bytes; 1 to 4096 elements
  std::string directory;               // bytes; absolute, as the room sees it
  std::string why;                     // bytes, at most 2000; the agent's own words; empty: none
  std::optional<WindowSize> terminal;  // a terminal of this size is wanted
  // shim: the room has a program of that name too, which runs when no rule speaks of this command: verdict "pass".
  enum class From : std::uint8_t { request, shim } from = From::request;  // "shim": true
  friend bool operator==(const CommandRequest&, const CommandRequest&) = default;
};
// "request.change": new content for a protected or held file, or its removal. With "write" the content travels beside
// the line: one descriptor by SCM_RIGHTS, a memfd that is sealed against writing, growing and shrinking, so that what
// was shown is what will be written.
struct ChangeRequest {
  std::string path;  // bytes; absolute
  enum class What : std::uint8_t { write, remove } what = What::write;
  std::string why;  // as above
  friend bool operator==(const ChangeRequest&, const ChangeRequest&) = default;
};
// "request.payment": pay this. The key is the client's name for the payment: whatever is asked for with it, and however
// often, is paid once.
struct PaymentRequest {
  std::string amount, currency;  // "12.50", "USD": as the client wrote them, at most 40 bytes each
  std::string to, memo;          // bytes, at most 512 and 140
  std::string key;               // at most 64 bytes
  std::string why;               // as above
  friend bool operator==(const PaymentRequest&, const PaymentRequest&) = default;
};
// "request.message": send this to people. Body and attachments travel beside the line, one behind the other: one
// descriptor by SCM_RIGHTS, a memfd that is sealed as that of a change, and exactly as long as the sizes say.
struct MessageRequest {
  std::string via;              // the way to send, as the profile names it; at most 64 bytes
  std::vector<std::string> to;  // bytes, each as the client wrote it; 1 to 20, at most 1016 bytes each
  std::string subject;          // bytes, at most 200; empty: none
  std::uint64_t body = 0;       // bytes; at most 64 KiB
  struct Attachment {
    std::string name;        // bytes, at most 200
    std::uint64_t size = 0;  // bytes; together at most 10 MiB
    friend bool operator==(const Attachment&, const Attachment&) = default;
  };
  std::vector<Attachment> attachments;  // at most 10
  std::string why;                      // as above
  friend bool operator==(const MessageRequest&, const MessageRequest&) = default;
};
inline constexpr std::uint64_t most_body = 64 * 1024, most_attached = 10 * 1024 * 1024;
// "status": what may the room do?
struct StatusRequest {
  friend bool operator==(const StatusRequest&, const StatusRequest&) = default;
};
// These three are notifications: no answer of their own. Their "id" is that of a request on this very connection.
struct Cancel {  // "request.cancel": the verdict will be "cancelled"
  friend bool operator==(const Cancel&, const Cancel&) = default;
};
struct CommandSignal {      // "command.signal": to a command that runs
  std::int32_t signal = 0;  // 1 to 64
  friend bool operator==(const CommandSignal&, const CommandSignal&) = default;
};
struct CommandResize {  // "command.resize": its terminal
  WindowSize size;
  friend bool operator==(const CommandResize&, const CommandResize&) = default;
};

struct FromRoom {
  std::uint64_t id =
      0;  // of this request, chosen by the client; or the request that a notification is about. Below 2^53
  std::variant<CommandRequest, ChangeRequest, PaymentRequest, MessageRequest, StatusRequest, Cancel, CommandSignal,
               CommandResize>
      body;
  friend bool operator==(const FromRoom&, const FromRoom&) = default;
};

// ---- request.sock, to the room ---------------------------------------------------------------------------------------

// The result of request.command, request.change, request.payment and request.message. After "allow" of a command follow
// command.started and command.exited, or command.exited alone if it could not be started; after "allow" and "duplicate"
// of a payment follows payment.ended, after "allow" of a message message.ended. Of a change it says that it was made; what was allowed and could not be made gets a Refusal.
struct Verdict {
  enum class Kind : std::uint8_t {
    allow,
    deny,         // by a rule or the owner
    duplicate,    // the same thing was asked for at the same time, and done once
    expired,      // nobody answered in time
    unavailable,  // nobody can be asked, or it can't be recorded
    cancelled,    // by the one who asked
    pass          // only to a shim: no rule speaks of it, so the room's own program of that name is meant
  };
  Kind verdict = Kind::deny;
  std::string reason;   // for the agent: what happened, and what to do now
  std::string rule;     // which rule said so; empty: none
  std::string comment;  // bytes: the owner's own words; empty: none
  friend bool operator==(const Verdict&, const Verdict&) = default;
};
// The result of "status".
struct RoomStatus {
  struct Lists {
    std::vector<std::string> allow, ask, deny;  // rules, as the profile has them
    enum class Default : std::uint8_t { deny, ask, allow } otherwise = Default::deny;
    friend bool operator==(const Lists&, const Lists&) = default;
  };
  std::string session, profile;
  Lists commands, network;
  std::vector<std::string> traffic;   // what may still go out without a question, a line each
  std::vector<std::string> spending;  // what may still be spent without a question, a line each; empty: nothing is paid
  std::vector<std::string> messages;  // how and to whom messages may be sent, a line each; empty: nothing is sent
  std::uint64_t waiting = 0;          // questions of this session that are open
  friend bool operator==(const RoomStatus&, const RoomStatus&) = default;
};
// An error object in place of a result.
struct Refusal {
  Code code = Code::failed;
  std::string message;
  friend bool operator==(const Refusal&, const Refusal&) = default;
};
// Notifications about the request `id`.
//
// "command.started". With its first byte travel descriptors by SCM_RIGHTS: three (write to the first for the command's
// standard input, read its standard output and error from the others) or one, its terminal's master. A terminal that was
// wanted may be refused so. Output may also be a file that is complete already; read it to its end.
struct CommandStarted {
  friend bool operator==(const CommandStarted&, const CommandStarted&) = default;
};
struct CommandExited {  // "command.exited": {"code": 0} or {"signal": 15}
  enum class How : std::uint8_t { exited, killed } how = How::exited;
  std::int32_t number = 0;  // exit code 0 to 255 (126: not executable, 127: not found), or signal 1 to 64
  std::string reason;       // why it was not started, or was killed by agentbox; empty: it ended by itself
  friend bool operator==(const CommandExited&, const CommandExited&) = default;
};

// "request.delayed": it is allowed, and waits so long before it is done, in sight of the owner, who can take it back.
// What became of it is still said by the request's result.
struct RequestDelayed {
  std::uint64_t seconds = 0;  // that are left, 1 to 31536000
  friend bool operator==(const RequestDelayed&, const RequestDelayed&) = default;
};

struct PaymentEnded {  // "payment.ended": the last word about a payment
  enum class Outcome : std::uint8_t {
    paid,      // now, or before with this key
    not_paid,  // the same key may be used again
    unknown,   // nobody knows, and the owner must find out
    pending    // the same is being paid at this moment
  } outcome = Outcome::unknown;
  std::string reason;  // what there is to say about it; may be empty
  friend bool operator==(const PaymentEnded&, const PaymentEnded&) = default;
};

struct MessageEnded {  // "message.ended": the last word about a message
  enum class Outcome : std::uint8_t {
    sent,     // its program or server has taken it
    failed,   // it has not, and says so
    unknown,  // nobody knows: it may have been sent
  } outcome = Outcome::unknown;
  std::int32_t code =
      0;               // failed: the program's exit code, 1 to 255, or the server's HTTP status; 0: it was not reached
  std::string reason;  // what there is to say about it; may be empty
  friend bool operator==(const MessageEnded&, const MessageEnded&) = default;
};

struct ToRoom {
  std::optional<std::uint64_t> id;  // nothing only with a Refusal of what had no readable id
  std::variant<Verdict, RoomStatus, Refusal, CommandStarted, CommandExited, RequestDelayed, PaymentEnded, MessageEnded>
      body;
  friend bool operator==(const ToRoom&, const ToRoom&) = default;
};

// ---- control.sock, to the broker -------------------------------------------------------------------------------------

struct QuestionsList {  // "questions.list"
  friend bool operator==(const QuestionsList&, const QuestionsList&) = default;
};
// "questions.subscribe": as questions.list, and from then on question.added, question.changed, question.gone,
// session.flooded and session.calm.
struct QuestionsSubscribe {
  friend bool operator==(const QuestionsSubscribe&, const QuestionsSubscribe&) = default;
};
struct QuestionAnswer {  // "question.answer"
  std::string question;  // its id
  std::string digest;    // of the question that was shown: 64 hexadecimal digits, lower case
  enum class Answer : std::uint8_t { once, session, always, deny, deny_session } answer = Answer::deny;
  std::uint64_t scope = 0;  // which of the offered scopes, with "session" and "always"; below 100
  std::string comment;      // bytes, at most 500; for the agent
  std::string phrase;       // of the question, where it has one and the answer is a yes
  friend bool operator==(const QuestionAnswer&, const QuestionAnswer&) = default;
};
struct SessionShow {  // "session.show"
  friend bool operator==(const SessionShow&, const SessionShow&) = default;
};

// "session.choose": what becomes of a session that has used up its budget of questions. None of it allows anything.
struct SessionChoose {
  enum class Choice : std::uint8_t {
    pause,      // the agent stands still
    deny_rest,  // of this session, without asking
    go_on       // with so many more questions
  } choice = Choice::pause;
  friend bool operator==(const SessionChoose&, const SessionChoose&) = default;
};

struct FromControl {
  std::uint64_t id = 0;
  std::variant<QuestionsList, QuestionsSubscribe, QuestionAnswer, SessionShow, SessionChoose> body;
  friend bool operator==(const FromControl&, const FromControl&) = default;
};

// ---- control.sock, from the broker -----------------------------------------------------------------------------------

// prompt::Question as values of this protocol. All text is raw: whoever shows it escapes it.
struct WireQuestion {
  std::string id, session, profile;
  std::string kind;  // "command", "change", "connect", ...
  std::string digest, title;
  // How `subject` and the scopes were made. quoted: by base::quote, so that every backslash in them is an escape already.
  // One that is said to be and isn't could look like another: it is never guessed from the text.
  enum class Form : std::uint8_t { raw, quoted } form = Form::raw;
  std::string subject;  // bytes
  struct Fact {
    std::string label;
    std::string value;  // bytes
    enum class Weight : std::uint8_t { normal, warning } weight = Weight::normal;
    enum class Shown : std::uint8_t { always, details } shown = Shown::always;
    friend bool operator==(const Fact&, const Fact&) = default;
  };
  std::vector<Fact> facts;
  std::string said;           // bytes
  std::string content_title;  // "what would change"
  enum class Content : std::uint8_t { text, diff } content_form = Content::text;
  std::string content;                                      // bytes
  std::vector<std::string> session_scopes, lasting_scopes;  // bytes
  std::string why_not_session, why_not_lasting;             // bytes: why there are none; may be empty
  std::string phrase;                                       // must be typed, and come back with a yes; empty: none
  // Milliseconds since 1970, by the broker's clock; a deadline of 0: none. `sent`: when this was written, so that a
  // reader whose clock differs (through ssh) knows how much time is left.
  std::int64_t asked = 0, deadline = 0, sent = 0;
  std::uint64_t waiting = 0;  // other questions behind this one
  // prompt::Opinion: a model's. Where the profile names no reviewer there is none.
  struct Opinion {
    enum class Says : std::uint8_t { nothing_yet, agrees, objects, silent } says = Says::nothing_yet;
    std::uint64_t risk = 0;  // 0 to 10
    std::string reason;      // bytes
    friend bool operator==(const Opinion&, const Opinion&) = default;
  };
  std::optional<Opinion> opinion;
  std::int64_t earliest = 0;  // as the deadline: before it a yes doesn't count; 0: at once
  // delayed: allowed, and done at the deadline; a no cancels it
  enum class Stage : std::uint8_t { asked, delayed } stage = Stage::asked;
  friend bool operator==(const WireQuestion&, const WireQuestion&) = default;
};

// prompt::Flood: the session has used up its budget of questions, and no more are shown until a choice is made.
struct WireFlood {
  std::string session, profile;
  std::uint64_t questions = 0;  // were put
  std::uint64_t within = 0;     // this many seconds
  std::uint64_t more = 0;       // so many `go_on` grants
  std::uint64_t waiting = 0;    // open, shown or not
  enum class Agent : std::uint8_t {
    runs,
    paused,
    elsewhere  // it can't be paused: there is no room
  } agent = Agent::runs;
  std::vector<std::string> latest;      // bytes; what was asked for, a line each, the newest first; at most 100
  std::int64_t deadline = 0, sent = 0;  // as of a question; of the oldest that waits
  friend bool operator==(const WireFlood&, const WireFlood&) = default;
};

struct Questions {  // the result of questions.list and questions.subscribe: the oldest first
  std::vector<WireQuestion> questions;
  std::optional<WireFlood> flood;
  friend bool operator==(const Questions&, const Questions&) = default;
};
struct AnswerTaken {  // the result of question.answer and session.choose
  enum class Outcome : std::uint8_t {
    taken,
    gone,        // answered elsewhere, expired or cancelled; there is nothing to choose
    changed,     // the digest is another question's
    not_offered  // this answer, this scope or this choice was not offered
  };
  Outcome outcome = Outcome::taken;
  std::string reason;
  friend bool operator==(const AnswerTaken&, const AnswerTaken&) = default;
};
struct SessionStatus {  // the result of session.show
  std::string session, profile;
  std::string workspace;                                          // bytes; empty: there is no room
  std::int64_t started = 0;                                       // milliseconds since 1970
  std::uint64_t pid = 0;                                          // of the broker's process
  std::uint64_t asked = 0, allowed = 0, denied = 0, waiting = 0;  // questions
  friend bool operator==(const SessionStatus&, const SessionStatus&) = default;
};
// Notifications.
struct QuestionAdded {  // "question.added"
  WireQuestion question;
  friend bool operator==(const QuestionAdded&, const QuestionAdded&) = default;
};
struct QuestionChanged {  // "question.changed": one more waits behind it, the reviewer has spoken, it was allowed, ...
  WireQuestion question;
  friend bool operator==(const QuestionChanged&, const QuestionChanged&) = default;
};
struct QuestionGone {    // "question.gone"
  std::string question;  // its id
  Verdict::Kind verdict = Verdict::Kind::deny;
  std::string by;  // "terminal", "control", "rule", "limit", "clock", "requester", "fault"
  friend bool operator==(const QuestionGone&, const QuestionGone&) = default;
};

struct SessionFlooded {  // "session.flooded"; again with each change
  WireFlood flood;
  friend bool operator==(const SessionFlooded&, const SessionFlooded&) = default;
};
struct SessionCalm {  // "session.calm": a choice was made, or nothing waits any more
  friend bool operator==(const SessionCalm&, const SessionCalm&) = default;
};

struct ToControl {
  std::optional<std::uint64_t> id;  // nothing with notifications, and with a Refusal of what had no readable id
  std::variant<Questions, AnswerTaken, SessionStatus, Refusal, QuestionAdded, QuestionChanged, QuestionGone,
               SessionFlooded, SessionCalm>
      body;
  friend bool operator==(const ToControl&, const ToControl&) = default;
};

// ---- bytes ↔ values ---------------------------------------------------------------------------------------------------

// One line each, with its newline. Precondition: text that is not marked as bytes is UTF-8; what isn't is sent with
// U+FFFD in its place. A value out of its range is sent as it is, and refused by the reader.
[[nodiscard]] std::string encode(const FromRoom& message);
[[nodiscard]] std::string encode(const ToRoom& message);
[[nodiscard]] std::string encode(const FromControl& message);
[[nodiscard]] std::string encode(const ToControl& message);

// `line` without its newline.
[[nodiscard]] Decoded<FromRoom> decode_from_room(std::string_view line);
[[nodiscard]] Decoded<ToRoom> decode_to_room(std::string_view line);
[[nodiscard]] Decoded<FromControl> decode_from_control(std::string_view line);
[[nodiscard]] Decoded<ToControl> decode_to_control(std::string_view line);

// What to send for a line that was refused.
[[nodiscard]] std::string encode(const Fault& fault);

}  // namespace agentbox::wire
