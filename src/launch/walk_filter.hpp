#pragma once

// What the walk asks about each of some hundred thousand names. Pure.

#include <bitset>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "agentbox/policy/look.hpp"

namespace agentbox::launch {

// Names that mean something to the walk, each with what it means.
class NameTable {
 public:
  struct Meaning {
    static constexpr std::uint32_t no_kind = UINT32_MAX;
    bool git = false, marker = false, foreign = false, head = false, objects = false, refs = false;
    bool pattern = false;          // the last component of a pattern without a wildcard
    std::uint32_t kind = no_kind;  // index into WalkRequest::kinds
  };
  Meaning& operator[](std::string_view name);
  // Null for nearly every name, after one look at its length and first byte.
  [[nodiscard]] const Meaning* find(std::string_view name) const {
    if (!known_[slot(name)]) return nullptr;
    auto found = meanings_.find(name);
    return found == meanings_.end() ? nullptr : &found->second;
  }

 private:
  static std::size_t slot(std::string_view name) {
    return (name.size() & 63u) << 8 | static_cast<unsigned char>(name.front());
  }
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
  };
  std::bitset<64 * 256> known_;
  std::unordered_map<std::string, Meaning, Hash, std::equal_to<>> meanings_;
};

// Says quickly, and on the safe side, which names may be the end of a match: PatternSet::match decides.
class PatternFilter {
 public:
  // Only patterns that count from the workspace. Adds those that end in a plain name to `names`.
  PatternFilter(std::span<const policy::PatternSet::Pattern> patterns, NameTable& names);

  [[nodiscard]] bool may_match(std::string_view name) const {
    if (every_name_) return true;
    for (const Ends& ends : wild_) {
      if (name.size() >= ends.prefix.size() + ends.suffix.size() && name.starts_with(ends.prefix) &&
          name.ends_with(ends.suffix)) {
        return true;
      }
    }
    return false;
  }
  [[nodiscard]] bool is_empty() const { return patterns_.empty(); }
  // May anything below the directory `relative` match?
  [[nodiscard]] bool may_match_below(std::string_view relative) const;

 private:
  struct Ends {
    std::string prefix, suffix;
  };
  std::vector<const policy::PatternSet::Pattern*> patterns_;
  std::vector<Ends> wild_;   // around the last component's wildcards
  bool every_name_ = false;  // a pattern ends in "**"
  bool any_depth_ = false;   // a pattern may match anywhere
};

}  // namespace agentbox::launch
