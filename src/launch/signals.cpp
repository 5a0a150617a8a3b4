#include "signals.hpp"

#include <cerrno>

#include <sys/signalfd.h>
#include <unistd.h>

#include "agentbox/base/error.hpp"

namespace agentbox::launch {

SignalGate::SignalGate() {
  sigset_t set;
  sigemptyset(&set);
  for (int number : {SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGTSTP}) {
    struct sigaction action{};
    // One that our caller ignores (nohup, a background job of an old shell) stays ignored.
    if (::sigaction(number, nullptr, &action) == 0 && action.sa_handler != SIG_IGN) sigaddset(&set, number);
  }
  if (::sigprocmask(SIG_BLOCK, &set, &old_) != 0) throw base::SystemError(errno, "cannot block signals");
  fd_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd_) throw base::SystemError(errno, "cannot wait for signals");
}

SignalGate::~SignalGate() {
  ::sigprocmask(SIG_SETMASK, &old_, nullptr);
}

int SignalGate::take() const noexcept {
  signalfd_siginfo info{};
  return ::read(fd_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info) ? static_cast<int>(info.ssi_signo)
                                                                                    : 0;
}

}  // namespace agentbox::launch
