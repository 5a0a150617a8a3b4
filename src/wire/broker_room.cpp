// The messages of request.sock. What comes from the room is hostile.

#include <array>
#include <span>
#include <string_view>

#include "rpc.hpp"

namespace agentbox::wire {

namespace {

constexpr std::size_t most_words = 4096;
constexpr std::size_t most_rules = 4096;
constexpr std::size_t most_why = 2000;
constexpr std::uint64_t most_delay = 365 * 24 * 3600;  // seconds
constexpr std::size_t most_word = 40, most_key = 64, most_recipient = 512, most_memo = 140, most_limits = 20;
constexpr std::size_t most_raw_recipient = 1016, most_recipients = 20, most_subject = 200, most_attachments = 10,
                      most_file_name = 200, most_lines = 10000;
constexpr std::array<std::string_view, 3> message_outcomes{"sent", "failed", "unknown"};
constexpr std::array<std::string_view, 4> payment_outcomes{"paid", "not_paid", "unknown", "pending"};
constexpr std::array<std::string_view, 2> whats{"write", "remove"};
constexpr std::array<std::string_view, 7> verdicts{"allow",       "deny",      "duplicate", "expired",
                                                   "unavailable", "cancelled", "pass"};
constexpr std::array<std::string_view, 3> defaults{"deny", "ask", "allow"};

std::string_view name(std::span<const std::string_view> names, auto value) {
  auto at = static_cast<std::size_t>(value);
  return at < names.size() ? names[at] : std::string_view();
}

// ---- writing ----

Json size(const WindowSize& window) {
  return Json{{"rows", window.rows}, {"columns", window.columns}};
}

std::string write(std::uint64_t id, const CommandRequest& request) {
  Json params{{"argv", byte_list(request.argv)}, {"directory", bytes(request.directory)}};
  put_bytes(params, "why", request.why);
  if (request.terminal) params["terminal"] = size(*request.terminal);
  if (request.from == CommandRequest::From::shim) params["shim"] = true;
  return write_request(id, "request.command", std::move(params));
}
std::string write(std::uint64_t id, const ChangeRequest& request) {
  Json params{{"path", bytes(request.path)}, {"what", name(whats, request.what)}};
  put_bytes(params, "why", request.why);
  return write_request(id, "request.change", std::move(params));
}
std::string write(std::uint64_t id, const PaymentRequest& request) {
  Json params{{"amount", text(request.amount)}, {"currency", text(request.currency)}, {"to", bytes(request.to)}};
  put_bytes(params, "memo", request.memo);
  params["key"] = text(request.key);
  put_bytes(params, "why", request.why);
  return write_request(id, "request.payment", std::move(params));
}
std::string write(std::uint64_t id, const MessageRequest& request) {
  Json params{{"via", text(request.via)}, {"to", byte_list(request.to)}};
  put_bytes(params, "subject", request.subject);
  params["body"] = request.body;
  if (!request.attachments.empty()) {
    Json attachments = Json::array();
    for (const MessageRequest::Attachment& one : request.attachments) {
      attachments.push_back(Json{{"name", bytes(one.name)}, {"size", one.size}});
    }
    params["attachments"] = std::move(attachments);
  }
  put_bytes(params, "why", request.why);
  return write_request(id, "request.message", std::move(params));
}
std::string write(std::uint64_t id, const StatusRequest& /*request*/) {
  return write_request(id, "status");
}
std::string write(std::uint64_t id, const Cancel& /*cancel*/) {
  return write_notification("request.cancel", Json{{"id", id}});
}
std::string write(std::uint64_t id, const CommandSignal& signal) {
  return write_notification("command.signal", Json{{"id", id}, {"signal", signal.signal}});
}
std::string write(std::uint64_t id, const CommandResize& resize) {
  return write_notification("command.resize", Json{{"id", id}, {"terminal", size(resize.size)}});
}

Json lists(const RoomStatus::Lists& value) {
  return Json{{"allow", text_list(value.allow)},
              {"ask", text_list(value.ask)},
              {"deny", text_list(value.deny)},
              {"default", name(defaults, value.otherwise)}};
}

std::string write(std::optional<std::uint64_t> id, const Verdict& verdict) {
  Json result{{"verdict", name(verdicts, verdict.verdict)}, {"reason", text(verdict.reason)}};
  put_text(result, "rule", verdict.rule);
  put_bytes(result, "comment", verdict.comment);
  return write_result(id, std::move(result));
}
std::string write(std::optional<std::uint64_t> id, const RoomStatus& status) {
  Json result{{"session", text(status.session)},
              {"profile", text(status.profile)},
              {"commands", lists(status.commands)},
              {"network", lists(status.network)}};
  if (!status.traffic.empty()) result["traffic"] = text_list(status.traffic);
  if (!status.spending.empty()) result["spending"] = text_list(status.spending);
  if (!status.messages.empty()) result["messages"] = text_list(status.messages);
  result["waiting"] = status.waiting;
  return write_result(id, std::move(result));
}
std::string write(std::optional<std::uint64_t> id, const Refusal& refusal) {
  return write_error(id, refusal.code, refusal.message);
}
std::string write(std::optional<std::uint64_t> id, const CommandStarted& /*started*/) {
  return write_notification("command.started", Json{{"id", id.value_or(0)}});
}
std::string write(std::optional<std::uint64_t> id, const CommandExited& exited) {
  const char* key = exited.how == CommandExited::How::exited ? "code" : "signal";
  Json params{{"id", id.value_or(0)}, {key, exited.number}};
  put_text(params, "reason", exited.reason);
  return write_notification("command.exited", std::move(params));
}

std::string write(std::optional<std::uint64_t> id, const RequestDelayed& delayed) {
  return write_notification("request.delayed", Json{{"id", id.value_or(0)}, {"seconds", delayed.seconds}});
}

std::string write(std::optional<std::uint64_t> id, const PaymentEnded& ended) {
  Json params{{"id", id.value_or(0)}, {"outcome", name(payment_outcomes, ended.outcome)}};
  put_text(params, "reason", ended.reason);
  return write_notification("payment.ended", std::move(params));
}

std::string write(std::optional<std::uint64_t> id, const MessageEnded& ended) {
  Json params{{"id", id.value_or(0)}, {"outcome", name(message_outcomes, ended.outcome)}};
  if (ended.code != 0) params["code"] = ended.code;
  put_text(params, "reason", ended.reason);
  return write_notification("message.ended", std::move(params));
}

// ---- reading ----

WindowSize read_size(Fields fields) {
  WindowSize window{static_cast<std::uint16_t>(fields.number("rows", 1, 10000)),
                    static_cast<std::uint16_t>(fields.number("columns", 1, 10000))};
  fields.end();
  return window;
}

std::string read_path(Fields& fields, std::string_view key) {
  std::string path = fields.bytes(key, most_path);
  if (!path.starts_with('/')) fields.refuse(key, "must be absolute");
  return path;
}

CommandRequest read_command(Fields& fields) {
  CommandRequest request{.argv = fields.byte_list("argv", 1, most_words), .directory = read_path(fields, "directory")};
  request.why = fields.bytes_or_none("why", most_why);
  if (fields.has("terminal")) request.terminal = read_size(fields.object("terminal"));
  if (fields.flag("shim")) request.from = CommandRequest::From::shim;
  return request;
}

ChangeRequest read_change(Fields& fields) {
  ChangeRequest request{.path = read_path(fields, "path")};
  request.what = static_cast<ChangeRequest::What>(fields.choice("what", whats));
  request.why = fields.bytes_or_none("why", most_why);
  return request;
}

PaymentRequest read_payment(Fields& fields) {
  PaymentRequest request{.amount = fields.text("amount", most_word), .currency = fields.text("currency", most_word)};
  request.to = fields.bytes("to", most_recipient);
  request.memo = fields.bytes_or_none("memo", most_memo);
  request.key = fields.text("key", most_key);
  request.why = fields.bytes_or_none("why", most_why);
  return request;
}

MessageRequest read_message(Fields& fields) {
  MessageRequest request{.via = fields.text("via", most_key), .to = fields.byte_list("to", 1, most_recipients)};
  for (const std::string& one : request.to) {
    if (one.size() > most_raw_recipient) fields.refuse("to", "holds a recipient that is too long");
  }
  request.subject = fields.bytes_or_none("subject", most_subject);
  request.body = fields.number("body", 0, most_body);
  std::uint64_t left = most_attached;
  if (fields.has("attachments")) {
    for (Fields& one : fields.objects("attachments", most_attachments)) {
      MessageRequest::Attachment attachment{.name = one.bytes("name", most_file_name),
                                            .size = one.number("size", 0, left)};
      one.end();
      left -= attachment.size;
      request.attachments.push_back(std::move(attachment));
    }
  }
  request.why = fields.bytes_or_none("why", most_why);
  return request;
}

std::int32_t read_signal(Fields& fields) {
  return static_cast<std::int32_t>(fields.number("signal", 1, 64));
}

FromRoom read_from_room(const Json& json) {
  Call call = read_call(json);
  Fields fields = call.fields();
  FromRoom message;
  auto request = [&](auto body) { message = {need_id(call.id), std::move(body)}; };
  auto notification = [&](auto body) {
    refuse_id(call);
    message = {fields.number("id", 0, most_number), std::move(body)};
  };
  if (call.method == "request.command") {
    request(read_command(fields));
  } else if (call.method == "request.change") {
    request(read_change(fields));
  } else if (call.method == "request.payment") {
    request(read_payment(fields));
  } else if (call.method == "request.message") {
    request(read_message(fields));
  } else if (call.method == "status") {
    request(StatusRequest{});
  } else if (call.method == "request.cancel") {
    notification(Cancel{});
  } else if (call.method == "command.signal") {
    notification(CommandSignal{read_signal(fields)});
  } else if (call.method == "command.resize") {
    notification(CommandResize{read_size(fields.object("terminal"))});
  } else {
    unknown_method(call);
  }
  fields.end();
  return message;
}

RoomStatus::Lists read_lists(Fields fields) {
  RoomStatus::Lists value{.allow = fields.text_list("allow", most_rules),
                          .ask = fields.text_list("ask", most_rules),
                          .deny = fields.text_list("deny", most_rules)};
  value.otherwise = static_cast<RoomStatus::Lists::Default>(fields.choice("default", defaults));
  fields.end();
  return value;
}

ToRoom read_result(std::uint64_t id, const Json& result) {
  Fields fields(result, "result", Code::not_a_request);
  ToRoom message{.id = id};
  if (fields.has("verdict")) {
    Verdict verdict{static_cast<Verdict::Kind>(fields.choice("verdict", verdicts)), fields.text("reason", most_text)};
    verdict.rule = fields.text_or_none("rule", most_text);
    verdict.comment = fields.bytes_or_none("comment", most_text);
    message.body = std::move(verdict);
  } else {
    RoomStatus status{.session = fields.text("session", most_name),
                      .profile = fields.text("profile", most_path),
                      .commands = read_lists(fields.object("commands")),
                      .network = read_lists(fields.object("network"))};
    if (fields.has("traffic")) status.traffic = fields.text_list("traffic", most_limits);
    if (fields.has("spending")) status.spending = fields.text_list("spending", most_limits);
    if (fields.has("messages")) status.messages = fields.text_list("messages", most_lines);
    status.waiting = fields.number("waiting", 0, most_number);
    message.body = std::move(status);
  }
  fields.end();
  return message;
}

CommandExited read_exited(Fields& fields) {
  if (fields.has("code") == fields.has("signal")) fields.refuse("code", "or params.signal, one of the two");
  CommandExited exited;
  if (fields.has("signal")) {
    exited = {CommandExited::How::killed, read_signal(fields), {}};
  } else {
    exited.number = static_cast<std::int32_t>(fields.number("code", 0, 255));
  }
  exited.reason = fields.text_or_none("reason", most_text);
  return exited;
}

ToRoom read_to_room(const Json& json) {
  if (!is_call(json)) {
    Reply reply = read_reply(json);
    if (reply.error) return {reply.id, *std::move(reply.error)};
    return read_result(need_id(reply.id), *reply.result);
  }
  Call call = read_call(json);
  refuse_id(call);
  Fields fields = call.fields();
  ToRoom message{.id = fields.number("id", 0, most_number)};
  if (call.method == "command.started") {
    message.body = CommandStarted{};
  } else if (call.method == "command.exited") {
    message.body = read_exited(fields);
  } else if (call.method == "request.delayed") {
    message.body = RequestDelayed{fields.number("seconds", 1, most_delay)};
  } else if (call.method == "payment.ended") {
    PaymentEnded ended{static_cast<PaymentEnded::Outcome>(fields.choice("outcome", payment_outcomes)), {}};
    ended.reason = fields.text_or_none("reason", most_text);
    message.body = std::move(ended);
  } else if (call.method == "message.ended") {
    MessageEnded ended{.outcome = static_cast<MessageEnded::Outcome>(fields.choice("outcome", message_outcomes))};
    ended.code = static_cast<std::int32_t>(fields.number_or("code", 0, 999));
    ended.reason = fields.text_or_none("reason", most_text);
    message.body = std::move(ended);
  } else {
    unknown_method(call);
  }
  fields.end();
  return message;
}

}  // namespace

std::string encode(const FromRoom& message) {
  return std::visit([&](const auto& body) { return write(message.id, body); }, message.body);
}
std::string encode(const ToRoom& message) {
  return std::visit([&](const auto& body) { return write(message.id, body); }, message.body);
}
Decoded<FromRoom> decode_from_room(std::string_view line) {
  return decode_line<FromRoom>(line, line_limit, read_from_room);
}
Decoded<ToRoom> decode_to_room(std::string_view line) {
  return decode_line<ToRoom>(line, line_limit, read_to_room);
}

}  // namespace agentbox::wire
