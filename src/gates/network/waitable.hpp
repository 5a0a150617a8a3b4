#pragma once

// A socket that the event loop learns of when it is first waited for. Most connections of a room pass from their arrival to
// the relay without a wait, and each socket that the loop knows costs it several system calls.

#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>

#include "agentbox/base/unique_fd.hpp"

namespace agentbox::gates::network {

class Waitable {
 public:
  using Descriptor = boost::asio::posix::stream_descriptor;
  using Error = boost::system::error_code;

  explicit Waitable(boost::asio::io_context& loop, base::UniqueFd socket = {})
      : socket_(std::move(socket)), known_(loop) {}

  void assign(base::UniqueFd socket) {
    close();
    socket_ = std::move(socket);
  }
  [[nodiscard]] bool is_open() const { return socket_ || known_.is_open(); }
  [[nodiscard]] int native_handle() { return known_.is_open() ? known_.native_handle() : socket_.get(); }

  // Of a closed one, or one that the loop can't take, an error comes; never an exception.
  template <class Then>
  void async_wait(Descriptor::wait_type what, Then&& then) {
    Error error;
    if (!known_.is_open()) known_.assign(socket_.get(), error);
    if (error)
      return boost::asio::post(known_.get_executor(), [then = std::forward<Then>(then), error] { then(error); });
    (void)socket_.release();
    known_.async_wait(what, std::forward<Then>(then));
  }
  void cancel() {
    Error ignored;
    if (known_.is_open()) known_.cancel(ignored);
  }
  void close() {
    Error ignored;
    if (known_.is_open()) known_.close(ignored);
    socket_.reset();
  }
  // Nobody waits for it any more.
  [[nodiscard]] base::UniqueFd release() {
    return known_.is_open() ? base::UniqueFd(known_.release()) : std::move(socket_);
  }

 private:
  base::UniqueFd socket_;  // while the loop doesn't know it
  Descriptor known_;
};

}  // namespace agentbox::gates::network
