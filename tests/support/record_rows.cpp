// Writes into a record what the tests of `agentbox log` and `agentbox rules` want to see there, through the Store.
//
// usage: record_rows FILE, and on stdin one JSON object a line: an event with the fields of store::Event, {"remember":
// {...}} with those of store::Remembered, {"revoke": ID} or {"use": ID}. Times are milliseconds of the epoch, texts are
// bytes written as \u0000 to \u00ff. After each line it prints "ok", so that a caller can wait for it.

#include <cstdio>
#include <iostream>
#include <string>

#include <nlohmann/json.hpp>

#include "agentbox/store/store.hpp"

namespace {

using Json = nlohmann::json;
using namespace agentbox::store;
using What = Event::What;

// JSON has no bytes: each code point below 256 stands for one.
std::string bytes(const Json& json, const char* key) {
  std::string out;
  const std::string text = json.value(key, "");
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto lead = static_cast<unsigned char>(text[i]);
    if (lead >= 0x80) lead = static_cast<unsigned char>(lead << 6 | (text[++i] & 0x3f));
    out += static_cast<char>(lead);
  }
  return out;
}

Time time(const Json& json, const char* key) {
  return Time(std::chrono::milliseconds(json.value(key, std::int64_t{0})));
}

std::optional<Time> maybe_time(const Json& json, const char* key) {
  return json.contains(key) ? std::optional(time(json, key)) : std::nullopt;
}

Event event_of(const Json& json) {
  Event event{.at = time(json, "at"),
              .session = bytes(json, "session"),
              .profile = bytes(json, "profile"),
              .question = bytes(json, "question"),
              .kind = bytes(json, "kind"),
              .summary = bytes(json, "summary"),
              .digest = bytes(json, "digest"),
              .verdict = bytes(json, "verdict"),
              .by = bytes(json, "by"),
              .detail = bytes(json, "detail")};
  for (What what : {What::session_began, What::session_ended, What::request, What::verdict, What::outcome,
                    What::rule_added, What::rule_revoked}) {
    if (name_of(what) == json.value("what", "request")) event.what = what;
  }
  return event;
}

void write(Store& store, const Json& json) {
  if (json.contains("remember")) {
    const Json& answer = json["remember"];
    using Verdict = Remembered::Verdict;
    store.remember({.profile = bytes(answer, "profile"),
                    .session = bytes(answer, "session"),
                    .kind = bytes(answer, "kind"),
                    .verdict = answer.value("verdict", "deny") == "allow" ? Verdict::allow : Verdict::deny,
                    .rule = bytes(answer, "shown"),
                    .shown = bytes(answer, "shown"),
                    .created = time(answer, "created"),
                    .expires = maybe_time(answer, "expires")},
                   {.what = What::rule_added, .at = time(answer, "created")});
  } else if (json.contains("revoke")) {
    if (!store.revoke(json["revoke"], {.what = What::rule_revoked, .at = time(json, "at")})) std::exit(1);
  } else if (json.contains("use")) {
    store.count_use(json["use"], time(json, "at"));
  } else {
    store.append(event_of(json));
  }
}

}  // namespace

int main(int argc, char** argv) {
  auto file = agentbox::base::AbsPath::parse(argc == 2 ? argv[1] : "");
  if (!file) return 2;
  Store store(*file, Store::Access::write);
  for (std::string line; std::getline(std::cin, line);) {
    write(store, Json::parse(line));
    std::cout << "ok" << std::endl;
  }
}
