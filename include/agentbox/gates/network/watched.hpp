#pragma once

// A socket that the event loop watches. The kernel is told of it once, at the first wait, edge-triggered; and it stays
// so while the socket goes from one owner to the next. Most connections of a room have three, and asio's own
// descriptors cost four system calls for each of them and one for each wait.
//
// Not for other threads than the loop's.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>

#include "agentbox/base/unique_fd.hpp"

namespace boost::asio {
class io_context;
}

namespace agentbox::gates::network {

class Watcher;

class Watched {
 public:
  // With an errno, 0 where there is none.
  using Then = std::function<void(int error)>;
  enum class For : std::uint8_t { reading, writing };
  // Hears of everything, for as long as it has the socket.
  class Listener {
   public:
    // epoll(7)'s, edge-triggered.
    virtual void on_events(std::uint32_t events) = 0;

   protected:
    ~Listener() = default;
  };

  Watched() = default;
  Watched(base::UniqueFd socket) noexcept : socket_(std::move(socket)) {}  // NOLINT(google-explicit-constructor)
  Watched(Watched&& other) noexcept
      : socket_(std::move(other.socket_)),
        watcher_(std::exchange(other.watcher_, nullptr)),
        place_(other.place_),
        asks_(std::exchange(other.asks_, false)) {}
  Watched& operator=(Watched&& other) noexcept {
    if (this == &other) return *this;
    reset();
    socket_ = std::move(other.socket_);
    watcher_ = std::exchange(other.watcher_, nullptr);
    place_ = other.place_;
    asks_ = std::exchange(other.asks_, false);
    return *this;
  }
  ~Watched() { reset(); }

  [[nodiscard]] int get() const noexcept { return socket_.get(); }
  explicit operator bool() const noexcept { return static_cast<bool>(socket_); }

  struct Manner {
    // How often the kernel is asked for what there is, before others of the loop have their turn.
    std::size_t rounds = 1;
    std::chrono::milliseconds young = std::chrono::seconds(15);  // see notice_silent_end
  };
  // Whatever it takes to wait is made with the first of a loop, or now. Throws base::SystemError.
  static void prepare(boost::asio::io_context& loop);
  static void prepare(boost::asio::io_context& loop, const Manner& manner);
  // `then` is called once, from the loop, never from within: at once where there is something to read (or its end), or
  // room to write; with an error where there is no socket, and with ECANCELED where it is given up meanwhile. One wait
  // for each at a time.
  void wait(boost::asio::io_context& loop, For what, Then then);
  // All that it said so far is read: until more comes, the next wait needs no system call.
  void dry() noexcept;
  // What waits for it is called, with ECANCELED.
  void cancel();
  // Instead of waits. False: the kernel refuses it.
  [[nodiscard]] bool listen(boost::asio::io_context& loop, Listener& listener);
  // From now on the listener hears of room to write, too; at once if there is any. False: the kernel refuses it.
  [[nodiscard]] bool listen_for_room();
  // That its other side has gone without a word is an event, too: within two minutes and a half, where nothing is on its way
  // to that side. The kernel is asked for that when the socket is no longer young: most are never that old.
  void notice_silent_end();
  // False: certainly not.
  [[nodiscard]] bool may_be_readable() const noexcept;
  // The other side has said all, or is gone: no event will follow.
  [[nodiscard]] bool hung_up() const noexcept;

  // For the next owner. What waits for it is let go and never called; it must not be what keeps the caller alive.
  [[nodiscard]] Watched hand_over();
  void reset();

 private:
  void known_to(Watcher& watcher);

  base::UniqueFd socket_;
  Watcher* watcher_ = nullptr;  // once the kernel knows it
  std::uint32_t place_ = 0;     // in there
  bool asks_ = false;           // notice_silent_end, until there is a watcher
};

// Where events of something that others own come to. Whoever owns it tells the kernel, from any thread, by epoll_ctl(2);
// what comes of it after the seat's end is heard by nobody.
class Seat {
 public:
  // The listener must outlive it. Throws base::SystemError.
  Seat(boost::asio::io_context& loop, Watched::Listener& listener);
  ~Seat();
  Seat(const Seat&) = delete;
  Seat& operator=(const Seat&) = delete;

  [[nodiscard]] int epoll() const noexcept;
  [[nodiscard]] std::uint64_t data() const noexcept { return data_; }

 private:
  Watcher& watcher_;
  std::uint32_t place_;
  std::uint64_t data_;
};

}  // namespace agentbox::gates::network
