#include "record.hpp"

#include <chrono>
#include <string>
#include <vector>

#include "agentbox/launch/look.hpp"
#include "agentbox/store/process.hpp"

#include "moment.hpp"
#include "record_json.hpp"

namespace agentbox::cli {

using store::Event;
using store::Store;
using store::StoreError;

namespace {

// Those whose gate carries them out and says what came of it; the ledger has a place of its own for payments.
bool has_outcome(const Event& request) {
  return request.kind == "command" || request.kind == "message";
}

std::string what_became_of(const store::Unended::Deed& deed) {
  const bool waited = is_delayed(deed.request) && deed.verdict.by != "clock";
  if (!waited) return "unknown: agentbox was killed before it could say what became of it";
  return std::string(deed.request.kind == "message" ? "not sent" : "not started") +
         ": agentbox was killed while it waited";
}

std::vector<Event> ends_of(const std::vector<store::Unended>& sessions) {
  std::vector<Event> events;
  const store::Time at = now();
  for (const store::Unended& session : sessions) {
    if (store::is_running(process_of(session.began)) != store::Running::no) continue;
    for (const store::Unended::Deed& deed : session.deeds) {
      if (!has_outcome(deed.request)) continue;
      Event& outcome = events.emplace_back(Event{.what = Event::What::outcome, .at = at});
      outcome.session = deed.verdict.session;
      outcome.profile = deed.verdict.profile;
      outcome.question = deed.verdict.question;
      outcome.kind = deed.verdict.kind;
      outcome.summary = deed.verdict.summary;
      outcome.detail = "{\"outcome\":\"" + what_became_of(deed) + "\"}";
    }
    Event& ended = events.emplace_back(Event{.what = Event::What::session_ended, .at = at});
    ended.session = session.began.session;
    ended.profile = session.began.profile;
    ended.detail = R"({"killed":true})";
  }
  return events;
}

}  // namespace

std::optional<Store> open_record(Store::Access access) {
  const base::AbsPath file = launch::look_at_user().state_home / "agentbox" / store::file_name;
  try {
    // A writer would begin one.
    std::optional<Store> record(std::in_place, file, Store::Access::read);
    if (access == Store::Access::write) record.emplace(file, access);
    return record;
  } catch (const StoreError& error) {
    if (error.kind() == StoreError::Kind::missing) return std::nullopt;
    throw;
  }
}

std::optional<Store> open_settled_record() {
  std::optional<Store> record = open_record(Store::Access::read);
  if (!record) return record;
  std::vector<Event> ends;
  std::int64_t rows = 0;
  try {
    rows = record->head().rows;
    ends = ends_of(record->unended());
  } catch (const StoreError&) {
    return record;  // who reads on hears why
  }
  if (ends.empty()) return record;
  record.reset();
  try {
    if (std::optional<Store> writing = open_record(Store::Access::write)) {
      writing->set_patience(std::chrono::milliseconds(200));
      (void)writing->append_behind(rows, ends);  // or another look was faster
    }
  } catch (const StoreError&) {  // NOLINT(bugprone-empty-catch): as it says above
  }
  return open_record(Store::Access::read);
}

}  // namespace agentbox::cli
