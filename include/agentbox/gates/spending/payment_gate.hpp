#pragma once

// The spending gate (`agentbox pay`): what the room asks to pay becomes one pinned action, goes to the broker, which
// reserves it in the ledger, and is then paid by the profile's own command, once.
//
// The room is hostile. Of what it sends, only an amount that was parsed to an integer and texts without control
// characters and leading '-' reach the command, each as an argument of its own; nothing of what the command says comes
// back. A payment that is being made does not end with the connection that asked for it: its outcome must be known.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agentbox/base/path.hpp"
#include "agentbox/broker/decider.hpp"
#include "agentbox/gates/commands/command_gate.hpp"
#include "agentbox/gates/requests/request_server.hpp"
#include "agentbox/policy/ruling.hpp"

namespace boost::asio {
class io_context;
}

namespace agentbox::gates::spending {

struct Setup {
  policy::Rules rules;
  // What the room can write to: the payment's program must not lie there.
  std::vector<base::AbsPath> writable;
  commands::Owner owner;
  std::vector<base::AbsPath> folders;  // HostPrograms::usual_folders
  // Of what the gate refuses by itself: for the record. May be empty.
  std::function<void(const policy::Action& action, const std::string& why)> refused;

  struct Limits {
    std::size_t open = 16;                          // asked or being paid
    std::chrono::milliseconds time{600'000};        // of the command; then it is killed, and the outcome unknown
    std::chrono::milliseconds hang_up{2'000};       // from SIGHUP to SIGKILL
    std::chrono::milliseconds at_end{30'000};       // for what is being paid when the session ends
    std::uint64_t output = std::uint64_t{4} << 20;  // bytes
  } limits;
};

class PaymentGate {
 public:
  // The decider must outlive the gate.
  PaymentGate(boost::asio::io_context& loop, broker::Decider& decider, Setup setup);
  // Waits for what is being paid, up to `at_end`; what still runs then is killed, and its outcome unknown.
  ~PaymentGate();
  PaymentGate(const PaymentGate&) = delete;
  PaymentGate& operator=(const PaymentGate&) = delete;

  // requests::Gates::payment
  [[nodiscard]] std::shared_ptr<requests::Request> take(const requests::Requester& from, wire::PaymentRequest request);

  // Why the profile's payment command could not be run, now; empty: it could, or there is none.
  [[nodiscard]] std::string problem();

  struct Counters {
    std::size_t open = 0, paying = 0;  // now
  };
  [[nodiscard]] Counters counters() const noexcept;

  class Impl;

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace agentbox::gates::spending
