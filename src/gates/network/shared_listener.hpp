#pragma once

// A listening socket that several loops accept from by turns: a connection wakes one of them alone. Where all of them
// wait at once each connection wakes all, and all but one in vain; EPOLLEXCLUSIVE (epoll_ctl(2)) is no help, since a
// loop's epoll within another passes every wake-up on. The turn stays where it is, in a loop that is awake, until another
// one has clearly less to do.
//
// For any thread.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "agentbox/base/unique_fd.hpp"
#include "agentbox/gates/network/watched.hpp"

namespace agentbox::gates::network {

class SharedListener {
 public:
  // A listening TCP socket, IPv4 or IPv6. Throws base::SystemError.
  explicit SharedListener(base::UniqueFd socket);
  SharedListener(const SharedListener&) = delete;
  SharedListener& operator=(const SharedListener&) = delete;

  using Number = std::size_t;
  // Until `leave`, for which the seat must still be there. `load`: how many connections that loop has, from whatever
  // listener; it must outlive that. Throws base::SystemError.
  [[nodiscard]] Number join(const Seat& seat, const std::atomic<std::size_t>& load);
  void leave(Number who);

  // It would take the next connection, when its turn comes: then it hears of an event, and has the turn until it gives it
  // up. More than once does no harm.
  void ready(Number who);
  // To one that is ready, which may be itself; nobody's where none is. What it hasn't is not its to give up.
  void give_up(Number who, bool still_ready);

  // One whose turn it is, non-blocking; without a socket and with an errno where there is none.
  [[nodiscard]] base::UniqueFd accept() const noexcept;
  [[nodiscard]] int family() const noexcept { return family_; }  // AF_INET or AF_INET6

 private:
  struct Member {
    int epoll = -1;  // none: it has left
    std::uint64_t data = 0;
    const std::atomic<std::size_t>* load = nullptr;
    bool ready = false;
  };

  [[nodiscard]] bool tell(const Member& member, int operation, std::uint32_t events) const noexcept;
  [[nodiscard]] std::optional<Number> next() const noexcept;
  void pass_on();

  base::UniqueFd socket_;
  int family_ = 0;
  std::mutex mutex_;
  std::vector<Member> members_;
  std::optional<Number> turn_;
  Number last_ = 0;  // whose turn it was, or is
};

}  // namespace agentbox::gates::network
