#pragma once

// What was taken out of a workspace: kept in the state folder, each with a description, until its owner
// restores or deletes it. Its bytes, its name and its place are an agent's: escape them before they are
// shown.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agentbox/base/diagnostic.hpp"
#include "agentbox/base/path.hpp"
#include "agentbox/policy/facts.hpp"

namespace agentbox::launch {

struct Quarantined {
  std::string id;         // "20251121-k3f9t2": the day (UTC) and six letters
  std::int64_t when = 0;  // seconds since 1970
  std::string session, profile;
  base::AbsPath path;  // where it stood, and where `restore` puts it
  policy::FileKind kind = policy::FileKind::regular;
  std::uint64_t size = 0;        // bytes of a regular file
  std::uint32_t mode = 0;        // permission bits that it had
  std::int64_t modified_ns = 0;  // mtime that it had, nanoseconds since 1970
  std::string why;               // one sentence
};

class Quarantine {
 public:
  // `state_folder` is $XDG_STATE_HOME/agentbox. Nothing is made until something is taken.
  explicit Quarantine(base::AbsPath state_folder);

  // Oldest first. An item whose description can't be read is listed with an empty session and says so in
  // `why`.
  [[nodiscard]] std::vector<Quarantined> list() const;
  // By its id or a beginning of it that only one has.
  [[nodiscard]] base::Result<Quarantined> find(std::string_view id) const;

  struct Content {
    std::string bytes;  // of a regular file; a link's target; of a directory one path a line, escaped
    bool whole = true;  // false: there is more than `limit` bytes
  };
  [[nodiscard]] Content content(const Quarantined& item, std::size_t limit) const;

  // Puts it back where it stood, with mode (never setuid) and time, and forgets it here. Only if nothing is
  // there, no directory on the way is a symbolic link or missing, and no room is running that would take it
  // again.
  [[nodiscard]] base::Result<void> restore(const Quarantined& item) const;
  void erase(const Quarantined& item) const;

 private:
  base::AbsPath state_folder_, folder_;
};

}  // namespace agentbox::launch
