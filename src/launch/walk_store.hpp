#pragma once

// Where the walks of a workspace leave their memories: $XDG_STATE_HOME/agentbox/walks/, a file for each workspace
// and each set of things looked for.

#include <cstddef>
#include <memory>
#include <string>

#include "agentbox/base/path.hpp"

#include "walk.hpp"

namespace agentbox::launch {

class WalkStore {
 public:
  // `request` says what is looked for, and where. The folder need not exist.
  WalkStore(const base::AbsPath& state_folder, const WalkRequest& request);

  // What the last walk left, if it can be believed: written since the machine was started, for exactly this request, by
  // this user, and readable by nobody else. Null otherwise, whatever the reason: then all is read.
  [[nodiscard]] std::shared_ptr<const WalkMemory> load() const;

  // Kept until `save`.
  void note(WalkNotes notes) { notes_ = std::move(notes); }
  // Writes what was noted, if the next walk is spared enough by it, and removes memories of old. Not to be called while
  // somebody waits for the room. What fails here costs the next start some milliseconds, and is not told.
  void save() noexcept;

  // Removes memories that no walk will read again: of a workspace that is gone, or from before the machine was started.
  // How many those were.
  static std::size_t forget(const base::AbsPath& state_folder);

 private:
  void write(const std::string& bytes) const;

  base::AbsPath folder_;
  std::string key_;   // empty: the machine doesn't say when it was started
  std::string name_;  // of the file
  WalkNotes notes_;
};

}  // namespace agentbox::launch
