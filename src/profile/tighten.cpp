// `.agentbox.toml`: a file of the workspace, in a tree that the agent can write. It may only tighten.

#include <fmt/format.h>

#include "narrow.hpp"

namespace agentbox::profile {

namespace {

std::string key_name(const KeyDoc& doc) {
  return doc.section.empty() ? fmt::format("'{}'", doc.key) : fmt::format("'{}' of [{}]", doc.key, doc.section);
}

}  // namespace

void narrow_mode(Narrowing& narrowing) {
  const auto& wanted = narrowing.file.own.workspace.mode;
  if (!wanted) return;
  auto& mode = narrowing.profile.workspace.mode;
  WorkspaceMode now = mode ? mode->value : narrowing.fallback.workspace.mode->value;
  if (wanted->value < now) return refuse(narrowing, wanted->origin, "this mode is less strict than the profile's");
  mode = wanted;
}

// `ask` lets a write through after a yes: it is stricter only than what may be written already. Which grant
// holds for a path: the longest; at equal length ask, then read, then write.
void narrow_files_ask(Narrowing& narrowing) {
  auto& files = narrowing.profile.files_section;
  const auto& mode =
      narrowing.profile.workspace.mode ? narrowing.profile.workspace.mode : narrowing.fallback.workspace.mode;
  PathText workspace{.text = "${workspace}"};
  for (const auto& item : narrowing.file.own.files_section.ask) {
    std::size_t longest = 0;
    enum { nothing, write, read, ask } grant = nothing;
    auto consider = [&](const PathText& path, auto kind) {
      if (!covers(path, item.value) || path.text.size() < longest) return;
      if (path.text.size() == longest && kind < grant) return;
      longest = path.text.size();
      grant = kind;
    };
    for (const auto& other : files.write) consider(other.value, write);
    for (const auto& other : files.read) consider(other.value, read);
    for (const auto& other : files.ask) consider(other.value, ask);
    consider(workspace, mode->value == WorkspaceMode::read_only ? read : write);
    if (grant != write && grant != ask) {
      refuse(narrowing, item.origin,
             fmt::format("'{}' cannot be written so far, so asking for it would widen the profile",
                         base::escape(item.value.text)));
    } else if (grant == write) {
      files.ask.push_back(item);
    }
  }
}

const Profile& defaults() {
  static const Profile profile = [] {
    // One line for each key that has a default, read like any profile: a default that does not parse fails
    // the tests.
    std::string toml;
    for (const SectionDoc& section : sections()) {
      if (section.name.ends_with("NAME")) continue;
      if (!section.name.empty()) toml += fmt::format("[{}]\n", section.name);
      for (const Row& row : rows()) {
        if (row.doc.section == section.name && !row.doc.fallback.empty())
          toml += fmt::format("{} = {}\n", row.doc.key, row.doc.fallback);
      }
    }
    base::Diagnostics errors;
    Draft draft = read_draft({.name = "default", .file = "(the default)", .bytes = toml}, errors);
    return std::move(draft.own);
  }();
  return profile;
}

base::Result<Profile> tighten(const Profile& profile, const Source& workspace_file) {
  base::Diagnostics errors;
  Draft draft = read_draft(workspace_file, errors);
  for (const Draft::Said& said : draft.said) {
    if (rows()[said.row].narrow != nullptr) continue;
    errors.push_back(error_at(said.origin,
                              fmt::format("a workspace's own file may not set {}", key_name(rows()[said.row].doc)),
                              "it lies where the agent can write, so it may only tighten; put this in a profile"));
  }
  for (const Removal& removal : draft.removals) {
    errors.push_back(error_at(
        removal.origin,
        fmt::format("a workspace's own file may not take '{}' out of the profile", base::escape(removal.canonical)),
        "it lies where the agent can write, so it may only tighten"));
  }
  Profile result = profile;
  Narrowing narrowing{.profile = result, .file = draft, .fallback = defaults(), .errors = errors};
  for (const Row& row : rows()) {
    if (row.narrow != nullptr) row.narrow(narrowing);
  }
  if (!errors.empty()) {
    tidy(errors);
    return std::unexpected(std::move(errors));
  }
  result.files.push_back(workspace_file.file);
  return result;
}

}  // namespace agentbox::profile
