#include <nlohmann/json.hpp>

#include "approve.hpp"

namespace agentbox::cli {

namespace {

using Json = nlohmann::ordered_json;

// What stands on the wire, where it stands: the same fields with the same names, and bytes told apart from text.
Json on_the_wire(const wire::ToControl& message, const char* at) {
  return Json::parse(wire::encode(message)).at(at);
}

// Escaped to ASCII: a terminal acts upon none of it. Whoever may choose bytes here might not send UTF-8.
std::string line_of(const Json& json) {
  return json.dump(-1, ' ', true, Json::error_handler_t::replace);
}

}  // namespace

std::string json_line(std::string_view event, const std::string& session, const wire::WireQuestion& question) {
  Json params = on_the_wire({.id = {}, .body = wire::QuestionAdded{question}}, "params");
  return line_of(Json{{"event", event}, {"session", session}, {"question", params.at("question")}});
}

std::string json_line(const std::string& session, const wire::QuestionGone& gone) {
  Json json{{"event", "gone"}, {"session", session}};
  json.update(on_the_wire({.id = {}, .body = gone}, "params"));
  return line_of(json);
}

std::string json_line(const std::string& session, const wire::WireFlood& flood) {
  Json params = on_the_wire({.id = {}, .body = wire::SessionFlooded{flood}}, "params");
  return line_of(Json{{"event", "flood"}, {"session", session}, {"flood", params.at("flood")}});
}

std::string json_line_calm(const std::string& session) {
  return line_of(Json{{"event", "calm"}, {"session", session}});
}

std::string json_line(const std::string& session, const std::string& id, std::string_view answer,
                      const std::string& remembered, const wire::AnswerTaken& taken) {
  Json json{{"session", session}, {"id", id}, {"answer", answer}};
  if (!remembered.empty()) json["remembered"] = remembered;
  json.update(on_the_wire({.id = 1, .body = taken}, "result"));
  return line_of(json);
}

}  // namespace agentbox::cli
