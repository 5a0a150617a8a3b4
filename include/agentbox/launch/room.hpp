#pragma once

// What the rest of agentbox may do to a running room. The supervisor implements it; the guard and, later, the gates
// use it.

#include <cstdint>

#include "agentbox/base/unique_fd.hpp"
#include "agentbox/plan/plan.hpp"

namespace agentbox::launch {

class Room {
 public:
  virtual ~Room() = default;
  // Returns when no process of the room runs any more. Nests. Throws base::SystemError if that can't be reached
  // within two seconds: the caller ends the run.
  virtual void freeze() = 0;
  virtual void thaw() = 0;
  // Carries out one furnishing now, by the helper that stays in the room's namespaces. For a mount that fell off.
  virtual void furnish(const plan::Furnishing& furnishing) = 0;
  // An unbound stream socket that belongs to the room's network namespace. `family` is AF_INET or AF_INET6.
  [[nodiscard]] virtual base::UniqueFd room_socket(int family) = 0;
};

// Thaws when it goes.
class Frozen {
 public:
  explicit Frozen(Room& room) : room_(room) { room_.freeze(); }
  ~Frozen() { room_.thaw(); }
  Frozen(const Frozen&) = delete;
  Frozen& operator=(const Frozen&) = delete;

 private:
  Room& room_;
};

}  // namespace agentbox::launch
