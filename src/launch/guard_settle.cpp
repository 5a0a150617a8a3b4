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

class Settlement {
 public:
  Settlement(const Record& record, Settling settling) : record_(record), settling_(std::move(settling)) {}

  std::vector<GuardEvent> run() {
    LastDirectory parents(settling_.tree);
    for (const AbsPath& path : record_.watched) {
      if (is_missing(parents, path)) continue;
      attempt(path, [&]() -> std::vector<GuardEvent> {
        std::optional<GuardEvent> event =
            take_away(settling_, path, "it appeared during the run, and programs outside would execute it");
        if (!event) return {};
        return {*std::move(event)};
      });
    }
    for (const HeldPath& held : record_.held) attempt(held.path, [&] { return settle(settling_, held); });
    for (const GitRecord& git : record_.git) attempt(git.directory, [&] { return take_git_links(settling_, git); });
    return std::move(events_);
  }

 private:
  // The answer for nearly every name. An error is no answer.
  static bool is_missing(LastDirectory& parents, const AbsPath& path) {
    const std::expected<UniqueFd, int>& parent = parents.open(path.parent());
    if (!parent) return parent.error() == ENOENT;
    try {
      return !look_at(parent->get(), std::string(path.name()));
    } catch (const SystemError&) {
      return false;
    }
  }

  template <class Step>
  void attempt(const AbsPath& path, Step step) {
    try {
      for (GuardEvent& event : step()) events_.push_back(std::move(event));
    } catch (const SystemError& error) {
      events_.push_back({.kind = GuardEvent::Kind::unverified, .path = path, .detail = error.what(), .id = {}});
    }
  }

  const Record& record_;
  Settling settling_;
  std::vector<GuardEvent> events_;
};

}  // namespace

std::vector<GuardEvent> settle_content(const Record& record, const RunFolder& folder, const Tree& tree,
                                       const AbsPath& state_folder, std::optional<std::int64_t> until_ns) {
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
  Taking taking{
      .state_folder = state_folder, .path = {}, .session = record.session, .profile = record.profile, .why = {}};
  Settling settling{.tree = tree,
                    .taking = std::move(taking),
                    .copies = copies ? copies->get() : -1,
                    .note = record.held.empty() ? std::string() : switched_note(tree, record.git),
                    .until_ns = until_ns};
  return Settlement(record, std::move(settling)).run();
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
