#include "post.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>

#include "agentbox/base/error.hpp"
#include "agentbox/base/unique_fd.hpp"

#include "posted.hpp"

namespace agentbox::gates::messages {

using base::SystemError;
using How = Post::Ended::How;
using Descriptor = boost::asio::posix::stream_descriptor;

namespace {

struct Address {
  sockaddr_storage bytes{};
  socklen_t size = 0;
};
Address address_of(const profile::PostAddress& address) {
  Address result;
  if (address.host == "::1") {
    auto* six = reinterpret_cast<sockaddr_in6*>(&result.bytes);
    six->sin6_family = AF_INET6;
    six->sin6_addr = in6addr_loopback;
    six->sin6_port = htons(address.port);
    result.size = sizeof *six;
  } else {
    auto* four = reinterpret_cast<sockaddr_in*>(&result.bytes);
    four->sin_family = AF_INET;
    four->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    four->sin_port = htons(address.port);
    result.size = sizeof *four;
  }
  return result;
}

}  // namespace

class Post::Impl : public std::enable_shared_from_this<Post::Impl> {
 public:
  Impl(boost::asio::io_context& loop, const profile::PostAddress& address, std::string request)
      : socket_(loop), request_(std::move(request)) {
    const Address to = address_of(address);
    base::UniqueFd socket(::socket(to.bytes.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) throw SystemError(errno, "cannot make a socket");
    const bool connected = ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&to.bytes), to.size) == 0;
    if (!connected && errno != EINPROGRESS) {
      ended_ = Ended{.how = How::not_reached, .why = "the server can't be reached: " + base::errno_text(errno)};
    }
    socket_.assign(socket.release());
  }

  void run(std::function<void(Ended)> done) {
    done_ = std::move(done);
    boost::asio::post(socket_.get_executor(), [weak = weak_from_this()] {
      if (auto self = weak.lock()) self->go_on();
    });
  }

  std::optional<Ended> wait_for(std::chrono::milliseconds time) {
    done_ = nullptr;
    const auto until = std::chrono::steady_clock::now() + time;
    for (;;) {
      step();
      if (ended_) return ended_;
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
      if (left.count() <= 0) return std::nullopt;
      pollfd ready{socket_.native_handle(), static_cast<short>(is_sent() ? POLLIN : POLLOUT), 0};
      if (::poll(&ready, 1, static_cast<int>(left.count())) < 0 && errno != EINTR) return std::nullopt;
    }
  }

  void close() {
    done_ = nullptr;
    boost::system::error_code ignored;
    socket_.close(ignored);
  }

 private:
  [[nodiscard]] bool is_sent() const { return sent_ == request_.size(); }

  void go_on() {
    if (!done_) return;
    step();
    if (ended_) return std::exchange(done_, nullptr)(*ended_);
    socket_.async_wait(is_sent() ? Descriptor::wait_read : Descriptor::wait_write,
                       [weak = weak_from_this()](boost::system::error_code error) {
                         auto self = weak.lock();
                         if (!error && self) self->go_on();
                       });
  }

  // As far as it goes without waiting.
  void step() {
    while (!ended_ && !is_sent()) {
      const ssize_t count =
          ::send(socket_.native_handle(), request_.data() + sent_, request_.size() - sent_, MSG_NOSIGNAL);
      if (count < 0 && errno == EINTR) continue;
      // ENOTCONN: it is being connected.
      if (count < 0 && (errno == EAGAIN || errno == ENOTCONN)) return;
      if (count < 0) return fail(errno);
      sent_ += static_cast<std::size_t>(count);
    }
    std::array<char, 4096> bytes{};
    while (!ended_) {
      const ssize_t count = ::recv(socket_.native_handle(), bytes.data(), bytes.size(), 0);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0 && errno == EAGAIN) return;
      if (count <= 0) {
        ended_ = Ended{.how = How::lost, .why = "the server has closed the connection without an answer"};
        return;
      }
      answer_.append(bytes.data(), static_cast<std::size_t>(count));
      const Status status = read_status(answer_);
      if (status.is == Status::Is::known) ended_ = Ended{.how = How::answered, .status = status.code};
      if (status.is == Status::Is::nonsense) {
        ended_ = Ended{.how = How::lost, .why = "what the server answered is no HTTP"};
      }
    }
  }

  void fail(int error) {
    // Nothing has left while it was being connected.
    const How how = sent_ == 0 ? How::not_reached : How::lost;
    ended_ = Ended{.how = how, .why = "the server can't be reached: " + base::errno_text(error)};
  }

  Descriptor socket_;
  std::string request_, answer_;
  std::size_t sent_ = 0;
  std::optional<Ended> ended_;
  std::function<void(Ended)> done_;
};

Post::Post(boost::asio::io_context& loop, const profile::PostAddress& address, std::string request)
    : impl_(std::make_shared<Impl>(loop, address, std::move(request))) {}
Post::~Post() {
  impl_->close();
}
void Post::when_ended(std::function<void(Ended)> done) {
  impl_->run(std::move(done));
}
std::optional<Post::Ended> Post::wait_for(std::chrono::milliseconds time) {
  return impl_->wait_for(time);
}

}  // namespace agentbox::gates::messages
