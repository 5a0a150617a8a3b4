#include "demo_deeds.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace agentbox::cli::stage {

namespace {

std::string field(const std::string& detail, const char* name) {
  const auto json = nlohmann::json::parse(detail, nullptr, false);
  if (!json.is_object() || !json.contains(name) || !json[name].is_string()) return {};
  return json[name].get<std::string>();
}

void add(std::vector<Deed>& deeds, const store::Event& event) {
  using What = store::Event::What;
  if (event.what == What::request) deeds.push_back({event.session, event.question, event.kind});
  const auto deed = std::ranges::find_if(deeds, [&](const Deed& each) {
    return each.session == event.session && each.question == event.question && !event.question.empty();
  });
  if (deed == deeds.end()) return;
  if (event.what == What::verdict) {
    deed->verdict = event.verdict;
    deed->by = event.by;
    deed->reason = field(event.detail, "reason");
  } else if (event.what == What::outcome) {
    deed->outcome = field(event.detail, "outcome");
  }
}

}  // namespace

store::Store* Deeds::open() {
  if (store_) return &*store_;
  try {
    store_.emplace(file_, store::Store::Access::read);
  } catch (const store::StoreError& error) {
    if (error.kind() != store::StoreError::Kind::missing) throw;
    return nullptr;
  }
  return &*store_;
}

std::vector<Deed> Deeds::look() {
  std::vector<Deed> deeds;
  store::Store* record = open();
  if (record == nullptr) return deeds;
  record->read({.after = after_}, [&](const store::Row& row) {
    add(deeds, row.event);
    return true;
  });
  return deeds;
}

void Deeds::begin() {
  if (store::Store* record = open()) after_ = record->head().rows;
}

}  // namespace agentbox::cli::stage
