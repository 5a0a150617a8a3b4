#pragma once

// What a run has left, read whole and compared with what was there, so that its owner can decide. All that is read is an
// agent's, and bounded.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agentbox/base/path.hpp"
#include "agentbox/launch/guard.hpp"
#include "agentbox/policy/facts.hpp"

#include "guard_tree.hpp"
#include "record.hpp"

namespace agentbox::launch {

// A file, a link or a directory with all that is in it.
class Sight {
 public:
  struct Node {
    policy::FileKind kind = policy::FileKind::regular;
    std::uint32_t mode = 0;
    std::string text;  // the bytes of a file, a link's target
    friend bool operator==(const Node&, const Node&) = default;
  };

  // What stands there now; empty when nothing does. Nothing: it is too much, or can't be read.
  [[nodiscard]] static std::optional<Sight> of(int directory, const std::string& name);
  // What stood there when the run began.
  [[nodiscard]] static std::optional<Sight> of(const HeldPath& held, int copies);

  // By the path below it; itself has none.
  [[nodiscard]] const std::map<std::string, Node>& nodes() const noexcept { return nodes_; }
  // SHA-256: of a single file's bytes, else of all that is here. Empty when nothing is.
  [[nodiscard]] std::string hash() const;
  [[nodiscard]] std::uint64_t bytes() const noexcept;
  // The mode that a single file will have.
  void give_mode(std::uint32_t mode) {
    if (Node& itself = nodes_[""]; itself.kind == policy::FileKind::regular) itself.mode = mode;
  }
  friend bool operator==(const Sight&, const Sight&) = default;

 private:
  struct Bounds;
  bool add(int directory, const std::string& name, const std::string& relative, Bounds& bounds);
  std::map<std::string, Node> nodes_;
};

// In a few words, escaped: "was changed", "new: a, gone: b".
[[nodiscard]] std::string in_words(const Sight& before, const Sight& after);
// See Leftover::difference. Nothing: it is too long to be shown.
[[nodiscard]] std::optional<std::string> difference(const Sight& before, const Sight& after);

// All that can be shown: held files that are not what they were, then the last thing that was quarantined at each place.
struct Leftovers {
  std::vector<Leftover> all;
  std::vector<std::string> ids;  // of the quarantine; empty for what is held
  std::vector<Sight> now;        // to be compared before it is kept
};
[[nodiscard]] Leftovers find_leftovers(const Record& record, const RunFolder& folder, const Tree& tree,
                                       const base::AbsPath& state_folder, const std::vector<GuardEvent>& events);
// Is what stands at a held path still what its owner was shown?
[[nodiscard]] bool is_as_shown(const Tree& tree, const base::AbsPath& path, const Sight& shown);

}  // namespace agentbox::launch
