#include "job_control.hpp"

#include <signal.h>

namespace agentbox::prompt {

void stop_until_continued() noexcept {
  // The launcher may have blocked it, to hear of those that others send.
  struct sigaction usual{}, before{};
  usual.sa_handler = SIG_DFL;
  sigset_t stop, mask;
  ::sigemptyset(&stop);
  ::sigaddset(&stop, SIGTSTP);
  ::sigaction(SIGTSTP, &usual, &before);
  ::pthread_sigmask(SIG_UNBLOCK, &stop, &mask);
  ::kill(0, SIGTSTP);
  // Here we were stopped, and are continued now.
  ::pthread_sigmask(SIG_SETMASK, &mask, nullptr);
  ::sigaction(SIGTSTP, &before, nullptr);
}

}  // namespace agentbox::prompt
