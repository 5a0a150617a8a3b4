#pragma once

#include <csignal>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

namespace agentbox::broker {

// A thread in which every signal is blocked: they are for the loop's own thread, which waits for them. Nothing where
// there can't be one, of which the system has only so many.
template <class Thread = std::thread, class... Arguments>
[[nodiscard]] std::optional<Thread> start_without_signals(Arguments&&... arguments) {
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  std::optional<Thread> started;
  try {
    started.emplace(std::forward<Arguments>(arguments)...);
  } catch (const std::system_error&) {  // NOLINT(bugprone-empty-catch): the caller is told
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return started;
}

}  // namespace agentbox::broker
