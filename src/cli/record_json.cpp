#include "record_json.hpp"

#include <nlohmann/json.hpp>

#include "agentbox/base/escape.hpp"

#include "moment.hpp"

namespace agentbox::cli {

namespace {

using Json = nlohmann::ordered_json;

// Deeper than that the recursion of the library would be the record's to choose.
constexpr int deepest = 64;

Json text(const std::string& bytes) {
  Json json = bytes;
  try {
    (void)json.dump();
  } catch (const Json::type_error&) {
    json = base::escape(bytes);
  }
  return json;
}

// As an object where it is one, so that a script need not parse twice.
Json detail_of(const std::string& bytes) {
  bool deep = false;
  auto watch = [&](int depth, Json::parse_event_t, Json&) {
    deep = deep || depth > deepest;
    return !deep;
  };
  Json parsed = Json::parse(bytes, watch, false);
  return parsed.is_object() && !deep ? parsed : text(bytes);
}

Json maybe(const std::optional<store::Time>& time) {
  return time ? Json(rfc3339(*time)) : Json(nullptr);
}

std::string text_in(const store::Event& event, const char* member) {
  const Json detail = detail_of(event.detail);
  const auto found = detail.find(member);
  return found != detail.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

std::string outcome_of(const store::Event& event) {
  return text_in(event, "outcome");
}

std::string reason_of(const store::Event& event) {
  return text_in(event, "reason");
}

bool was_killed(const store::Event& event) {
  const Json detail = detail_of(event.detail);
  return detail.contains("killed") && detail["killed"] == true;
}

bool is_delayed(const store::Event& event) {
  return detail_of(event.detail).contains("delay");
}

std::string process_of(const store::Event& event) {
  const Json detail = detail_of(event.detail);
  const auto found = detail.find("process");
  return found != detail.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string json_line(const store::Row& row) {
  const store::Event& event = row.event;
  Json json = {{"number", row.number},           {"what", store::name_of(event.what)},
               {"at", rfc3339(event.at)},        {"session", text(event.session)},
               {"profile", text(event.profile)}, {"question", text(event.question)},
               {"kind", text(event.kind)},       {"summary", text(event.summary)},
               {"digest", text(event.digest)},   {"verdict", text(event.verdict)},
               {"by", text(event.by)},           {"detail", detail_of(event.detail)},
               {"answer", text(row.answer)},     {"previous", text(row.previous)},
               {"hash", text(row.hash)}};
  return json.dump(-1, ' ', true);
}

std::string json_of(const std::vector<store::Remembered>& answers, store::Time now) {
  Json list = Json::array();
  for (const store::Remembered& answer : answers) {
    list.push_back({{"id", answer.id},
                    {"profile", text(answer.profile)},
                    {"session", answer.session.empty() ? Json(nullptr) : text(answer.session)},
                    {"kind", text(answer.kind)},
                    {"verdict", answer.verdict == store::Remembered::Verdict::allow ? "allow" : "deny"},
                    {"breadth", answer.breadth == store::Remembered::Breadth::exact ? "exact" : "pattern"},
                    {"what", text(answer.shown)},
                    {"created", rfc3339(answer.created)},
                    {"expires", maybe(answer.expires)},
                    {"revoked", maybe(answer.revoked)},
                    {"holds", store::holds_at(answer, now)},
                    {"used", answer.used},
                    {"last_used", maybe(answer.last_used)}});
  }
  return list.dump(2, ' ', true);
}

}  // namespace agentbox::cli
