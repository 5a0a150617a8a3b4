#include "walk_filter.hpp"

#include <algorithm>

namespace agentbox::launch {

NameTable::Meaning& NameTable::operator[](std::string_view name) {
  known_.set(slot(name));
  return meanings_[std::string(name)];
}

namespace {

// Can `components` be a match for something below the directory whose components are `directory`?
bool leads_below(std::span<const std::string> components, std::span<const std::string_view> directory) {
  if (components.empty()) return false;
  if (components.front() == "**") return true;
  if (directory.empty()) return true;
  return policy::matches_component(components.front(), directory.front()) &&
         leads_below(components.subspan(1), directory.subspan(1));
}

}  // namespace

PatternFilter::PatternFilter(std::span<const policy::PatternSet::Pattern> patterns, NameTable& names) {
  for (const policy::PatternSet::Pattern& pattern : patterns) {
    if (pattern.components.empty() || pattern.base != policy::PatternSet::Base::workspace) continue;
    patterns_.push_back(&pattern);
    if (pattern.any_depth || pattern.components.front() == "**") any_depth_ = true;
    const std::string& last = pattern.components.back();
    std::size_t first_star = last.find('*');
    if (last == "**") {
      every_name_ = true;
    } else if (first_star != std::string::npos) {
      wild_.push_back({last.substr(0, first_star), last.substr(last.rfind('*') + 1)});
    } else if (!last.empty()) {
      names[last].pattern = true;
    }
  }
}

bool PatternFilter::may_match_below(std::string_view relative) const {
  if (any_depth_) return true;
  std::vector<std::string_view> directory;
  while (!relative.empty()) {
    std::size_t slash = std::min(relative.find('/'), relative.size());
    directory.push_back(relative.substr(0, slash));
    relative.remove_prefix(std::min(slash + 1, relative.size()));
  }
  for (const policy::PatternSet::Pattern* pattern : patterns_) {
    if (leads_below(pattern->components, directory)) return true;
  }
  return false;
}

}  // namespace agentbox::launch
