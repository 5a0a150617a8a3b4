#pragma once

// How a key is read, merged and tightened, for each kind of key. A row of the schema names the value's place
// in a Profile
// (`Get`, a lambda that takes a Profile of any constness) and the parser of its text; the rest is here.

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"

#include "draft.hpp"

namespace agentbox::profile {

// One list of one file; more is not a profile but an attack on whoever reads it.
inline constexpr std::size_t list_limit = 2048;

// One file's own values join the result of the files before it.
struct Folding {
  Profile& result;
  std::span<const Draft> drafts;
  std::size_t index = 0;  // of the draft that is merged now
  std::size_t row = 0;
  std::uint64_t ancestors = 0;          // bit i: drafts[i] is a parent of this one, or theirs
  std::vector<std::uint64_t>& said_by;  // per item of a list: which drafts say it
  base::Diagnostics& errors;

  [[nodiscard]] const Draft& from() const { return drafts[index]; }
  [[nodiscard]] std::uint64_t bit() const { return std::uint64_t{1} << index; }
};

// `.agentbox.toml` meets the finished profile.
struct Narrowing {
  Profile& profile;
  const Draft& file;
  const Profile& fallback;  // what holds where the profile says nothing
  base::Diagnostics& errors;
};

struct Row {
  KeyDoc doc;
  void (*read)(Reading&, const Node&) = nullptr;
  void (*fold)(Folding&) = nullptr;      // nullptr: nothing to merge (`extends`)
  void (*narrow)(Narrowing&) = nullptr;  // nullptr: `.agentbox.toml` may not set it
};
[[nodiscard]] const std::vector<Row>& rows();

// What "!x" compares.
inline std::string canonical(const std::string& item) {
  return item;
}
inline std::string canonical(const PathText& item) {
  return item.text;
}
inline std::string canonical(const PatternText& item) {
  return item.directory ? item.text + "/" : item.text;
}
inline std::string canonical(const HostRule& item) {
  return item.text;
}
inline std::string canonical(const Publication& item) {
  return item.text;
}
inline std::string canonical(const RecipientRule& item) {
  return item.text;
}
inline std::string canonical(const CommandPattern& item) {
  return item.text;
}

// ---- reading
// ---------------------------------------------------------------------------------------------------

// Reads one item of a list that is not a string; nothing for a list of strings only.
template <class T>
using OtherItem = std::optional<T> (*)(Reading&, const Node&);

template <class T>
OtherItem<T> other_item() {
  return nullptr;
}
template <>
OtherItem<HostRule> other_item<HostRule>();
template <>
OtherItem<Publication> other_item<Publication>();

// One string of a list: "x", "!x" or "\!x".
template <class T, auto Parse>
void read_item(Reading& reading, const Node& node, List<T>& list, std::unordered_set<std::string>& seen) {
  std::string_view text = node.text;
  bool removes = text.starts_with('!');
  std::size_t skipped = removes || text.starts_with("\\!") ? 1 : 0;
  text.remove_prefix(skipped);
  Parsed<T> item = Parse(text);
  if (!item) return reading.fault(node, item.error(), skipped);
  std::string key = (removes ? "!" : "") + canonical(*item);
  if (!seen.insert(key).second)
    return reading.error(node.at, fmt::format("'{}' is in this list twice", base::escape(key)));
  if (removes) {
    reading.draft.removals.push_back({reading.row, key.substr(1), reading.origin(node)});
  } else {
    list.push_back({std::move(*item), reading.origin(node)});
  }
}

template <auto Get, auto Parse>
void read_list(Reading& reading, const Node& node) {
  auto& list = Get(reading.draft.own);
  using T = decltype(list.front().value);
  OtherItem<std::remove_cvref_t<T>> other = other_item<std::remove_cvref_t<T>>();
  std::string_view what = other ? "a list of strings or tables" : "a list of strings";
  if (node.kind != Node::Kind::list) {
    std::string hint = node.kind == Node::Kind::string ? "put it in brackets: [\"...\"]" : "";
    return reading.expected(node, what, hint);
  }
  if (node.items.size() > list_limit)
    return reading.error(node.at, fmt::format("a list holds at most {} items", list_limit));
  std::unordered_set<std::string> seen;
  for (const Node& item : node.items) {
    if (item.kind == Node::Kind::string) {
      read_item<std::remove_cvref_t<T>, Parse>(reading, item, list, seen);
    } else if (other && item.kind == Node::Kind::table) {
      auto value = other(reading, item);
      if (!value) continue;
      if (seen.insert(canonical(*value)).second) {
        list.push_back({std::move(*value), reading.origin(item)});
      } else {
        reading.error(item.at, fmt::format("'{}' is in this list twice", base::escape(canonical(*value))));
      }
    } else {
      std::string hint = item.kind == Node::Kind::integer ? fmt::format("write \"{}\"", item.integer) : "";
      reading.error(item.at, fmt::format("expected {}, found {} in it", what, name_of(item.kind)), hint);
    }
  }
}

// A scalar that is written as a string.
template <auto Get, auto Parse>
void read_text(Reading& reading, const Node& node) {
  if (node.kind != Node::Kind::string) {
    std::string_view example = rows()[reading.row].doc.example;
    std::string_view value = example.substr(example.rfind("= ") + 2);
    return reading.expected(node, "a string", value.starts_with('"') ? fmt::format("for example {}", value) : "");
  }
  auto value = Parse(node.text);
  if (!value) return reading.fault(node, value.error());
  Get(reading.draft.own) = {std::move(*value), reading.origin(node)};
}

template <auto Get>
void read_flag(Reading& reading, const Node& node) {
  if (node.kind != Node::Kind::boolean) return reading.expected(node, "true or false");
  Get(reading.draft.own) = {node.boolean, reading.origin(node)};
}

template <auto Get, std::int64_t Least, std::int64_t Most>
void read_number(Reading& reading, const Node& node) {
  if (node.kind != Node::Kind::integer) {
    bool quoted = node.kind == Node::Kind::string && !node.text.empty() &&
                  node.text.find_first_not_of("0123456789") == std::string::npos;
    return reading.expected(node, "an integer", quoted ? "leave out the quotes" : "");
  }
  if (node.integer < Least || node.integer > Most) {
    return reading.error(node.at, fmt::format("this must be from {} to {}", Least, Most));
  }
  Get(reading.draft.own) = {static_cast<std::uint64_t>(node.integer), reading.origin(node)};
}

// What is replaced in an argv: "{to}" and its like when it is used, or "${HOME}" and its like when the room is planned.
// Empty and false: nothing.
struct ArgvForm {
  std::span<const std::string_view> placeholders;
  bool references = false;
  // within: a placeholder may be a part of an argument; alone: it is one, whole.
  enum class Placed { within, alone } placed = Placed::within;
};
[[nodiscard]] std::optional<std::vector<std::string>> read_argv(Reading& reading, const Node& node,
                                                                const ArgvForm& form);
template <auto Get, const ArgvForm& Form>
void read_command(Reading& reading, const Node& node) {
  if (auto argv = read_argv(reading, node, Form)) {
    Get(reading.draft.own) = {std::move(*argv), reading.origin(node)};
  }
}

// One of a few words. `Words` is an array of pairs of a word and its value.
template <auto Get, const auto& Words>
void read_word(Reading& reading, const Node& node) {
  std::vector<std::string_view> words;
  for (const auto& [word, value] : Words) {
    if (node.kind == Node::Kind::string && node.text == word) {
      Get(reading.draft.own) = {value, reading.origin(node)};
      return;
    }
    words.push_back(word);
  }
  std::string all;
  for (std::size_t i = 0; i < words.size(); ++i) {
    all += fmt::format("{}\"{}\"", i == 0 ? "" : i + 1 == words.size() ? " or " : ", ", words[i]);
  }
  if (node.kind != Node::Kind::string) return reading.expected(node, all);
  std::string_view near = base::nearest(node.text, words);
  reading.error(node.at, fmt::format("expected {}, found \"{}\"", all, base::escape(node.text)),
                near.empty() ? "" : fmt::format("did you mean \"{}\"?", near));
}

// ---- merging
// ---------------------------------------------------------------------------------------------------

template <auto Get>
void fold_list(Folding& folding) {
  auto& list = Get(folding.result);
  for (const Removal& removal : folding.from().removals) {
    if (removal.row != folding.row) continue;
    bool known = false;
    std::vector<std::string> others;
    for (std::size_t i = 0; i < folding.drafts.size(); ++i) {
      if ((folding.ancestors & std::uint64_t{1} << i) == 0) continue;
      for (const auto& item : Get(folding.drafts[i].own)) {
        others.push_back(canonical(item.value));
        known = known || others.back() == removal.canonical;
      }
    }
    if (!known) {
      std::vector<std::string_view> names(others.begin(), others.end());
      std::string_view near = base::nearest(removal.canonical, names);
      if (near.empty()) {
        for (const std::string& name : others) {
          if (name == removal.canonical + "/" || name + "/" == removal.canonical) near = name;
        }
      }
      folding.errors.push_back(error_at(removal.origin,
                                        fmt::format("no parent has '{}' in this list, so there is nothing to take out",
                                                    base::escape(removal.canonical)),
                                        near.empty() ? "a file name that begins with '!' is written \"\\\\!...\""
                                                     : fmt::format("did you mean \"!{}\"?", base::escape(near))));
      continue;
    }
    for (std::size_t i = list.size(); i-- > 0;) {
      if (canonical(list[i].value) != removal.canonical) continue;
      folding.said_by[i] &= ~folding.ancestors;
      if (folding.said_by[i] != 0) continue;
      list.erase(list.begin() + static_cast<std::ptrdiff_t>(i));
      folding.said_by.erase(folding.said_by.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
  // Said again, an item keeps its place and takes the later file's form (`as`, `via`, whose line it is). A file says
  // nothing twice, so the first to say anything needs no look-up.
  const auto& own = Get(folding.from().own);
  std::unordered_map<std::string, std::size_t> places;
  if (!own.empty()) {
    for (std::size_t i = 0; i < list.size(); ++i) places.emplace(canonical(list[i].value), i);
  }
  for (const auto& item : own) {
    auto same = places.empty() ? places.end() : places.find(canonical(item.value));
    if (same == places.end()) {
      list.push_back(item);
      folding.said_by.push_back(folding.bit());
    } else {
      folding.said_by[same->second] |= folding.bit();
      list[same->second] = item;
    }
  }
}

template <auto Get>
void fold_value(Folding& folding) {
  if (const auto& own = Get(folding.from().own)) Get(folding.result) = own;
}

}  // namespace agentbox::profile
