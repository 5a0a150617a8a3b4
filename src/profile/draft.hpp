#pragma once

// One file as it was read, before its parents are known.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agentbox/profile/parse.hpp"

#include "text.hpp"
#include "toml.hpp"
#include "values.hpp"

namespace agentbox::profile {

// "!x" in a list.
struct Removal {
  std::size_t row;        // index in the schema
  std::string canonical;  // of x
  Origin origin;
};

struct Draft {
  std::string name, file, place;  // as Source has them
  Profile own;                    // only what the file itself says
  std::vector<Removal> removals;
  std::vector<Wanted> parents;
  struct Said {
    std::size_t row;
    Origin origin;  // of the key
  };
  std::vector<Said> said;  // each key that it sets, in order
};

// Reads and checks one file alone; adds every error to `errors`. What could be read is in the draft in any
// case.
[[nodiscard]] Draft read_draft(const Source& source, base::Diagnostics& errors);

// What a row's reader works with.
struct Reading {
  const Source& source;
  const Text& text;
  Draft& draft;
  base::Diagnostics& errors;
  std::size_t row = 0;
  std::string_view table;  // NAME of [messages.NAME]

  void error(const base::Position& at, std::string message, std::string hint = {}) const {
    errors.push_back(text.error(at, std::move(message), std::move(hint)));
  }
  void expected(const Node& node, std::string_view what, std::string hint = {}) const;
  // The fault of `node`'s text (of all of it behind `skipped` bytes), marked where it stands.
  void fault(const Node& node, const Fault& fault, std::size_t skipped = 0) const;
  [[nodiscard]] Origin origin(const Node& node) const { return text.origin(node.at); }
};

// Rules of one file that another rule of the same file leaves nothing to decide.
void check_shadows(const Draft& draft, base::Diagnostics& errors);

// In the order of the lines, without what would only repeat, and not more than a reader can use.
void tidy(base::Diagnostics& errors);

}  // namespace agentbox::profile
