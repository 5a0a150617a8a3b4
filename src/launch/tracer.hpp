#pragma once

// Holds the processes of a room in ptrace stops. A thread of its own does it, for to the kernel a tracer is a thread,
// and what it waits for must not meet the waits of others.

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include <sys/types.h>

#include "agentbox/base/error.hpp"

#include "census.hpp"

namespace agentbox::launch {

class Tracer {
 public:
  // `census` is called by the tracer's thread while `hold` waits for it.
  // `death` is readable when init, and so everybody in the room, is dead: then nobody has to be held.
  Tracer(pid_t init, int death, std::function<Census(Stop)> census)
      : init_(init), death_(death), census_(std::move(census)) {}
  // Whoever is still held dies.
  ~Tracer();
  Tracer(const Tracer&) = delete;
  Tracer& operator=(const Tracer&) = delete;

  // Returns when every thread of the room is held. Throws base::SystemError when that isn't reached within two seconds,
  // and then nobody is held.
  void hold();
  void release();

 private:
  enum class Wish : std::uint8_t { none, hold, release, end };
  struct Task {
    pid_t process = 0;
    bool is_stopped = false;
    int signal = 0;  // it was on its way to be delivered
  };

  void ask(Wish wish);
  void work();
  void hold_all();
  void let_go();
  void detach_stopped();
  void collect();
  void seize(pid_t process);
  void settle(const std::set<pid_t>& processes);
  [[nodiscard]] bool is_held(pid_t process);
  bool note_death(pid_t process);
  [[nodiscard]] bool was_dead(pid_t process) const;
  [[nodiscard]] bool is_room_dead();

  const pid_t init_;
  const int death_;
  const std::function<Census(Stop)> census_;

  // The thread's alone.
  std::map<pid_t, Task> tasks_;          // by thread
  std::set<pid_t> held_;                 // processes of which every thread is
  std::map<pid_t, std::uint64_t> dead_;  // not yet taken away, and when they had started
  std::set<pid_t> stopped_before_;       // by a signal, before we sent one
  bool is_holding_ = false, has_signalled_ = false;
  std::optional<base::SystemError> obstacle_;  // why somebody can't be held

  std::mutex mutex_;
  std::condition_variable changed_;
  Wish wish_ = Wish::none;
  std::exception_ptr error_;
  std::thread thread_;
};

}  // namespace agentbox::launch
