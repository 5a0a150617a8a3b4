#pragma once

// What `.agentbox.toml` may do with a key. It comes from a tree that the agent can write: each function lets
// through only what leaves the room as it is or smaller, and says which line wants more.

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"

#include "covers.hpp"
#include "rows.hpp"

namespace agentbox::profile {

inline void refuse(Narrowing& narrowing, const Origin& origin, std::string message) {
  narrowing.errors.push_back(
      error_at(origin, std::move(message), "a workspace's own file may only tighten; put this in a profile"));
}

// Lists that only take away: deny, hide, protect, hold.
template <auto Get>
void narrow_add(Narrowing& narrowing) {
  auto& list = Get(narrowing.profile);
  for (const auto& item : Get(narrowing.file.own)) {
    auto same =
        std::ranges::find_if(list, [&](const auto& other) { return canonical(other.value) == canonical(item.value); });
    if (same == list.end()) list.push_back(item);
  }
}

// A yes to the workspace's question must not open more than the grant that it covers: the grant's `as` and
// `via` hold.
template <class T>
void take_quality(T&, const T&) {}
inline void take_quality(HostRule& item, const HostRule& grant) {
  if (grant.speech == Speech::llm) item.speech = Speech::llm;
  if (grant.via && !item.via) item.via = grant.via;
}
template <class T>
bool has_own_way(const T&) {
  return false;
}
inline bool has_own_way(const HostRule& item) {
  return item.via.has_value();
}

// A question for what is allowed already. `Section` is the place that has allow, ask and default_.
template <auto Section>
void narrow_ask(Narrowing& narrowing) {
  auto& section = Section(narrowing.profile);
  for (const auto& asked : Section(narrowing.file.own).ask) {
    auto item = asked;
    if (has_own_way(item.value)) {
      refuse(narrowing, item.origin, "the way that a connection takes is for a profile to choose");
      continue;
    }
    const auto& fallback = section.default_ ? section.default_ : Section(narrowing.fallback).default_;
    bool open = fallback->value != Default::deny;
    bool known = false;
    for (const auto* list : {&section.allow, &section.ask}) {
      for (const auto& grant : *list) {
        if (!covers(grant.value, item.value)) continue;
        open = true;
        known = known || list == &section.ask;
        take_quality(item.value, grant.value);
      }
    }
    if (!open) {
      refuse(narrowing, item.origin,
             fmt::format("'{}' is not allowed so far, so asking for it would widen the profile",
                         base::escape(canonical(item.value))));
    } else if (!known) {
      section.ask.push_back(item);
    }
  }
}

template <auto Get>
void narrow_default(Narrowing& narrowing) {
  const auto& wanted = Get(narrowing.file.own);
  if (!wanted) return;
  Default now = Get(narrowing.profile) ? Get(narrowing.profile)->value : Get(narrowing.fallback)->value;
  if (wanted->value > now) return refuse(narrowing, wanted->origin, "this default is less strict than the profile's");
  Get(narrowing.profile) = wanted;
}

// Smaller numbers. Where the profile sets none, what holds by default is the bound; where there is none,
// anything is smaller.
template <auto Get>
void narrow_smaller(Narrowing& narrowing) {
  const auto& wanted = Get(narrowing.file.own);
  if (!wanted) return;
  const auto& now = Get(narrowing.profile) ? Get(narrowing.profile) : Get(narrowing.fallback);
  if (now && wanted->value > now->value)
    return refuse(narrowing, wanted->origin, "this limit is larger than the profile's");
  Get(narrowing.profile) = wanted;
}

[[nodiscard]] inline bool is_smaller(const Budget& wanted, const Budget& now) {
  return wanted.amount <= now.amount && wanted.unit == now.unit && wanted.period == now.period &&
         wanted.every == now.every;
}

enum class Without { unlimited, nothing };  // what the absence of a budget means

template <auto Get, Without Absence>
void narrow_budget(Narrowing& narrowing) {
  const auto& wanted = Get(narrowing.file.own);
  if (!wanted) return;
  const auto& now = Get(narrowing.profile) ? Get(narrowing.profile) : Get(narrowing.fallback);
  if (!now && Absence == Without::nothing)
    return refuse(narrowing, wanted->origin, "the profile has no such limit, and without it nothing is allowed");
  if (now && !is_smaller(wanted->value, now->value)) {
    return refuse(narrowing, wanted->origin,
                  fmt::format("this is not provably less than the profile's '{}'", base::escape(now->value.text)));
  }
  Get(narrowing.profile) = wanted;
}

template <auto Get>
void narrow_off(Narrowing& narrowing) {
  const auto& wanted = Get(narrowing.file.own);
  if (!wanted) return;
  if (wanted->value) return refuse(narrowing, wanted->origin, "this would switch on what only a profile can");
  Get(narrowing.profile) = wanted;
}

void narrow_mode(Narrowing& narrowing);
void narrow_files_ask(Narrowing& narrowing);

}  // namespace agentbox::profile
