#include <algorithm>
#include <utility>

#include "agentbox/policy/look.hpp"

#include "expand.hpp"

namespace agentbox::policy {

namespace {

// Does the component list match the whole of `path`? As with '*' in a string, only the last "**" ever needs
// another try, so that the time is bounded by the product of the lengths: names come from hostile trees, and
// patterns may too.
bool matches_path(std::span<const std::string> pattern, std::string_view path) {
  std::size_t at = 0, star = std::string::npos;
  std::string_view rest = path, retry;
  auto drop_first = [](std::string_view text) {
    std::size_t slash = text.find('/');
    return slash == std::string_view::npos ? std::string_view() : text.substr(slash + 1);
  };
  while (!rest.empty()) {
    if (at < pattern.size() && pattern[at] == "**") {
      if (at + 1 == pattern.size()) return true;
      star = at++;
      retry = rest;
    } else if (at < pattern.size() && matches_component(pattern[at], rest.substr(0, rest.find('/')))) {
      ++at;
      rest = drop_first(rest);
    } else if (star != std::string::npos) {
      at = star + 1;
      rest = retry = drop_first(retry);
    } else {
      return false;
    }
  }
  return at == pattern.size();
}

// The last `count` components of `path`; nothing if it has fewer.
std::string_view last_components(std::string_view path, std::size_t count) {
  std::size_t begin = path.size();
  while (count-- > 0) {
    if (begin == 0) return {};
    std::size_t slash = path.rfind('/', begin - 1);
    if (slash == std::string_view::npos) return count == 0 ? path : std::string_view();
    begin = slash;
  }
  return path.substr(begin + 1);
}

bool matches(const PatternSet::Pattern& pattern, std::string_view path) {
  if (!pattern.any_depth) return matches_path(pattern.components, path);
  if (std::ranges::find(pattern.components, "**") == pattern.components.end()) {
    std::string_view tail = last_components(path, pattern.components.size());
    return !tail.empty() && matches_path(pattern.components, tail);
  }
  while (true) {
    if (matches_path(pattern.components, path)) return true;
    std::size_t slash = path.find('/');
    if (slash == std::string_view::npos) return false;
    path.remove_prefix(slash + 1);
  }
}

}  // namespace

bool matches_component(std::string_view pattern, std::string_view name) noexcept {
  std::size_t at = 0, in = 0, star = std::string_view::npos, retry = 0;
  while (in < name.size()) {
    if (at < pattern.size() && pattern[at] == '*') {
      star = at++;
      retry = in;
    } else if (at < pattern.size() && pattern[at] == name[in]) {
      ++at, ++in;
    } else if (star != std::string_view::npos) {
      at = star + 1;
      in = ++retry;
    } else {
      return false;
    }
  }
  while (at < pattern.size() && pattern[at] == '*') ++at;
  return at == pattern.size();
}

PatternSet::PatternSet(const profile::Profile& profile, const Places& places) {
  auto add = [&](const profile::List<profile::PatternText>& list, bool hides) {
    for (const auto& item : list) {
      base::Result<PatternPlace> place = place_of(item, places);
      // `looks` and `decide` report what is wrong with a pattern; here it matches nothing.
      if (!place || place->base == PatternPlace::Base::root_folder) continue;
      patterns_.push_back({.text = item.value.text,
                           .components = std::move(place->components),
                           .base = static_cast<Base>(place->base),
                           .any_depth = place->any_depth,
                           .directory = place->directory,
                           .hides = hides,
                           .literal = place->literal});
    }
  };
  add(profile.workspace.protect, false);
  add(profile.workspace.hold, false);
  add(profile.workspace.hide, true);
  add(profile.files_section.hide, true);
  for (std::size_t i = 0; i < patterns_.size(); ++i) {
    Index& index = indices_[static_cast<std::size_t>(patterns_[i].base)];
    const std::string& name = patterns_[i].components.back();
    if (name.find('*') == std::string::npos) {
      index.by_name[name].push_back(i);
    } else {
      index.others.push_back(i);
    }
  }
}

void PatternSet::match(std::string_view relative, std::vector<std::size_t>& out, Base base) const {
  const Index& index = indices_[static_cast<std::size_t>(base)];
  std::string_view name = relative.substr(relative.rfind('/') + 1);
  if (auto found = index.by_name.find(name); found != index.by_name.end()) {
    for (std::size_t i : found->second) {
      if (matches(patterns_[i], relative)) out.push_back(i);
    }
  }
  for (std::size_t i : index.others) {
    if (matches(patterns_[i], relative)) out.push_back(i);
  }
}

}  // namespace agentbox::policy
