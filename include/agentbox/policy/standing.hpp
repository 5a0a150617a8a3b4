#pragma once

// What guards a file that the agent proposes to change, and what becomes of it outside: for the owner, who decides.

#include <expected>
#include <optional>
#include <string>

#include "agentbox/base/path.hpp"
#include "agentbox/policy/policy.hpp"

namespace agentbox::policy {

struct Standing {
  enum class Grade {
    protected_,  // read-only in the room, or missing and watched for
    held,        // writable; kept only after a yes at the end
    ordinary     // nothing guards it: the agent could write it itself
  } grade = Grade::ordinary;
  base::AbsPath root;                     // the grant that it lies in: a folder that the room may write to
  std::optional<profile::Origin> origin;  // whose line guards it
  std::string becomes;                    // one clause: "git runs it as the hook pre-commit"; empty: nothing is known
};

// `path` as the room names it, which is what it is called outside. Answered from the mounts alone: what stands there, and
// whether a link lies on the way, only the file system knows. Else why it can't be proposed, one clause with what to do
// instead: it is hidden, can only be read, is no file of the owner's, or is one that git keeps for itself.
[[nodiscard]] std::expected<Standing, std::string> standing_of(const Policy& policy, const base::AbsPath& path);

}  // namespace agentbox::policy
