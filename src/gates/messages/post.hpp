#pragma once

// One request to a server of this machine, and its status. The room has no part in it but the message.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agentbox/policy/ruling.hpp"

namespace boost::asio {
class io_context;
}

namespace agentbox::gates::messages {

class Post {
 public:
  struct Ended {
    enum class How : std::uint8_t {
      answered,     // with `status`
      not_reached,  // nothing was sent
      lost          // it may have come, or not
    } how = How::lost;
    int status = 0;
    std::string why;  // one clause; empty when answered
  };

  // `request`: all its bytes. Throws base::SystemError when there is no socket to be had.
  Post(boost::asio::io_context& loop, const profile::PostAddress& address, std::string request);
  ~Post();
  Post(const Post&) = delete;
  Post& operator=(const Post&) = delete;

  // Once, from the loop. Not after the destructor.
  void when_ended(std::function<void(Ended)> done);
  // Without the loop, and then `done` is not called: nothing if it is not answered after `time`.
  [[nodiscard]] std::optional<Ended> wait_for(std::chrono::milliseconds time);

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace agentbox::gates::messages
