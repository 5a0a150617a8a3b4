#pragma once

// What `agentbox explain` shows, as text and as JSON: pure functions of what was decided.

#include <string>

#include "agentbox/base/diagnostic.hpp"
#include "agentbox/policy/policy.hpp"

namespace agentbox::cli {

struct Explained {
  const policy::Policy& policy;
  // What `run` would refuse because it isn't built yet.
  const base::Diagnostics& unbuilt;
  // What `run` would say besides the policy's own notes: shown before them.
  base::Diagnostics more = {};
};

struct Layout {
  base::Colour colour = base::Colour::off;
  std::size_t width = 0;                                     // of the terminal; 0: no row is wrapped
  enum class Names { counted, all } names = Names::counted;  // of what isn't there
};

// Grouped and aligned, in plain words, what matters most first; ends with a newline. Everything from outside is
// escaped.
[[nodiscard]] std::string explain_text(const Explained& explained, Layout layout);

// {"format": "agentbox-explain/1", ...}: documented in agentbox(1). Members may be added, none changes its meaning
// within one format number. The value of a variable whose name says that it is a secret is null. Paths are strings; bytes that are not UTF-8 become U+FFFD.
[[nodiscard]] std::string explain_json(const Explained& explained);

}  // namespace agentbox::cli
