#pragma once

// The messages gate (`agentbox send`): what the room asks to send becomes one pinned action, goes to the broker, and is
// then sent by the profile's own program or server, once.
//
// The room is hostile. Body and attachments come in one memfd that is sealed, so that nothing of it can change after it
// was shown. The mail is written here, byte by byte; of what the room sends only normalised recipients and plain text
// reach a program, each as an argument of its own, and nothing of what the program says comes back. Only the gate knows
// the address of a server. A message that is being sent does not end with the connection that asked for it.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agentbox/base/path.hpp"
#include "agentbox/base/unique_fd.hpp"
#include "agentbox/broker/decider.hpp"
#include "agentbox/gates/commands/command_gate.hpp"
#include "agentbox/gates/requests/request_server.hpp"
#include "agentbox/policy/ruling.hpp"

namespace boost::asio {
class io_context;
}

namespace agentbox::gates::messages {

struct Setup {
  policy::Rules rules;
  // What the room can write to: no program that sends may lie there.
  std::vector<base::AbsPath> writable;
  commands::Owner owner;
  std::vector<base::AbsPath> folders;  // HostPrograms::usual_folders
  // Of what the gate refuses by itself: for the record. May be empty.
  std::function<void(const policy::Action& action, const std::string& why)> refused;

  struct Limits {
    std::size_t open = 8;                           // asked or being sent: their content is kept in memory
    std::chrono::milliseconds time{120'000};        // of the program or server; then the outcome is unknown
    std::chrono::milliseconds hang_up{2'000};       // from SIGHUP to SIGKILL
    std::chrono::milliseconds at_end{30'000};       // for what is being sent when the session ends
    std::uint64_t output = std::uint64_t{4} << 20;  // bytes that the program may write
  } limits;
};

class MessageGate {
 public:
  // The decider must outlive the gate.
  MessageGate(boost::asio::io_context& loop, broker::Decider& decider, Setup setup);
  // Waits for what is being sent, up to `at_end`; what still runs then is killed, and its outcome unknown.
  ~MessageGate();
  MessageGate(const MessageGate&) = delete;
  MessageGate& operator=(const MessageGate&) = delete;

  // requests::Gates::message
  [[nodiscard]] std::shared_ptr<requests::Request> take(const requests::Requester& from,
                                                        const wire::MessageRequest& request, base::UniqueFd content);

  // Why one of the profile's programs could not be run, now; empty: all could.
  [[nodiscard]] std::string problem();

  struct Counters {
    std::size_t open = 0, sending = 0;  // now
  };
  [[nodiscard]] Counters counters() const noexcept;

  class Impl;

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace agentbox::gates::messages
