#pragma once

// A loop on a thread of its own.

#include <memory>

#include "agentbox/gates/network/splicer.hpp"

namespace agentbox::gates::network {

class Lane {
 public:
  // What is thrown there is thrown in the owner's loop, and the lane has ended then. The owner's loop must outlive it.
  // Throws base::SystemError.
  explicit Lane(boost::asio::io_context& owner);
  // Whatever is still to be done there is dropped.
  ~Lane();
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  // Until then, and after `stop`, what is there is the caller's. Throws base::SystemError.
  void start();
  // It waits for what is being done there.
  void stop();
  // What had come before that, done by the caller: a connection may have ended that nobody has looked at. So much and no
  // more, since the room may still be there.
  void finish();

  [[nodiscard]] boost::asio::io_context& loop() noexcept;
  [[nodiscard]] Splicer& splicer() noexcept;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace agentbox::gates::network
