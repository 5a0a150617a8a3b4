#include "connection.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/post.hpp>

namespace agentbox::gates::requests {

namespace {

// Who does not read his answers while he goes on asking loses the connection.
constexpr std::size_t most_unread = 1 << 20;
constexpr std::size_t most_faults = 16;
constexpr std::size_t read_size = 16 * 1024;
constexpr int reads_at_once = 8;  // then others of the loop have their turn

// Descriptors that wait for their line. A client that follows the protocol has one of them under way.
constexpr std::size_t most_arrived = 2;

std::vector<base::UniqueFd> take_descriptors(msghdr& message) {
  std::vector<base::UniqueFd> taken;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    for (std::size_t at = 0; at + sizeof(int) <= part->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + at, sizeof fd);
      taken.emplace_back(fd);
    }
  }
  return taken;
}

}  // namespace

bool is_own_user(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == ::geteuid();
}

Connection::Connection(boost::asio::io_context& loop, base::UniqueFd socket, std::chrono::milliseconds half_line,
                       Handler handler)
    : socket_(loop, socket.release()), timer_(loop), half_line_(half_line), handler_(std::move(handler)) {}

void Connection::start() {
  wait_to_read();
}

void Connection::wait_to_read() {
  if (closed_) return;
  socket_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                     [self = shared_from_this()](boost::system::error_code error) {
                       if (!error && !self->closed_) self->read();
                     });
}

void Connection::read() {
  std::string bytes;
  for (int turn = 0; turn < reads_at_once && !closed_; ++turn) {
    bytes.clear();
    switch (read_once(bytes)) {
      case Read::over: return lose();
      case Read::nothing: turn = reads_at_once; break;
      case Read::some: take(bytes); break;
    }
  }
  watch_half_line();
  wait_to_read();
}

Connection::Read Connection::read_once(std::string& into) {
  into.resize(read_size);
  iovec part{into.data(), into.size()};
  // Room for as many as the kernel passes at once (SCM_MAX_FD): none stays behind.
  alignas(cmsghdr) std::array<char, CMSG_SPACE(253 * sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t count = ::recvmsg(socket_.native_handle(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (count < 0) return errno == EAGAIN || errno == EINTR ? Read::nothing : Read::over;
  keep(take_descriptors(message));
  into.resize(static_cast<std::size_t>(count));
  return count == 0 ? Read::over : Read::some;
}

// They come with the first byte of their line, so before any later line; and the line before may end in the same read.
void Connection::keep(std::vector<base::UniqueFd> arrived) {
  if (arrived.empty() || arrived_.size() >= most_arrived) return;
  arrived_.push_back(arrived.size() == 1 ? std::move(arrived.front()) : base::UniqueFd());
}

base::UniqueFd Connection::content_for(const wire::FromRoom& message) {
  const auto* change = std::get_if<wire::ChangeRequest>(&message.body);
  const bool writes = change != nullptr && change->what == wire::ChangeRequest::What::write;
  const bool has_content = writes || std::holds_alternative<wire::MessageRequest>(message.body);
  if (!has_content || arrived_.empty()) return {};
  base::UniqueFd content = std::move(arrived_.front());
  arrived_.pop_front();
  return content;
}

void Connection::take(std::string_view bytes) {
  std::string line;
  while (!closed_) {
    switch (splitter_.take(bytes, line)) {
      case wire::LineSplitter::Split::more: return;
      case wire::LineSplitter::Split::too_long:
        refuse({.id = {}, .code = wire::Code::not_json, .message = "a line is at most 65536 bytes long"});
        return lose();
      case wire::LineSplitter::Split::line: break;
    }
    if (timing_) {
      timing_ = false;
      timer_.cancel();
    }
    auto message = wire::decode_from_room(line);
    if (message) {
      auto received = handler_.received;  // `close` takes the handler away
      base::UniqueFd content = content_for(*message);
      received(shared_from_this(), *std::move(message), std::move(content));
    } else {
      refuse(message.error());
      if (++faults_ >= most_faults) return lose();
    }
  }
}

void Connection::refuse(const wire::Fault& fault) {
  send({.id = fault.id, .body = wire::Refusal{fault.code, fault.message}});
}

void Connection::watch_half_line() {
  if (closed_ || timing_ || splitter_.pending() == 0) return;
  timing_ = true;
  timer_.expires_after(half_line_);
  timer_.async_wait([self = shared_from_this()](boost::system::error_code error) {
    if (error || self->closed_ || !self->timing_) return;
    self->refuse({.id = {}, .code = wire::Code::not_json, .message = "the rest of a line did not come"});
    self->lose();
  });
}

void Connection::send(const wire::ToRoom& message, std::vector<base::UniqueFd> with) {
  if (closed_) return;
  Outgoing outgoing{wire::encode(message), std::move(with)};
  waiting_bytes_ += outgoing.bytes.size();
  outbox_.push_back(std::move(outgoing));
  if (waiting_bytes_ > most_unread) {
    return lose_later();
  }
  flush();
}

void Connection::flush() {
  if (closed_ || writing_) return;
  while (!outbox_.empty()) {
    if (!write_once(outbox_.front())) {
      writing_ = true;
      socket_.async_wait(boost::asio::posix::stream_descriptor::wait_write,
                         [self = shared_from_this()](boost::system::error_code error) {
                           self->writing_ = false;
                           if (!error) self->flush();
                         });
      return;
    }
    if (outbox_.front().bytes.empty()) outbox_.pop_front();
  }
}

// False: not now.
bool Connection::write_once(Outgoing& outgoing) {
  iovec part{outgoing.bytes.data(), outgoing.bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(3 * sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!outgoing.with.empty() && outgoing.with.size() <= 3) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(outgoing.with.size() * sizeof(int));
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(outgoing.with.size() * sizeof(int));
    for (std::size_t i = 0; i < outgoing.with.size(); ++i) {
      const int fd = outgoing.with[i].get();
      std::memcpy(CMSG_DATA(header) + i * sizeof fd, &fd, sizeof fd);
    }
  }
  ssize_t count = ::sendmsg(socket_.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (count < 0) {  // he is gone; or has left too many descriptors in his socket (ETOOMANYREFS)
    lose_later();
    count = static_cast<ssize_t>(outgoing.bytes.size());
  }
  waiting_bytes_ -= static_cast<std::size_t>(count);
  outgoing.bytes.erase(0, static_cast<std::size_t>(count));
  outgoing.with.clear();
  return true;
}

// The caller is in the middle of something.
void Connection::lose_later() {
  boost::asio::post(socket_.get_executor(), [self = shared_from_this()] { self->lose(); });
}

void Connection::lose() {
  if (closed_) return;
  auto closed = std::move(handler_.closed);
  auto self = shared_from_this();
  close();
  closed(self);
}

void Connection::close() {
  if (std::exchange(closed_, true)) return;
  timer_.cancel();
  boost::system::error_code ignored;
  socket_.close(ignored);
  outbox_.clear();
  arrived_.clear();
  // They hold the server, and it holds us.
  handler_ = {};
}

}  // namespace agentbox::gates::requests
