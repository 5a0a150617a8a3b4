#include "shared_listener.hpp"

#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "agentbox/base/error.hpp"

namespace agentbox::gates::network {

namespace {

constexpr std::uint32_t one_event = EPOLLIN | EPOLLONESHOT;
constexpr std::uint32_t none = EPOLLONESHOT;

}  // namespace

SharedListener::SharedListener(base::UniqueFd socket) : socket_(std::move(socket)) {
  int listens = 0;
  const int on = 1;
  socklen_t size = sizeof family_;
  if (::getsockopt(socket_.get(), SOL_SOCKET, SO_DOMAIN, &family_, &size) != 0 ||
      ::getsockopt(socket_.get(), SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 ||
      ::fcntl(socket_.get(), F_SETFL, ::fcntl(socket_.get(), F_GETFL) | O_NONBLOCK) != 0) {
    throw base::SystemError(errno, "cannot accept connections");
  }
  if (listens == 0 || (family_ != AF_INET && family_ != AF_INET6)) {
    throw base::SystemError(EINVAL, "cannot accept connections");
  }
  // Each connection has it from here. What is relayed was pushed by its sender already; to collect again would cost
  // time.
  ::setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

SharedListener::Number SharedListener::join(const Seat& seat, const std::atomic<std::size_t>& load) {
  const std::scoped_lock lock(mutex_);
  const Member member{.epoll = seat.epoll(), .data = seat.data(), .load = &load, .ready = false};
  if (!tell(member, EPOLL_CTL_ADD, none)) throw base::SystemError(errno, "cannot wait for connections");
  members_.push_back(member);
  return members_.size() - 1;
}

void SharedListener::leave(Number who) {
  const std::scoped_lock lock(mutex_);
  Member& member = members_.at(who);
  (void)tell(member, EPOLL_CTL_DEL, 0);
  member = {};
  if (turn_ == who) pass_on();
}

void SharedListener::ready(Number who) {
  const std::scoped_lock lock(mutex_);
  members_.at(who).ready = true;
  if (!turn_) pass_on();
}

void SharedListener::give_up(Number who, bool still_ready) {
  const std::scoped_lock lock(mutex_);
  members_.at(who).ready = still_ready;
  if (turn_ == who) pass_on();
}

base::UniqueFd SharedListener::accept() const noexcept {
  return base::UniqueFd(::accept4(socket_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

bool SharedListener::tell(const Member& member, int operation, std::uint32_t events) const noexcept {
  epoll_event event{};
  event.events = events;
  event.data.u64 = member.data;
  return ::epoll_ctl(member.epoll, operation, socket_.get(), &event) == 0;
}

std::optional<SharedListener::Number> SharedListener::next() const noexcept {
  std::optional<Number> best;
  std::size_t least = 0;
  for (Number i = 0; i < members_.size(); ++i) {
    const Number at = (last_ + i) % members_.size();
    if (!members_[at].ready) continue;
    // One more for the others: with as many connections it stays.
    const std::size_t load = members_[at].load->load(std::memory_order_relaxed) + (at == last_ ? 0 : 1);
    if (best && load >= least) continue;
    best = at;
    least = load;
  }
  return best;
}

// A kernel that refuses it is tried again with the next that is ready.
void SharedListener::pass_on() {
  turn_.reset();
  const std::optional<Number> best = next();
  if (!best || !tell(members_[*best], EPOLL_CTL_MOD, one_event)) return;
  turn_ = last_ = *best;
}

}  // namespace agentbox::gates::network
