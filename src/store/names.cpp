#include "names.hpp"

#include <array>

namespace agentbox::store {

namespace {

// In the order of the enumeration.
constexpr std::array<std::string_view, 7> whats = {"session_began", "session_ended", "request",     "verdict",
                                                   "outcome",       "rule_added",    "rule_revoked"};

}  // namespace

std::string_view name_of(Event::What what) noexcept {
  return whats[static_cast<std::size_t>(what)];
}

std::optional<Event::What> what_of(std::string_view name) noexcept {
  for (std::size_t i = 0; i < whats.size(); ++i) {
    if (whats[i] == name) return static_cast<Event::What>(i);
  }
  return std::nullopt;
}

std::string_view name_of(Remembered::Verdict verdict) noexcept {
  return verdict == Remembered::Verdict::allow ? "allow" : "deny";
}

std::string_view name_of(Remembered::Breadth breadth) noexcept {
  return breadth == Remembered::Breadth::exact ? "exact" : "pattern";
}

}  // namespace agentbox::store
