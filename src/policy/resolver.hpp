#pragma once

// `resolve` with a memory: paths that share a folder follow it once. For one decision, over one Disk.

#include <string>
#include <unordered_map>

#include "agentbox/policy/facts.hpp"

namespace agentbox::policy {

class Resolver {
 public:
  explicit Resolver(Disk& disk) : disk_(disk) {}
  [[nodiscard]] Resolution operator()(const base::AbsPath& path);
  [[nodiscard]] Resolution parent_of(const base::AbsPath& path);  // as resolve_parent

 private:
  const Resolution& folder(const base::AbsPath& path);

  Disk& disk_;
  std::unordered_map<base::AbsPath, Resolution> folders_;
};

}  // namespace agentbox::policy
