#pragma once

#include <signal.h>

#include "agentbox/base/unique_fd.hpp"

namespace agentbox::launch {

// From here on SIGTERM, SIGHUP, SIGINT, SIGQUIT and SIGTSTP arrive on a descriptor instead of ending us between two steps, so
// that whatever was made is also removed. The old mask comes back at the end; what is pending by then takes effect.
class SignalGate {
 public:
  SignalGate();
  ~SignalGate();
  SignalGate(const SignalGate&) = delete;
  SignalGate& operator=(const SignalGate&) = delete;

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  // Takes one that has arrived; 0 for none. Does not wait.
  [[nodiscard]] int take() const noexcept;

 private:
  sigset_t old_{};
  base::UniqueFd fd_;
};

}  // namespace agentbox::launch
