#include "guard_settle.hpp"

#include <algorithm>
#include <set>

#include "agentbox/base/error.hpp"

#include "guard_git.hpp"
#include "held.hpp"

namespace agentbox::launch {

namespace {

using base::AbsPath;
using base::SystemError;
using base::UniqueFd;

// What is done for one thing must not keep the others from being settled.
template <class Step>
void attempt(std::vector<GuardEvent>& events, const AbsPath& path, Step step) {
  try {
    for (GuardEvent& event : step()) events.push_back(std::move(event));
  } catch (const SystemError& error) {
    events.push_back({.kind = GuardEvent::Kind::unverified, .path = path, .detail = error.what(), .id = {}});
  }
}

// The answer for nearly every name. An error is no answer.
bool is_missing(LastDirectory& parents, const AbsPath& path) {
  const std::expected<UniqueFd, int>& parent = parents.open(path.parent());
  if (!parent) return parent.error() == ENOENT;
  try {
    return !look_at(parent->get(), std::string(path.name()));
  } catch (const SystemError&) {
    return false;
  }
}

Taking taking_for(const Record& record, const AbsPath& state_folder) {
  return {.state_folder = state_folder, .path = {}, .session = record.session, .profile = record.profile, .why = {}};
}

}  // namespace

std::vector<GuardEvent> take_strays(const Record& record, const Tree& tree, const AbsPath& state_folder,
                                    std::optional<std::int64_t> until_ns) {
  std::vector<GuardEvent> events;
  Settling settling{.tree = tree, .taking = taking_for(record, state_folder), .note = {}, .until_ns = until_ns};
  LastDirectory parents(tree);
  for (const AbsPath& path : record.watched) {
    if (is_missing(parents, path)) continue;
    attempt(events, path, [&]() -> std::vector<GuardEvent> {
      std::optional<GuardEvent> event =
          take_away(settling, path, "it appeared during the run, and programs outside would execute it");
      if (!event) return {};
      return {*std::move(event)};
    });
  }
  for (const GitRecord& git : record.git) {
    attempt(events, git.directory, [&] { return take_git_links(settling, git); });
  }
  return events;
}

std::vector<GuardEvent> settle_held(const Record& record, const RunFolder& folder, const Tree& tree,
                                    const AbsPath& state_folder, std::optional<std::int64_t> until_ns,
                                    const IsKept& is_kept) {
  std::expected<UniqueFd, int> copies = std::unexpected(0);
  bool copied = std::ranges::any_of(record.held, [](const HeldPath& held) { return !held.nodes.empty(); });
  if (copied) {
    copies = folder.open_copies();
    if (!copies) {
      return {{.kind = GuardEvent::Kind::unverified,
               .path = record.workspace,
               .detail = "the copies of its held files cannot be read: " + base::errno_text(copies.error()),
               .id = {}}};
    }
  }
  Settling settling{.tree = tree,
                    .taking = taking_for(record, state_folder),
                    .copies = copies ? copies->get() : -1,
                    .note = record.held.empty() ? std::string() : switched_note(tree, record.git),
                    .until_ns = until_ns};
  std::vector<GuardEvent> events;
  for (const HeldPath& held : record.held) {
    attempt(events, held.path, [&]() -> std::vector<GuardEvent> {
      if (!is_kept || !is_kept(held)) return settle(settling, held);
      return {{.kind = GuardEvent::Kind::kept,
               .path = held.path,
               .detail = "what the run made of it stays, as its owner said",
               .id = {}}};
    });
  }
  return events;
}

void remove_ghosts(const RunsLock&, const Record& record, const Tree& tree, const AbsPath& state_folder,
                   const KnownGhosts& known, Spares& spares) {
  if (record.ghosts.empty()) return;
  std::set<AbsPath> others;
  for (const Record& living : living_records(state_folder, record.session)) {
    others.insert(living.ghosts.begin(), living.ghosts.end());
  }
  std::vector<AbsPath> ghosts = record.ghosts;
  std::ranges::sort(ghosts, std::greater<>());  // children first
  LastDirectory parents(tree);
  for (const AbsPath& ghost : ghosts) {
    // Whoever lists it too removes it when he goes; under his room's mask it must not be taken away.
    if (others.contains(ghost)) continue;
    const std::expected<UniqueFd, int>& parent = parents.open(ghost.parent());
    if (!parent) continue;
    std::string name(ghost.name());
    std::optional<Entry> entry = look_at(parent->get(), name);
    if (!entry || entry->kind != policy::FileKind::directory) continue;
    auto seen = known.find(ghost);
    if (seen != known.end() && !same_object(seen->second, *entry)) continue;
    // Never more than an empty directory: one in which the owner has put something by now stays.
    (void)spares.give_back(parent->get(), name);
  }
}

}  // namespace agentbox::launch
