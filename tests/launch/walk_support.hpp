#pragma once

// A walk as a profile would ask for it, with the plainest possible way to compare.

#include <algorithm>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "look_support.hpp"
#include "walk.hpp"

namespace look_test {

namespace fs = std::filesystem;
using namespace agentbox;
using launch::FoundMatch;
using launch::FoundRoot;
using launch::WalkBounds;
using launch::Walked;
using launch::WalkRequest;
using policy::PatternSet;

inline constexpr std::string_view foreign[] = {"node_modules", "vendor"};
inline constexpr std::string_view markers[] = {"package.json", "Cargo.toml"};

class Asking {
 public:
  explicit Asking(const Folder& folder) { request_.top = folder.path(); }
  Asking& roots() {
    request_.roots = true;
    request_.foreign = foreign;
    request_.markers = markers;
    return *this;
  }
  Asking& kinds(std::vector<std::string> names) {
    request_.kinds = std::move(names);
    return *this;
  }
  // "**/.env", "secrets/*.key", "a/b"
  Asking& hide(const std::string& text) { return add(text, true); }
  Asking& protect(const std::string& text) { return add(text, false); }
  Asking& bounds(WalkBounds bounds) {
    request_.bounds = bounds;
    return *this;
  }
  Asking& with_help_from_the_start() {
    request_.helper_from = 0;
    return *this;
  }
  // What is young now counts as settled: see `let_the_clock_tick`.
  Asking& noting(std::int64_t now_ns) {
    request_.noting = WalkRequest::Noting::yes;
    request_.now_ns = now_ns;
    return *this;
  }
  Asking& noting_by_the_clock() {
    request_.noting = WalkRequest::Noting::yes;
    return *this;
  }
  Asking& with(std::shared_ptr<const launch::WalkMemory> memory) {
    request_.memory = std::move(memory);
    return *this;
  }
  const WalkRequest& request() {
    request_.patterns = patterns_;
    request_.match = [this](std::string_view relative, std::vector<std::size_t>& out) {
      for (std::size_t i = 0; i < patterns_.size(); ++i) {
        if (matches(patterns_[i], relative)) out.push_back(i);
      }
    };
    return request_;
  }
  Walked walk() { return launch::walk(request()); }
  [[nodiscard]] bool matches_any(const std::string& relative) const {
    return std::ranges::any_of(patterns_, [&](const auto& pattern) { return matches(pattern, relative); });
  }

 private:
  static std::vector<std::string> split(std::string_view text) {
    std::vector<std::string> parts;
    for (const fs::path& part : fs::path(text)) parts.push_back(part.string());
    return parts;
  }
  static bool component_matches(std::string_view pattern, std::string_view name) {
    if (pattern.empty()) return name.empty();
    if (pattern.front() == '*') {
      return component_matches(pattern.substr(1), name) ||
             (!name.empty() && component_matches(pattern, name.substr(1)));
    }
    return !name.empty() && pattern.front() == name.front() && component_matches(pattern.substr(1), name.substr(1));
  }
  static bool matches(std::span<const std::string> pattern, std::span<const std::string> path) {
    if (pattern.empty()) return path.empty();
    if (pattern.front() == "**") {
      if (pattern.size() == 1) return !path.empty();
      return matches(pattern.subspan(1), path) || (!path.empty() && matches(pattern, path.subspan(1)));
    }
    return !path.empty() && component_matches(pattern.front(), path.front()) &&
           matches(pattern.subspan(1), path.subspan(1));
  }
  static bool matches(const PatternSet::Pattern& pattern, std::string_view relative) {
    std::vector<std::string> path = split(relative), words = pattern.components;
    if (pattern.any_depth) words.insert(words.begin(), "**");
    return matches(words, path);
  }
  Asking& add(const std::string& text, bool hides) {
    PatternSet::Pattern pattern;
    pattern.text = text;
    pattern.components = split(text);
    pattern.hides = hides;
    if (pattern.components.front() == "**") {
      pattern.components.erase(pattern.components.begin());
      pattern.any_depth = true;
    }
    patterns_.push_back(std::move(pattern));
    return *this;
  }
  std::vector<PatternSet::Pattern> patterns_;
  WalkRequest request_;
};

inline std::vector<std::string> paths_of(const Walked& walked, const Folder& folder) {
  std::vector<std::string> paths;
  for (const FoundMatch& match : walked.matches) paths.emplace_back(match.path.relative_to(folder.path()));
  return paths;
}
inline std::vector<std::string> roots_of(const Walked& walked, const Folder& folder) {
  std::vector<std::string> paths;
  for (const FoundRoot& found : walked.roots) paths.emplace_back(found.root.path.relative_to(folder.path()));
  return paths;
}
using Strings = std::vector<std::string>;

}  // namespace look_test
