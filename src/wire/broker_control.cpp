// The messages of control.sock, between the broker and whoever shows questions to the owner.

#include <array>
#include <span>
#include <string_view>

#include "rpc.hpp"

namespace agentbox::wire {

namespace {

constexpr std::size_t most_questions = 10000;
constexpr std::size_t most_facts = 1000;
constexpr std::size_t most_scopes = 100;
constexpr std::size_t most_comment = 500;
constexpr std::array<std::string_view, 5> answers{"once", "session", "always", "deny", "deny_session"};
constexpr std::array<std::string_view, 4> outcomes{"taken", "gone", "changed", "not_offered"};
constexpr std::array<std::string_view, 2> weights{"normal", "warning"};
constexpr std::array<std::string_view, 2> places{"always", "details"};
constexpr std::array<std::string_view, 2> forms{"raw", "quoted"};
constexpr std::array<std::string_view, 4> says{"nothing_yet", "agrees", "objects", "silent"};
constexpr std::array<std::string_view, 2> stages{"asked", "delayed"};
constexpr std::size_t most_opinion = 2000;
constexpr std::array<std::string_view, 2> content_forms{"text", "diff"};
constexpr std::size_t most_latest = 100;
constexpr std::array<std::string_view, 3> choices{"pause", "deny_rest", "go_on"};
constexpr std::array<std::string_view, 3> agents{"runs", "paused", "elsewhere"};
constexpr std::array<std::string_view, 6> verdicts{"allow", "deny", "duplicate", "expired", "unavailable", "cancelled"};

std::string_view name(std::span<const std::string_view> names, auto value) {
  auto at = static_cast<std::size_t>(value);
  return at < names.size() ? names[at] : std::string_view();
}

// ---- writing ----

std::string write(std::uint64_t id, const QuestionsList& /*list*/) {
  return write_request(id, "questions.list");
}
std::string write(std::uint64_t id, const QuestionsSubscribe& /*subscribe*/) {
  return write_request(id, "questions.subscribe");
}
std::string write(std::uint64_t id, const SessionShow& /*show*/) {
  return write_request(id, "session.show");
}
std::string write(std::uint64_t id, const SessionChoose& choose) {
  return write_request(id, "session.choose", Json{{"choice", name(choices, choose.choice)}});
}
std::string write(std::uint64_t id, const QuestionAnswer& answer) {
  Json params{{"id", text(answer.question)}, {"digest", text(answer.digest)}, {"answer", name(answers, answer.answer)}};
  if (answer.scope != 0) params["scope"] = answer.scope;
  put_bytes(params, "comment", answer.comment);
  put_text(params, "phrase", answer.phrase);
  return write_request(id, "question.answer", std::move(params));
}

Json to_json(const WireQuestion& question) {
  Json facts = Json::array();
  for (const WireQuestion::Fact& fact : question.facts) {
    facts.push_back(Json{{"label", text(fact.label)},
                         {"value", bytes(fact.value)},
                         {"weight", name(weights, fact.weight)},
                         {"shown", name(places, fact.shown)}});
  }
  Json json{{"id", text(question.id)},
            {"session", text(question.session)},
            {"profile", text(question.profile)},
            {"kind", text(question.kind)},
            {"digest", text(question.digest)},
            {"title", text(question.title)},
            {"form", name(forms, question.form)},
            {"subject", bytes(question.subject)},
            {"facts", std::move(facts)},
            {"said", bytes(question.said)},
            {"content_title", text(question.content_title)},
            {"content_form", name(content_forms, question.content_form)},
            {"content", bytes(question.content)},
            {"session_scopes", byte_list(question.session_scopes)},
            {"lasting_scopes", byte_list(question.lasting_scopes)},
            {"why_not_session", bytes(question.why_not_session)},
            {"why_not_lasting", bytes(question.why_not_lasting)}};
  put_text(json, "phrase", question.phrase);
  json["asked"] = question.asked;
  json["deadline"] = question.deadline;
  json["sent"] = question.sent;
  json["waiting"] = question.waiting;
  if (question.opinion) {
    json["opinion"] = Json{{"says", name(says, question.opinion->says)},
                           {"risk", question.opinion->risk},
                           {"reason", bytes(question.opinion->reason)}};
  }
  if (question.earliest != 0) json["earliest"] = question.earliest;
  if (question.stage != WireQuestion::Stage::asked) json["stage"] = name(stages, question.stage);
  return json;
}

Json to_json(const WireFlood& flood) {
  return Json{{"session", text(flood.session)},
              {"profile", text(flood.profile)},
              {"questions", flood.questions},
              {"within", flood.within},
              {"more", flood.more},
              {"waiting", flood.waiting},
              {"agent", name(agents, flood.agent)},
              {"latest", byte_list(flood.latest)},
              {"deadline", flood.deadline},
              {"sent", flood.sent}};
}

using Id = std::optional<std::uint64_t>;

std::string write(Id id, const Questions& questions) {
  Json list = Json::array();
  for (const WireQuestion& question : questions.questions) list.push_back(to_json(question));
  Json result{{"questions", std::move(list)}};
  if (questions.flood) result["flood"] = to_json(*questions.flood);
  return write_result(id, std::move(result));
}
std::string write(Id id, const AnswerTaken& taken) {
  return write_result(id, Json{{"outcome", name(outcomes, taken.outcome)}, {"reason", text(taken.reason)}});
}
std::string write(Id id, const SessionStatus& status) {
  return write_result(id, Json{{"session", text(status.session)},
                               {"profile", text(status.profile)},
                               {"workspace", bytes(status.workspace)},
                               {"started", status.started},
                               {"pid", status.pid},
                               {"asked", status.asked},
                               {"allowed", status.allowed},
                               {"denied", status.denied},
                               {"waiting", status.waiting}});
}
std::string write(Id id, const Refusal& refusal) {
  return write_error(id, refusal.code, refusal.message);
}
std::string write(Id /*id*/, const QuestionAdded& added) {
  return write_notification("question.added", Json{{"question", to_json(added.question)}});
}
std::string write(Id /*id*/, const QuestionChanged& changed) {
  return write_notification("question.changed", Json{{"question", to_json(changed.question)}});
}
std::string write(Id /*id*/, const QuestionGone& gone) {
  return write_notification(
      "question.gone",
      Json{{"id", text(gone.question)}, {"verdict", name(verdicts, gone.verdict)}, {"by", text(gone.by)}});
}

std::string write(Id /*id*/, const SessionFlooded& flooded) {
  return write_notification("session.flooded", Json{{"flood", to_json(flooded.flood)}});
}
std::string write(Id /*id*/, const SessionCalm& /*calm*/) {
  return write_notification("session.calm", Json::object());
}

// ---- reading ----

std::string read_digest(Fields& fields) {
  std::string digest = fields.text("digest", 64);
  if (digest.size() != 64 || digest.find_first_not_of("0123456789abcdef") != std::string::npos) {
    fields.refuse("digest", "must be 64 hexadecimal digits, lower case");
  }
  return digest;
}

QuestionAnswer read_answer(Fields& fields) {
  QuestionAnswer answer{.question = fields.text("id", most_name), .digest = read_digest(fields)};
  answer.answer = static_cast<QuestionAnswer::Answer>(fields.choice("answer", answers));
  answer.scope = fields.number_or("scope", 0, most_scopes - 1);
  answer.comment = fields.bytes_or_none("comment", most_comment);
  answer.phrase = fields.text_or_none("phrase", most_name);
  bool remembered = answer.answer == QuestionAnswer::Answer::session || answer.answer == QuestionAnswer::Answer::always;
  if (answer.scope != 0 && !remembered) fields.refuse("scope", "goes with session and always");
  return answer;
}

FromControl read_from_control(const Json& json) {
  Call call = read_call(json);
  Fields fields = call.fields();
  FromControl message{.id = need_id(call.id)};
  if (call.method == "questions.list") {
    message.body = QuestionsList{};
  } else if (call.method == "questions.subscribe") {
    message.body = QuestionsSubscribe{};
  } else if (call.method == "question.answer") {
    message.body = read_answer(fields);
  } else if (call.method == "session.show") {
    message.body = SessionShow{};
  } else if (call.method == "session.choose") {
    message.body = SessionChoose{static_cast<SessionChoose::Choice>(fields.choice("choice", choices))};
  } else {
    unknown_method(call);
  }
  fields.end();
  return message;
}

WireQuestion::Fact read_fact(Fields& fields) {
  WireQuestion::Fact fact{.label = fields.text("label", most_name), .value = fields.bytes("value", most_text)};
  fact.weight = static_cast<WireQuestion::Fact::Weight>(fields.choice("weight", weights));
  fact.shown = static_cast<WireQuestion::Fact::Shown>(fields.choice("shown", places));
  fields.end();
  return fact;
}

WireQuestion::Opinion read_opinion(Fields fields) {
  WireQuestion::Opinion opinion{.says = static_cast<WireQuestion::Opinion::Says>(fields.choice("says", says)),
                                .risk = fields.number("risk", 0, 10),
                                .reason = fields.bytes("reason", most_opinion)};
  fields.end();
  return opinion;
}

WireQuestion read_question(Fields fields) {
  WireQuestion question{.id = fields.text("id", most_name),
                        .session = fields.text("session", most_name),
                        .profile = fields.text("profile", most_path),
                        .kind = fields.text("kind", most_name),
                        .digest = read_digest(fields),
                        .title = fields.text("title", most_name),
                        .form = static_cast<WireQuestion::Form>(fields.choice("form", forms)),
                        .subject = fields.bytes("subject", most_text)};
  for (Fields& fact : fields.objects("facts", most_facts)) question.facts.push_back(read_fact(fact));
  question.said = fields.bytes("said", most_text);
  question.content_title = fields.text("content_title", most_name);
  question.content_form = static_cast<WireQuestion::Content>(fields.choice("content_form", content_forms));
  question.content = fields.bytes("content", most_text);
  question.session_scopes = fields.byte_list("session_scopes", 0, most_scopes);
  question.lasting_scopes = fields.byte_list("lasting_scopes", 0, most_scopes);
  question.why_not_session = fields.bytes("why_not_session", most_text);
  question.why_not_lasting = fields.bytes("why_not_lasting", most_text);
  question.phrase = fields.text_or_none("phrase", most_name);
  question.asked = static_cast<std::int64_t>(fields.number("asked", 0, most_number));
  question.deadline = static_cast<std::int64_t>(fields.number("deadline", 0, most_number));
  question.sent = static_cast<std::int64_t>(fields.number("sent", 0, most_number));
  question.waiting = fields.number("waiting", 0, most_number);
  if (fields.has("opinion")) question.opinion = read_opinion(fields.object("opinion"));
  question.earliest = static_cast<std::int64_t>(fields.number_or("earliest", 0, most_number));
  if (fields.has("stage")) question.stage = static_cast<WireQuestion::Stage>(fields.choice("stage", stages));
  fields.end();
  return question;
}

WireFlood read_flood(Fields fields) {
  WireFlood flood{.session = fields.text("session", most_name),
                  .profile = fields.text("profile", most_path),
                  .questions = fields.number("questions", 0, most_number),
                  .within = fields.number("within", 0, most_number),
                  .more = fields.number("more", 0, most_number),
                  .waiting = fields.number("waiting", 0, most_number),
                  .agent = static_cast<WireFlood::Agent>(fields.choice("agent", agents)),
                  .latest = fields.byte_list("latest", 0, most_latest)};
  flood.deadline = static_cast<std::int64_t>(fields.number("deadline", 0, most_number));
  flood.sent = static_cast<std::int64_t>(fields.number("sent", 0, most_number));
  fields.end();
  return flood;
}

SessionStatus read_session(Fields& fields) {
  return {.session = fields.text("session", most_name),
          .profile = fields.text("profile", most_path),
          .workspace = fields.bytes("workspace", most_path),
          .started = static_cast<std::int64_t>(fields.number("started", 0, most_number)),
          .pid = fields.number("pid", 0, most_number),
          .asked = fields.number("asked", 0, most_number),
          .allowed = fields.number("allowed", 0, most_number),
          .denied = fields.number("denied", 0, most_number),
          .waiting = fields.number("waiting", 0, most_number)};
}

ToControl read_result(std::uint64_t id, const Json& result) {
  Fields fields(result, "result", Code::not_a_request);
  ToControl message{.id = id};
  if (fields.has("questions")) {
    Questions all;
    for (Fields& question : fields.objects("questions", most_questions)) {
      all.questions.push_back(read_question(question));
    }
    if (fields.has("flood")) all.flood = read_flood(fields.object("flood"));
    message.body = std::move(all);
  } else if (fields.has("outcome")) {
    auto outcome = static_cast<AnswerTaken::Outcome>(fields.choice("outcome", outcomes));
    message.body = AnswerTaken{outcome, fields.text("reason", most_text)};
  } else {
    message.body = read_session(fields);
  }
  fields.end();
  return message;
}

QuestionGone read_gone(Fields& fields) {
  return {.question = fields.text("id", most_name),
          .verdict = static_cast<Verdict::Kind>(fields.choice("verdict", verdicts)),
          .by = fields.text("by", most_name)};
}

ToControl read_to_control(const Json& json) {
  if (!is_call(json)) {
    Reply reply = read_reply(json);
    if (reply.error) return {reply.id, *std::move(reply.error)};
    return read_result(need_id(reply.id), *reply.result);
  }
  Call call = read_call(json);
  refuse_id(call);
  Fields fields = call.fields();
  ToControl message;
  if (call.method == "question.added") {
    message.body = QuestionAdded{read_question(fields.object("question"))};
  } else if (call.method == "question.changed") {
    message.body = QuestionChanged{read_question(fields.object("question"))};
  } else if (call.method == "question.gone") {
    message.body = read_gone(fields);
  } else if (call.method == "session.flooded") {
    message.body = SessionFlooded{read_flood(fields.object("flood"))};
  } else if (call.method == "session.calm") {
    message.body = SessionCalm{};
  } else {
    unknown_method(call);
  }
  fields.end();
  return message;
}

}  // namespace

std::string encode(const FromControl& message) {
  return std::visit([&](const auto& body) { return write(message.id, body); }, message.body);
}
std::string encode(const ToControl& message) {
  return std::visit([&](const auto& body) { return write(message.id, body); }, message.body);
}
Decoded<FromControl> decode_from_control(std::string_view line) {
  return decode_line<FromControl>(line, line_limit, read_from_control);
}
Decoded<ToControl> decode_to_control(std::string_view line) {
  return decode_line<ToControl>(line, control_reply_limit, read_to_control);
}

}  // namespace agentbox::wire
