#pragma once

// What no profile may open as a whole, and what no room may have as its workspace.

#include <optional>

#include "agentbox/policy/policy.hpp"

#include "resolver.hpp"

namespace agentbox::policy {

class Forbidden {
 public:
  Forbidden(const HostFacts& facts, Resolver& resolve);

  struct Reason {
    std::string text;  // "is ..."
    std::string hint;
  };
  // Why this place, as written or as resolved, may not be granted; nothing if it may.
  [[nodiscard]] std::optional<Reason> grant(const base::AbsPath& path, FileKind kind, Access access) const;
  [[nodiscard]] std::optional<Reason> workspace(const base::AbsPath& path) const;

 private:
  // `path` holds it or is it.
  struct Whole {
    base::AbsPath path;
    std::string what;
    std::string hint;
  };
  [[nodiscard]] const Whole* covered_by(const base::AbsPath& path) const;

  std::vector<Whole> wholes_;
  std::vector<base::AbsPath> homes_, state_folders_, config_folders_, socket_folders_;
};

// "'/etc' can't be granted: it is /etc".
[[nodiscard]] std::string cant_be_granted(const base::AbsPath& path, const Forbidden::Reason& reason,
                                          std::string_view leads = {});

}  // namespace agentbox::policy
