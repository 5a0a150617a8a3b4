#include "dial.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "agentbox/base/error.hpp"

namespace agentbox::gates::network {

namespace {

using Clock = std::chrono::steady_clock;

// An address that doesn't answer leaves the next ones some of the time.
constexpr std::chrono::milliseconds least{500};

int error_of(int socket) {
  int result = 0;
  socklen_t size = sizeof result;
  return ::getsockopt(socket, SOL_SOCKET, SO_ERROR, &result, &size) == 0 ? result : errno;
}

}  // namespace

Target target_of(const Address& address, std::uint16_t port) {
  if (address.family() == Address::Family::v6) {
    sockaddr_in6 six{};
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(port);
    std::memcpy(&six.sin6_addr, address.bytes().data(), sizeof six.sin6_addr);
    return Target::of(reinterpret_cast<const sockaddr*>(&six), sizeof six);
  }
  sockaddr_in four{};
  four.sin_family = AF_INET;
  four.sin_port = htons(port);
  std::memcpy(&four.sin_addr, address.bytes().data(), sizeof four.sin_addr);
  return Target::of(reinterpret_cast<const sockaddr*>(&four), sizeof four);
}

class Dial::Impl {
 public:
  Impl(boost::asio::io_context& loop_of_it, std::vector<Target> all, std::chrono::milliseconds patience, Done then,
       Splicer::MakeSocket maker)
      : loop(loop_of_it),
        timer(loop_of_it),
        targets(std::move(all)),
        end(Clock::now() + patience),
        done(std::move(then)),
        make_socket(std::move(maker)) {}

  boost::asio::io_context& loop;
  Watched socket;
  boost::asio::steady_timer timer;
  std::vector<Target> targets;
  std::size_t at = 0;
  Clock::time_point end;
  int error = EHOSTUNREACH;
  Done done;
  Splicer::MakeSocket make_socket;

  base::UniqueFd make(int family) const {
    try {
      return make_socket(family);
    } catch (const base::SystemError& refused) {
      errno = refused.code();
      return {};
    }
  }
};

Dial::Dial(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Dial::~Dial() = default;

std::shared_ptr<Dial> Dial::start(boost::asio::io_context& loop, std::vector<Target> targets,
                                  std::chrono::milliseconds patience, Done done, Splicer::MakeSocket make_socket) {
  std::shared_ptr<Dial> dial(
      new Dial(std::make_unique<Impl>(loop, std::move(targets), patience, std::move(done), std::move(make_socket))));
  dial->next();
  return dial;
}

void Dial::cancel() {
  impl_->done = nullptr;
  impl_->timer.cancel();
  impl_->socket.reset();
}

void Dial::next() {
  const auto now = Clock::now();
  const std::size_t left = impl_->targets.size() - impl_->at;
  if (left == 0 || now >= impl_->end) return finish({}, nullptr, left == 0 ? impl_->error : ETIMEDOUT);
  const Target& target = impl_->targets[impl_->at];
  base::UniqueFd socket = impl_->make(target.family());
  if (!socket) {
    impl_->error = errno;
    ++impl_->at;
    return next();
  }
  const int on = 1;
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const bool connected = ::connect(socket.get(), target.address(), target.size()) == 0;
  const int error = connected ? 0 : errno;
  const int number = socket.get();
  impl_->socket = std::move(socket);
  impl_->socket.notice_silent_end();
  // A server on this machine has answered by now.
  if (pollfd state{number, POLLOUT, 0}; error == EINPROGRESS && ::poll(&state, 1, 0) == 1) {
    return established((state.revents & (POLLERR | POLLHUP)) != 0 ? error_of(number) : 0);
  }
  if (error != EINPROGRESS) return established(error);
  const auto share = std::max<Clock::duration>((impl_->end - now) / static_cast<int>(left), least);
  impl_->timer.expires_at(std::min(now + share, impl_->end));
  impl_->timer.async_wait([self = shared_from_this()](boost::system::error_code ended) {
    if (!ended && self->impl_->done) self->established(ETIMEDOUT);
  });
  impl_->socket.wait(impl_->loop, Watched::For::writing, [self = shared_from_this()](int ended) {
    if (ended || !self->impl_->done) return;
    self->established(error_of(self->impl_->socket.get()));
  });
}

void Dial::established(int error) {
  impl_->timer.cancel();
  Watched socket = impl_->socket.hand_over();
  if (error == 0) return finish(std::move(socket), &impl_->targets[impl_->at], 0);
  impl_->error = error;
  ++impl_->at;
  next();
}

void Dial::finish(Watched socket, const Target* target, int error) {
  if (Done done = std::exchange(impl_->done, nullptr)) done(std::move(socket), target, error);
}

}  // namespace agentbox::gates::network
