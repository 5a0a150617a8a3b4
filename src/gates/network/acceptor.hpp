#pragma once

// Accepts from listeners, never more connections at once than the limit.

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "agentbox/base/unique_fd.hpp"

namespace boost::asio {
class io_context;
}

namespace agentbox::gates::network {

class SharedListener;

class Acceptor {
 public:
  // Called for each connection, which is non-blocking. It counts as open until `release`.
  using Accepted = std::function<void(base::UniqueFd client, int family)>;

  // How many connections its loop has, of whatever acceptor; for other threads to read.
  using Load = std::shared_ptr<std::atomic<std::size_t>>;
  Acceptor(boost::asio::io_context& loop, std::size_t most_open, Accepted accepted,
           Load load = std::make_shared<Load::element_type>());
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // As SharedListener has it. Throw base::SystemError.
  void serve(base::UniqueFd listener);
  void serve(std::shared_ptr<SharedListener> listener);
  // One connection more is open, which came from another that is about to be released.
  void hold() noexcept { add(1); }
  // One connection less is open.
  void release();
  void close();

 private:
  class Door;

  [[nodiscard]] bool has_room() const noexcept { return open_ < most_open_; }
  void add(int connections) noexcept {
    open_ += static_cast<std::size_t>(connections);
    *load_ += static_cast<std::size_t>(connections);
  }

  boost::asio::io_context& loop_;
  std::size_t most_open_;
  Accepted accepted_;
  std::size_t open_ = 0;
  Load load_;
  std::vector<std::unique_ptr<Door>> doors_;
};

}  // namespace agentbox::gates::network
