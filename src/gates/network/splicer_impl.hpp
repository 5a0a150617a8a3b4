#pragma once

// The splicer's inside: splicer.cpp has the connections and their events, splicer_bytes.cpp what is done with their bytes.

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "agentbox/gates/network/splicer.hpp"

#include "pipe_pool.hpp"

namespace agentbox::gates::network {

// A message of at most this size is copied: that takes two system calls instead of three, and no pipe. What then can't
// be sent waits in a pipe, and this is what even the smallest one holds.
inline constexpr std::size_t small = 8 * 1024;

enum Side : unsigned { client = 0, upstream = 1 };

struct Direction {
  std::optional<Pipe> pipe;
  std::size_t in_pipe = 0;
  std::uint64_t bytes = 0;
  bool bulk = false;    // more comes than is worth copying, until the source falls silent
  bool ended = false;   // the source has said all
  bool closed = false;  // and the other side was told
};

struct Connection;

struct End : Watched::Listener {
  void on_events(std::uint32_t events) override;

  Connection* connection = nullptr;
  Watched socket;
  // Edge-triggered: true until the kernel has said EAGAIN.
  bool readable = true, writable = true;
  bool listens = false;  // hears of events
  bool hung_up = false;  // there will be no further event: what is to be read must be read to its end
  bool broken = false;   // reset, or closed while we wrote; what it said before may still be there to read
};

struct Connection {
  Splicer::Impl* splicer = nullptr;
  std::array<End, 2> ends;              // client, upstream
  std::array<Direction, 2> directions;  // from the client, from upstream
  std::vector<Target> targets;          // not tried yet
  Splicer::MakeSocket make_socket;
  Splicer::Done done;
  Splicer::Id id = 0;
  std::shared_ptr<Tap> tap;  // of what the client says
  bool connecting = false;
  bool queued = false;
  bool dead = false;
  int looks = 0;  // at the send queue
};

class Splicer::Impl : public std::enable_shared_from_this<Impl> {
 public:
  explicit Impl(boost::asio::io_context& loop);

  void connect(base::UniqueFd client_socket, std::vector<Target> targets, const MakeSocket& make_socket, Done done);
  Id relay(Watched client_socket, Watched upstream_socket, Done done, std::shared_ptr<Tap> tap);
  void go_on(Id id);
  void stop(Id id);
  void close();
  [[nodiscard]] std::size_t open() const noexcept { return connections_.size(); }
  void on_event(End& end, std::uint32_t events);

 private:
  enum class Progress : std::uint8_t { waits, more, lingers, finished, reset };

  Connection& add(Watched client_socket, Done done);
  static void take(End& end, Watched socket);
  static void blocked(End& sink);
  void next_target(Connection& connection);
  void established(Connection& connection);
  void enqueue(Connection& connection);
  void give_turn(Connection& connection);
  void run_queue_soon();
  void run_queue();
  Progress pump(Connection& connection);
  // True if it could go on, but has had its turn. `tap`: nullptr if there is none.
  bool move(Direction& direction, End& source, End& sink, Tap* tap);
  // How much may be taken from it; asks for more where that is nothing.
  std::uint64_t reserve_from(Direction& direction, End& source, Tap* tap, std::uint64_t most);
  // A small message at once. True if there may be more.
  bool copy(Direction& direction, End& source, End& sink, Tap* tap);
  bool keep(Direction& direction, std::string_view rest);
  // True if bytes went, or the end of them came.
  bool fill(End& source, Direction& direction, Tap* tap);
  bool empty(Direction& direction, End& sink);
  void drop_pipe(Direction& direction);
  void linger(Connection& connection);
  void end(Connection& connection, Outcome outcome);

  boost::asio::io_context& loop_;
  PipePool pipes_;
  std::array<char, small> buffer_{};
  std::unordered_map<Connection*, std::unique_ptr<Connection>> connections_;
  std::unordered_map<Id, Connection*> tapped_;
  Id last_id_ = 0;
  std::vector<std::unique_ptr<Connection>> dead_;  // until the queue has run, which may hold them
  std::deque<Connection*> queue_;
  std::vector<Connection*> lingering_;
  boost::asio::steady_timer linger_timer_;
  bool posted_ = false, closed_ = false;
};

}  // namespace agentbox::gates::network
