#pragma once

// The changes gate (`agentbox propose`): new content for a file that the room can't write, or whose change it can't keep.
// The owner sees the difference and says yes to exactly these bytes; they are written if what they replace is still what
// he was shown.
//
// The room is hostile. The content comes in a memfd that is sealed, so that nothing of it can change after it was read;
// the path is resolved beneath a grant that was opened at the start, and no link is followed.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agentbox/base/path.hpp"
#include "agentbox/base/unique_fd.hpp"
#include "agentbox/broker/decider.hpp"
#include "agentbox/gates/requests/request_server.hpp"
#include "agentbox/policy/policy.hpp"

namespace boost::asio {
class io_context;
}

namespace agentbox::gates::changes {

// What stood at a held path when the run began: only against this an owner can judge, since the agent may have written
// there what it likes meanwhile.
struct Original {
  enum class Was : std::uint8_t { missing, file, other } was = Was::missing;
  std::string content;  // of a file
};

struct Setup {
  const policy::Policy* policy = nullptr;  // for policy::standing_of; outlives the gate

  // Around the writing, as in commands::Setup. `changed` is called between them, when something new stands at the path or
  // nothing does any more: it must be guarded as the old one was. May be empty.
  std::function<void()> before, after;
  std::function<void(const base::AbsPath& path)> changed;
  // Nothing: it is not held. May throw base::SystemError. May be empty.
  std::function<std::optional<Original>(const base::AbsPath& path)> original;
  // Of what the gate refuses by itself: for the record. May be empty.
  std::function<void(const policy::Action& action, const std::string& why)> refused;

  struct Limits {
    std::size_t open = 8;              // proposals at once: their content is kept in memory
    std::uint64_t content = 1U << 20;  // bytes of a file, old or new
  } limits;
};

class ChangeGate {
 public:
  // The decider must outlive the gate. Throws base::SystemError when a grant can't be opened.
  ChangeGate(broker::Decider& decider, Setup setup);
  ~ChangeGate();
  ChangeGate(const ChangeGate&) = delete;
  ChangeGate& operator=(const ChangeGate&) = delete;

  // requests::Gates::change
  [[nodiscard]] std::shared_ptr<requests::Request> take(requests::Requester from, wire::ChangeRequest request,
                                                        base::UniqueFd content);

  class Impl;

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace agentbox::gates::changes
