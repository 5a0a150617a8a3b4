#include "draft.hpp"

#include <utility>

#include "agentbox/base/escape.hpp"

namespace agentbox::policy {

using base::AbsPath;

namespace {

AbsPath real_workspace(const HostFacts& facts) {
  SnapshotDisk disk(facts.files);
  return resolve(facts.workspace, disk).path;
}

}  // namespace

FactsDisk::FactsDisk(const HostFacts& facts, const AbsPath& workspace) : snapshot_(facts.files) {
  RealWorkspace real{facts.workspace, workspace};
  for (const Root& root : facts.roots) add_folder(real(root.path).str());
  for (const GitFact& repository : facts.repositories) {
    add_folder(repository.git_dir.str());
    add_folder(repository.common_dir.str());
    for (const AbsPath& module : repository.modules) add_folder(module.str());
  }
  for (const Match& match : facts.matches) {
    AbsPath path = real(match.path);
    add_folder(path.parent().str());
    met_.emplace(path.str(), match.kind);
  }
}

void FactsDisk::add_folder(std::string_view path) {
  while (path.size() > 1 && met_.emplace(path, FileKind::directory).second) path = path.substr(0, path.rfind('/'));
}

FileFact FactsDisk::look(const AbsPath& path) {
  auto found = snapshot_.find(path);
  if (found != snapshot_.end() && found->second.kind != FileKind::missing) return found->second;
  auto met = met_.find(path.str());
  if (met != met_.end()) return {.kind = met->second};
  return {};
}

AbsPath RealWorkspace::operator()(const AbsPath& path) const {
  if (named == real || !path.is_within(named) || path == named) return path == named ? real : path;
  return join(real, path.relative_to(named)).value_or(path);
}

Draft::Draft(const profile::Profile& with_flags, const HostFacts& host, const Flags& command_line)
    : profile(with_flags),
      facts(host),
      flags(command_line),
      places(places_of(host)),
      workspace{host.workspace, real_workspace(host)},
      disk(host, workspace.real),
      resolve(disk),
      forbidden(host, resolve) {}

void Draft::error(const profile::Origin& origin, std::string message, std::string hint) {
  errors.push_back(error_at(origin, std::move(message), std::move(hint)));
}

void Draft::note(Note::Kind kind, std::string text, const profile::Origin& origin) {
  policy.notes.push_back({.kind = kind, .text = std::move(text), .origin = origin});
}

std::string shown(const AbsPath& path) {
  return "'" + base::escape(path.str()) + "'";
}

}  // namespace agentbox::policy
