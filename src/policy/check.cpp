#include "agentbox/policy/check.hpp"

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"

#include "expand.hpp"
#include "forbidden.hpp"

namespace agentbox::policy {

base::Diagnostics refused_everywhere(const profile::Profile& profile, const HostFacts& user) {
  const Snapshot nothing;
  SnapshotDisk disk(nothing);
  Resolver resolve(disk);
  const Forbidden forbidden(user, resolve);
  const Places places = places_of(user);
  base::Diagnostics errors;
  auto look = [&](const profile::List<profile::PathText>& list, Access access) {
    for (const auto& item : list) {
      base::Result<base::AbsPath> path = expand(item, places);
      if (!path) {
        errors.insert(errors.end(), path.error().begin(), path.error().end());
        continue;
      }
      const FileKind kind = item.value.directory ? FileKind::directory : FileKind::regular;
      if (auto reason = forbidden.grant(*path, kind, access)) {
        errors.push_back(error_at(item.origin, cant_be_granted(*path, *reason), reason->hint));
      }
    }
  };
  look(profile.files_section.read, Access::read);
  look(profile.files_section.write, Access::write);
  return errors;
}

std::optional<base::Diagnostic> unprotected(const profile::Profile& profile) {
  const auto& mode = profile.workspace.mode;
  if (!profile.workspace.protect.empty() || (mode && mode->value == profile::WorkspaceMode::read_only)) return {};
  return base::Diagnostic{.severity = base::Severity::note,
                          .message = "nothing in the workspace is protected: no profile here extends 'base'",
                          .hint = "extends = [\"base\"] keeps git hooks, .envrc and their like from being written"};
}

}  // namespace agentbox::policy
