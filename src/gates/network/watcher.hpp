#pragma once

// The epoll instance within a loop's in which the sockets of watched.hpp are. One for a loop.

#include <cstdint>
#include <deque>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include "agentbox/gates/network/watched.hpp"

namespace agentbox::gates::network {

class Watcher : public boost::asio::execution_context::service {
 public:
  using key_type = Watcher;
  static boost::asio::execution_context::id id;

  // Throws base::SystemError.
  [[nodiscard]] static Watcher& of(boost::asio::io_context& loop) { return boost::asio::use_service<Watcher>(loop); }
  // For asio alone: see `of`.
  explicit Watcher(boost::asio::io_context& loop);

 private:
  friend class Watched;

  struct Place {
    Watched::Listener* listener = nullptr;
    Watched::Then on_readable, on_writable;
    std::uint32_t generation = 0;  // of what is here: an event may be of something before it
    bool readable = false;         // the kernel has said so, and nobody that all of it is read
    bool hung_up = false;
    bool for_room = false;  // the kernel tells of room to write, too
  };

  bool add(int socket, std::uint32_t& place, bool for_room);
  // The kernel looks again, and tells what there is.
  bool look_again(int socket, std::uint32_t place);
  void cancel(std::uint32_t place);
  void forget(std::uint32_t place);
  void forget_now(int socket, std::uint32_t place);
  void later(Watched::Then then, Watched::Error error);

  void shutdown() override;
  void arm();
  void on_events();
  void tell(std::uint32_t place, std::uint32_t generation, std::uint32_t events);

  boost::asio::io_context& loop_;
  boost::asio::posix::stream_descriptor epoll_;
  std::deque<Place> places_;
  std::vector<std::uint32_t> free_;
};

}  // namespace agentbox::gates::network
