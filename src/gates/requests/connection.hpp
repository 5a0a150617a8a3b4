#pragma once

// One connection of request.sock: hostile bytes in, messages out. Knows nothing of what is asked.

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "agentbox/base/unique_fd.hpp"
#include "agentbox/wire/broker_message.hpp"

namespace agentbox::gates::requests {

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  // Neither is called from within the constructor, `start` or `send`, nor after `close`.
  struct Handler {
    // With a request.change that writes, and a request.message: the descriptor that came for it. Empty where none came, or more than one.
    std::function<void(const std::shared_ptr<Connection>&, wire::FromRoom, base::UniqueFd)> received;
    std::function<void(const std::shared_ptr<Connection>&)> closed;  // by the other side, or for misbehaviour
  };

  Connection(boost::asio::io_context& loop, base::UniqueFd socket, std::chrono::milliseconds half_line,
             Handler handler);
  void start();
  // Descriptors travel with its first byte, and are closed here.
  void send(const wire::ToRoom& message, std::vector<base::UniqueFd> with = {});
  // What was sent before still goes out, as far as the socket takes it at once.
  void close();

 private:
  struct Outgoing {
    std::string bytes;
    std::vector<base::UniqueFd> with;
  };
  enum class Read { some, nothing, over };

  void wait_to_read();
  void read();
  Read read_once(std::string& into);
  void keep(std::vector<base::UniqueFd> arrived);
  [[nodiscard]] base::UniqueFd content_for(const wire::FromRoom& message);
  void take(std::string_view bytes);
  void refuse(const wire::Fault& fault);
  void watch_half_line();
  void flush();
  bool write_once(Outgoing& outgoing);
  void lose();
  void lose_later();

  boost::asio::posix::stream_descriptor socket_;
  boost::asio::steady_timer timer_;
  std::chrono::milliseconds half_line_;
  Handler handler_;
  wire::LineSplitter splitter_;
  std::deque<base::UniqueFd> arrived_;  // for the next requests that have content, in their order
  std::deque<Outgoing> outbox_;
  std::size_t waiting_bytes_ = 0;
  std::size_t faults_ = 0;
  bool closed_ = false, writing_ = false, timing_ = false;
};

// Does the other side run as this user?
[[nodiscard]] bool is_own_user(int socket);

}  // namespace agentbox::gates::requests
