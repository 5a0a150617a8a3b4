// Sessions that have begun and not ended, and what they were about to do.

#include <map>
#include <optional>

#include <fmt/format.h>

#include "agentbox/store/store.hpp"

#include "impl.hpp"
#include "names.hpp"

namespace agentbox::store {

namespace {

using What = Event::What;

// By the index: one step for each session, however long the record is.
std::vector<std::string> sessions_of(Store::Impl& impl) {
  Statement& query = impl.statement(
      "WITH RECURSIVE one (name) AS (SELECT min(session) FROM audit WHERE session > '' UNION ALL "
      "SELECT (SELECT min(session) FROM audit WHERE session > one.name) FROM one WHERE one.name IS NOT NULL) "
      "SELECT name FROM one WHERE name IS NOT NULL");
  Rewind rewind(query);
  std::vector<std::string> names;
  while (query.step()) names.emplace_back(query.text(0));
  return names;
}

// Most have: then it is the last row.
bool ends_with_its_end(Store::Impl& impl, const std::string& session) {
  Statement& query = impl.statement("SELECT what FROM audit WHERE session = ? ORDER BY number DESC LIMIT 1");
  Rewind rewind(query);
  return query.bind(1, session).step() && query.text(0) == name_of(What::session_ended);
}

// What is open of the latest session of one name.
class Reading {
 public:
  void take(const Event& event) {
    switch (event.what) {
      case What::session_began:
        unended_ = Unended{.began = event, .deeds = {}};
        requests_.clear();
        allowed_.clear();
        break;
      case What::session_ended: unended_.reset(); break;
      case What::request: requests_.insert_or_assign(event.question, event); break;
      case What::verdict:
        if (event.verdict == "allow") {
          allowed_.insert_or_assign(event.question, event);
          break;
        }
        [[fallthrough]];
      case What::outcome:
        allowed_.erase(event.question);
        requests_.erase(event.question);
        break;
      case What::rule_added:
      case What::rule_revoked: break;
    }
  }
  std::optional<Unended> result() {
    if (!unended_) return std::nullopt;
    for (const auto& [question, verdict] : allowed_) {
      const auto request = requests_.find(question);
      if (request != requests_.end()) unended_->deeds.push_back({request->second, verdict});
    }
    return std::move(unended_);
  }

 private:
  std::optional<Unended> unended_;
  std::map<std::string, Event> requests_, allowed_;  // by question
};

}  // namespace

std::vector<Unended> Store::unended() const {
  std::vector<Unended> found;
  for (const std::string& session : sessions_of(*impl_)) {
    if (ends_with_its_end(*impl_, session)) continue;
    Reading reading;
    read({.session = session}, [&](const Row& row) {
      reading.take(row.event);
      return true;
    });
    if (auto unended = reading.result()) found.push_back(*std::move(unended));
  }
  return found;
}

bool Store::append_behind(std::int64_t rows, std::span<const Event> events) {
  impl_->check_in_place();
  Transaction transaction(impl_->database());
  if (impl_->end().rows != rows) return false;
  impl_->add(events);
  transaction.commit();
  return true;
}

}  // namespace agentbox::store
