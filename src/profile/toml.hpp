#pragma once

// TOML bytes → a small tree with positions. The only place that knows the TOML library.

#include <cstdint>
#include <string>
#include <vector>

#include "agentbox/base/diagnostic.hpp"

#include "text.hpp"

namespace agentbox::profile {

struct Entry;

struct Node {
  enum class Kind { string, integer, number, boolean, date, list, table };
  Kind kind = Kind::table;
  base::Position at;
  // Of a string: offset of its first byte in the text if what stands between the quotes is exactly `text`,
  // else 0.
  std::size_t exact = 0;
  std::string text;
  std::int64_t integer = 0;
  bool boolean = false;
  std::vector<Node> items;
  std::vector<Entry> entries;
};

struct Entry {
  std::string key;
  base::Position at;
  Node value;
};

// The root table. After a syntax error the statement that holds it is left out and the rest is read on, so
// that all errors are found at once. The text has passed `check_bytes`.
[[nodiscard]] Node read_toml(const Text& text, base::Diagnostics& errors);

// "a string", "an integer", "a list", ... for messages.
[[nodiscard]] std::string_view name_of(Node::Kind kind);

}  // namespace agentbox::profile
